package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/app"
)

// Registrations: a hundred to a transaction, two thousand to a block.
const (
	registerBatch = 100
	registerGas   = 120_000 // for each
	registrars    = 1_000
)

// devices measures how fast devices register and what they weigh on disk.
func devices(ctx context.Context, s settings, dir string) ([]row, error) {
	n := s.of(s.devices)
	w, err := newWorld(ctx, dir, registrars, map[string]json.RawMessage{"device": json.RawMessage(`{"params":{"max_devices_per_owner":"1000000"}}`)})
	if err != nil {
		return nil, err
	}
	empty := size(dir)
	var cost spent
	for from := 0; from < n; from += perBlock {
		txs, err := w.registrations(ctx, from, min(from+perBlock, n))
		if err != nil {
			return nil, err
		}
		took, err := measure(func() error { _, err := w.block(txs...); return err })
		if err != nil {
			return nil, err
		}
		cost.cpu += took.cpu
	}
	all := size(dir) - empty
	raw, err := w.bare()
	if err != nil {
		return nil, err
	}
	if err := w.rest(dir); err != nil {
		return nil, err
	}
	count := benchtable.Human(float64(n)) + " registered devices"
	mb := func(bytes int64) float64 { return float64(bytes) / 1e6 }
	newest := row{What: count + " on disk, newest state", Unit: "MB", Ours: mb(size(dir) - empty), Less: true, Bound: mb(raw), BoundIs: "keys and values of the module, no tree"}
	return append(extrapolated(newest, n),
		row{What: count + " on disk, every state since the first kept", Unit: "MB", Ours: mb(all), Bound: mb(raw), BoundIs: "the same"},
		row{What: "devices registered, 100 to a transaction, per CPU-second", Unit: "/s", Ours: cost.perCPU(n)},
	), nil
}

// extrapolated is the row, with another for a million devices where n are fewer:
// their target holds for what is measured or, if it says so, multiplied.
func extrapolated(r row, n int) []row {
	const million, target = 1_000_000, 700
	if n >= million {
		r.Target = target
		return []row{r}
	}
	times := float64(million) / float64(n)
	more := r
	more.What = fmt.Sprintf("1,000,000 registered devices on disk, newest state: extrapolated, %.0f times the above", times)
	more.Ours, more.Bound, more.Target = r.Ours*times, r.Bound*times, target
	return []row{r, more}
}

// registrations are signed transactions that register devices from..to.
func (w *world) registrations(ctx context.Context, from, to int) (txs [][]byte, err error) {
	all, err := parallel(to-from, func(a, b int) (msgs []sdk.Msg, err error) {
		for i := from + a; i < from+b; i++ {
			m, err := w.registration(i)
			if err != nil {
				return nil, err
			}
			msgs = append(msgs, m)
		}
		return msgs, nil
	})
	if err != nil {
		return nil, err
	}
	for len(all) > 0 {
		k := min(registerBatch, len(all))
		owner := w.registrar(from)
		tx, err := owner.sign(ctx, w.Config, w.ChainID(), registerGas*uint64(k), all[:k]...)
		if err != nil {
			return nil, err
		}
		txs, all, from = append(txs, tx), all[k:], from+k
	}
	return txs, nil
}

// registrar owns the device: those of a transaction have one owner.
func (w *world) registrar(i int) *account { return w.accounts[i/registerBatch%len(w.accounts)] }

func (w *world) registration(i int) (sdk.Msg, error) {
	private, owner := seedKey("unit", i), w.registrar(i)
	message, err := coredevice.RegisterBytes(w.ChainID(), owner.address, 1)
	if err != nil {
		return nil, err
	}
	return &devicepb.MsgRegister{
		Owner: owner.address.String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: private.Public().(ed25519.PublicKey), Nonce: 1,
		Signature: ed25519.Sign(private, message),
		Profile: devicepb.Profile{
			Class: devicepb.CLASS_PRN, Cell: 0x8c283082b92b1ff, Endpoint: fmt.Sprintf("tcp://10.%d.%d.%d:7000", i>>16&255, i>>8&255, i&255),
			Capabilities: []string{"weather-station"},
		},
	}, nil
}

// bare sums the keys and values of the module.
func (w *world) bare() (total int64, err error) {
	stores, ok := w.CommitMultiStore().(interface {
		StoreKeysByName() map[string]storetypes.StoreKey
	})
	if !ok {
		return 0, errors.New("the multistore does not name its stores")
	}
	it := w.CommitMultiStore().GetKVStore(stores.StoreKeysByName()["device"]).Iterator(nil, nil)
	defer func() { err = errors.Join(err, it.Close()) }()
	for ; it.Valid(); it.Next() {
		total += int64(len(it.Key()) + len(it.Value()))
	}
	return total, nil
}

// rest stops the application, leaving the newest state only, compacted, in dir.
func (w *world) rest(dir string) error {
	stores, ok := w.CommitMultiStore().(interface{ PruneStores(to int64) error })
	if !ok {
		return errors.New("the multistore cannot be pruned")
	}
	if err := stores.PruneStores(w.height - 1); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	// What was pruned is gone when the database is opened again.
	db, err := app.OpenDB(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	if c, ok := db.(interface{ ForceCompact(from, to []byte) error }); ok {
		err = c.ForceCompact(nil, nil)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if db, err = app.OpenDB(filepath.Join(dir, "data")); err != nil {
		return err
	}
	return db.Close()
}

// size is what the files of the state's database under dir take.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(filepath.Join(dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "application") {
			return nil // a file that compaction removed meanwhile
		}
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
