package app

import (
	"maps"
	"testing"

	"cosmossdk.io/core/store"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
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

// Whatever is set and deleted, the store holds the same as without the shortcut,
// and an entry of the index is not written while it is there.
func TestSparseIndex(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain, counted := emptyStore(), &countingStore{KVStore: emptyStore()}
		sparse := sparseIndex{counted}
		want := 0
		for range rapid.IntRange(1, 60).Draw(rt, "writes") {
			prefix, value := banktypes.DenomAddressPrefix, []byte{}
			if rapid.Bool().Draw(rt, "balance") {
				prefix, value = banktypes.BalancesPrefix, []byte{rapid.Byte().Draw(rt, "value")}
			}
			key := append(append([]byte{}, prefix...), rapid.ByteRange(0, 3).Draw(rt, "key"))
			known, err := plain.Has(key)
			if err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "delete") {
				if plain.Delete(key) != nil || sparse.Delete(key) != nil {
					rt.Fatal("a deletion failed")
				}
				continue
			}
			if plain.Set(key, value) != nil || sparse.Set(key, value) != nil {
				rt.Fatal("a write failed")
			}
			if len(value) > 0 || !known {
				want++
			}
		}
		if got, want := contents(rt, sparse), contents(rt, plain); !maps.Equal(got, want) {
			rt.Fatalf("the store holds %x, want %x", got, want)
		}
		if counted.sets != want {
			rt.Fatalf("%d writes, want %d", counted.sets, want)
		}
	})
}
