package app

import (
	"bytes"
	"context"

	"cosmossdk.io/core/store"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
)

// bankStore opens the bank's store for its keeper, which sets the entry of the
// index of holders by coin with every balance it writes. An entry that is there
// already is left alone: in the state tree it would cost as much as the balance.
type bankStore struct{ store.KVStoreService }

func (s bankStore) OpenKVStore(ctx context.Context) store.KVStore {
	return sparseIndex{s.KVStoreService.OpenKVStore(ctx)}
}

type sparseIndex struct{ store.KVStore }

// Set sets the value of key. Entries of the index have no value, so that one that
// is there is the same.
func (s sparseIndex) Set(key, value []byte) error {
	if bytes.HasPrefix(key, banktypes.DenomAddressPrefix) && len(value) == 0 {
		if known, err := s.Has(key); known || err != nil {
			return err
		}
	}
	return s.KVStore.Set(key, value)
}
