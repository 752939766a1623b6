package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/erasure"
)

// Config is what an Engine is made of. Dir, Chain, Keys and Ledger are
// required; a zero field otherwise is its default.
type Config struct {
	Dir    string        // gateway.db and spool files live here
	Chain  receipt.Chain // see receipt.ChainOf
	Keys   erasure.Keys  // content and seal key of the owner
	Ledger Ledger
	Tunnel tunnel.Options
	Log    *slog.Logger
	Tracer oteltrace.Tracer // nil records nothing

	// Layouts in order of preference: a segment takes the first one for whose N
	// there are enough owners. Default: erasure.Standard, erasure.Small.
	Layouts []erasure.Layout

	// SpoolMemory is how many bytes of sealed shards larger uploads keep in memory
	// together: twice the plaintext under way with the preset layouts. Those beyond
	// it go through a file; negative sends all larger ones there. Default 256 MiB.
	SpoolMemory int64

	Lease LeasePolicy
	Pace  Pace
}

// LeasePolicy says how leases are opened and kept funded.
type LeasePolicy struct {
	Capacity  uint64 // bytes bought per lease at most. Default 64 GiB
	HoldBytes uint64 // bytes the first hold budget pays for. Default 1 GiB
	Epochs    uint64 // epochs that a hold budget is to last. Default 48
	Low       uint64 // top up when fewer epochs remain. Default 12
	ReadBytes uint64 // bytes that a lane's cap is raised by. Default 1 GiB
	NoTopUp   bool   // never fund a lease after it was opened
}

// Pace is how patient and how busy the engine is.
type Pace struct {
	PieceTimeout     time.Duration // one piece up or one range down. Default 60 s
	HedgeFloor       time.Duration // never hedge earlier. Default 150 ms
	UploadLinger     time.Duration // least wait for stragglers once enough pieces are durable. Default 500 ms
	CommitDelay      time.Duration // changes collected before a commitment. Default 1 s
	RepairInterval   time.Duration // between scans of all segments. Default 1 min
	ProbeInterval    time.Duration // between looks at a provider nobody used. Default 30 s
	UnreachableAfter time.Duration // silence after which a provider's pieces count as lost. Default 1 h
	OfferAge         time.Duration // offers are asked for again when older. Default 10 s
}

const (
	gib = 1 << 30
	// smallSpool is the total of shards up to which an upload always stays in memory.
	smallSpool = 8 << 20
)

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Dir == "":
		return c, errors.New("open gateway: no directory given")
	case c.Ledger == nil:
		return c, errors.New("open gateway: no ledger given")
	case c.Keys == (erasure.Keys{}):
		return c, errors.New("open gateway: no keys given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Tracer = trace.Or(c.Tracer)
	if c.Tunnel.Log == nil {
		c.Tunnel.Log = c.Log
	}
	if len(c.Layouts) == 0 {
		c.Layouts = []erasure.Layout{erasure.Standard, erasure.Small}
	}
	for _, l := range c.Layouts {
		if err := l.Validate(); err != nil {
			return c, fmt.Errorf("open gateway: %w", err)
		}
	}
	setDefault(&c.SpoolMemory, gib/4)
	setDefault(&c.Lease.Capacity, 64*gib)
	setDefault(&c.Lease.HoldBytes, gib)
	setDefault(&c.Lease.Epochs, 48)
	setDefault(&c.Lease.Low, 12)
	setDefault(&c.Lease.ReadBytes, gib)
	setDefault(&c.Pace.PieceTimeout, time.Minute)
	setDefault(&c.Pace.HedgeFloor, 150*time.Millisecond)
	setDefault(&c.Pace.UploadLinger, 500*time.Millisecond)
	setDefault(&c.Pace.CommitDelay, time.Second)
	setDefault(&c.Pace.RepairInterval, time.Minute)
	setDefault(&c.Pace.ProbeInterval, 30*time.Second)
	setDefault(&c.Pace.UnreachableAfter, time.Hour)
	setDefault(&c.Pace.OfferAge, 10*time.Second)
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) dbPath() string { return filepath.Join(c.Dir, "gateway.db") }

// spoolDir returns the directory for spool files, empty of those a crash left.
func (c Config) spoolDir() (string, error) {
	dir := filepath.Join(c.Dir, "spool")
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clear spool: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make spool: %w", err)
	}
	return dir, nil
}
