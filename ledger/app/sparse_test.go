package app

import (
	"context"
	"errors"
	"maps"
	"testing"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"pgregory.net/rapid"
)

// countingStore counts writes.
type countingStore struct {
	store.KVStore
	sets int
}

func (s *countingStore) Set(key, value []byte) error {
	s.sets++
	return s.KVStore.Set(key, value)
}

func emptyStore() store.KVStore {
	key := storetypes.NewKVStoreKey(banktypes.StoreKey)
	ctx := testutil.DefaultContext(key, storetypes.NewTransientStoreKey("transient"))
	return runtime.NewKVStoreService(key).OpenKVStore(ctx)
}

func contents(rt *rapid.T, s store.KVStore) map[string]string {
	it, err := s.Iterator(nil, nil)
	if err != nil {
		rt.Fatal(err)
	}
	defer it.Close()
	all := map[string]string{}
	for ; it.Valid(); it.Next() {
		all[string(it.Key())] = string(it.Value())
	}
	return all
}

// Whatever the bank sets and removes, the store holds the same as without the
// shortcut, and an entry of the index is not written while its balance is there.
func TestSparseIndex(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain, counted := emptyStore(), &countingStore{KVStore: emptyStore()}
		bare, sparse := bankOver(plain), bankOver(sparseIndex{counted})
		want := 0
		for range rapid.IntRange(1, 60).Draw(rt, "writes") {
			account := sdk.AccAddress(rapid.SliceOfN(rapid.ByteRange(0, 1), 1, 3).Draw(rt, "account"))
			balance := collections.Join(account, rapid.SampledFrom([]string{"ugrain", "ucredit", "u"}).Draw(rt, "coin"))
			known, err := bare.Balances.Has(context.Background(), balance)
			if err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "remove") {
				if err := errors.Join(bare.Balances.Remove(context.Background(), balance), sparse.Balances.Remove(context.Background(), balance)); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			amount := math.NewInt(rapid.Int64Range(1, 9).Draw(rt, "amount"))
			if err := errors.Join(bare.Balances.Set(context.Background(), balance, amount), sparse.Balances.Set(context.Background(), balance, amount)); err != nil {
				rt.Fatal(err)
			}
			if want++; !known {
				want++
			}
		}
		if got, want := contents(rt, counted), contents(rt, plain); !maps.Equal(got, want) {
			rt.Fatalf("the store holds %x, want %x", got, want)
		}
		if counted.sets != want {
			rt.Fatalf("%d writes, want %d", counted.sets, want)
		}
	})
}

// fixed opens one store.
type fixed struct{ store.KVStore }

func (f fixed) OpenKVStore(context.Context) store.KVStore { return f.KVStore }

func bankOver(s store.KVStore) bankkeeper.BaseViewKeeper {
	return bankkeeper.NewBaseViewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()), fixed{s}, nil, log.NewNopLogger())
}
