package app

import (
	"fmt"
	"os"
	"path/filepath"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
)

// keepSnapshots is how many snapshots stay: one that peers fetch, and the next.
const keepSnapshots = 2

// openSnapshots opens the store of snapshots in dir and returns what gives it to
// the application: a snapshot each every blocks, none made if every is 0. The
// application closes it.
func openSnapshots(dir string, every uint64) (func(*baseapp.BaseApp), error) {
	if dir == "" {
		return func(*baseapp.BaseApp) {}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	db, err := dbm.NewDB("metadata", dbm.GoLevelDBBackend, filepath.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	store, err := snapshots.NewStore(db, dir)
	if err != nil {
		return nil, fmt.Errorf("open snapshots at %s: %w", dir, err)
	}
	return baseapp.SetSnapshot(store, snapshottypes.NewSnapshotOptions(every, keepSnapshots)), nil
}
