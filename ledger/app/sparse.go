package app

import (
	"bytes"
	"context"

	"cosmossdk.io/core/store"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
)

// bankStore opens the bank's store for its keeper, which sets the entry of the
// index of holders by coin before every balance it writes, and deletes both
// together. The entry of a balance that is there is left alone: in the state tree
// it would cost as much as the balance.
type bankStore struct{ store.KVStoreService }

func (s bankStore) OpenKVStore(ctx context.Context) store.KVStore {
	return sparseIndex{s.KVStoreService.OpenKVStore(ctx)}
}

type sparseIndex struct{ store.KVStore }

// Set sets the value of key. It looks at the balance instead of the index's own
// entry because the keeper has just read it.
func (s sparseIndex) Set(key, value []byte) error {
	if balance, ok := balanceOf(key); ok {
		if known, err := s.Has(balance); known || err != nil {
			return err
		}
	}
	return s.KVStore.Set(key, value)
}

// balanceOf is the key of the balance that an entry of the index is of: prefix ‖
// account with its length ‖ coin, where the entry is prefix ‖ coin ‖ 0 ‖ account
// with its length.
func balanceOf(entry []byte) (key []byte, ok bool) {
	rest, ok := bytes.CutPrefix(entry, banktypes.DenomAddressPrefix)
	if !ok {
		return nil, false
	}
	coin, account, ok := bytes.Cut(rest, []byte{0})
	if !ok {
		return nil, false
	}
	key = make([]byte, 0, len(entry))
	key = append(key, banktypes.BalancesPrefix...)
	key = append(key, account...)
	return append(key, coin...), true
}
