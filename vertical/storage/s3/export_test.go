package s3

import (
	"context"
	"time"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// Door gives tests what is behind a server.
type Door struct{ *door }

// OpenDoor opens a door and chooses its address without serving yet.
func OpenDoor(ctx context.Context, cfg Config) (*Door, string, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, "", err
	}
	addr, err := listenAddr(cfg.Addr)
	if err != nil {
		return nil, "", err
	}
	d, err := open(ctx, cfg)
	return &Door{d}, addr, err
}

// Run serves until ctx ends.
func (d *Door) Run(ctx context.Context, addr string) error { return d.serve(ctx, addr) }

// Verify checks the catalog.
func (d *Door) Verify() error {
	return d.cat.View(func(tx *catalog.Tx) error { return tx.Verify() })
}

// Usage counts what the catalog has.
func (d *Door) Usage() (u catalog.Usage, err error) {
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		u, err = tx.Usage()
		return err
	})
	return u, err
}

// Pack packs everything journaled and compacts.
func (d *Door) Pack() error { return d.pack(d.base, true) }

// Collect deletes what is discarded; left says that something is still read.
func (d *Door) Collect() (left bool, err error) { return d.collect(d.base) }

// Expire aborts uploads begun before limit.
func (d *Door) Expire(limit time.Time) error { return d.expire(limit) }

// Sizes of the storage classes.
const (
	InlineLimit = inlineLimit
	SmallLimit  = smallLimit
)
