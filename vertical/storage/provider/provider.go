package provider

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/proof"
	"github.com/grange-network/grange/vertical/storage/provider/store"
)

// ErrNoLease is what Leases.Lease wraps when the ledger has no such lease.
var ErrNoLease = errors.New("ledger has no such lease")

// ErrRefused is what Market.Settle wraps when the ledger was reached and refused what
// it was given, by its rules: trying the same again is no use.
var ErrRefused = errors.New("ledger refused")

// Leases looks up leases on the ledger. Lease returns the lease as of the newest
// block, or an error that wraps ErrNoLease.
type Leases interface {
	Lease(ctx context.Context, id [32]byte) (lease.Lease, error)
}

// Oracle tells what is to be proven and takes proofs.
//
// Duty returns the current epoch. Prove posts one proof for each challenge of the
// epoch in their order, and returns when the ledger has accepted them.
type Oracle interface {
	Duty(ctx context.Context, device [32]byte) (Duty, error)
	Prove(ctx context.Context, device [32]byte, epoch uint64, proofs [][]byte) error
}

// Market takes what both sides signed. Settle returns when the ledger has accepted
// all of it, or with an error none of it; the error wraps ErrRefused when the ledger
// refused by rule.
type Market interface {
	Settle(ctx context.Context, receipts []receipt.Receipt, commitments []receipt.Commitment) error
}

// Duty is the current epoch as a device sees it.
type Duty struct {
	Epoch      uint64
	Seed       [32]byte
	Seeded     bool         // the seed is out
	Heads      []proof.Head // in force in this epoch, ordered by lease
	Challenges int          // how many bytes are asked for
	Proven     bool         // the ledger has accepted a proof already
	// Elapsed and Length are the epoch's time as the ledger counts it; with a zero
	// Length receipts are posted as soon as there are new ones.
	Elapsed, Length time.Duration
}

// Config of a provider.
type Config struct {
	Dir      string        // data directory
	Capacity int64         // most bytes of pieces to store
	Chain    string        // chain id
	Device   [32]byte      // device id on the ledger
	Key      crypto.Signer // the device's ed25519 key

	Leases Leases
	Oracle Oracle
	Market Market
	// PeerKey returns the ed25519 key that the peer of a request has proven; it is
	// tunnel.PeerKey.
	PeerKey func(ctx context.Context) ([32]byte, bool)

	// The rest may be left zero.
	Window      receipt.Window   // receipt.ByteWindow
	PendingAge  time.Duration    // age at which uncommitted pieces are swept; 48 h
	LeaseAge    time.Duration    // how long a lease read from the ledger is used; 2 s
	ScrubEvery  time.Duration    // time in which every piece is read and checked once; 0 never
	SettleItems int              // receipts and commitments of one Settle; 64
	Now         func() time.Time // time.Now
	Log         *slog.Logger     // slog.Default()
	Tracer      oteltrace.Tracer // records nothing
}

// DefaultPendingAge is when pieces that no commitment names are swept.
const DefaultPendingAge = 48 * time.Hour

func (c *Config) complete() error {
	if _, ok := c.Key.Public().(ed25519.PublicKey); !ok {
		return fmt.Errorf("open provider: device key is %T, want ed25519", c.Key.Public())
	}
	if c.Leases == nil || c.Oracle == nil || c.Market == nil || c.PeerKey == nil {
		return errors.New("open provider: Leases, Oracle, Market and PeerKey must be set")
	}
	if c.Window == (receipt.Window{}) {
		c.Window = receipt.ByteWindow
	}
	if c.PendingAge == 0 {
		c.PendingAge = DefaultPendingAge
	}
	if c.LeaseAge == 0 {
		c.LeaseAge = 2 * time.Second
	}
	if c.SettleItems == 0 {
		c.SettleItems = 64
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Tracer = trace.Or(c.Tracer)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// Provider is an open provider. It is safe for concurrent use.
//
// Lock order: agreement of a lease, lane, then the store's and the maps' locks.
type Provider struct {
	conf     Config
	chain    receipt.Chain
	key      receipt.Key
	store    *store.Store
	leases   *leaseCache
	problems problems
	epoch    atomic.Uint64
	proven   atomic.Uint64 // newest epoch proven
	settled  atomic.Uint64 // newest epoch in which Settle had nothing left to post

	mu         sync.Mutex
	lanes      map[laneID]*lane
	agreements map[[32]byte]*sync.Mutex // one commitment at a time per lease
	missing    map[[32]byte]time.Time   // since when the ledger does not know a lease
}

// Open opens the data directory. Close must be called.
func Open(conf Config) (*Provider, error) {
	if err := conf.complete(); err != nil {
		return nil, err
	}
	s, err := store.Open(store.Options{Dir: conf.Dir, Capacity: conf.Capacity, Now: conf.Now, Log: conf.Log})
	if err != nil {
		return nil, err
	}
	p := &Provider{
		conf: conf, chain: receipt.ChainOf(conf.Chain), store: s,
		key:        receipt.Key(conf.Key.Public().(ed25519.PublicKey)),
		leases:     newLeaseCache(conf.Leases, conf.LeaseAge, conf.Now, conf.Log),
		lanes:      map[laneID]*lane{},
		agreements: map[[32]byte]*sync.Mutex{},
		missing:    map[[32]byte]time.Time{},
	}
	p.problems.now = conf.Now
	if err := p.key.Valid(); err != nil {
		return nil, errors.Join(fmt.Errorf("open provider: %w", err), s.Close())
	}
	for _, root := range s.Lost() {
		p.problem("piece", fmt.Errorf("piece %v is in the index and has no whole file", root))
	}
	return p, nil
}

// Close stores exact receipt counts and closes the data directory. Requests and Run
// must have ended.
func (p *Provider) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, l := range p.lanes {
		if err := l.trim(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, p.store.Close())...)
}

// Store returns the provider's store, for inspection and scrubbing.
func (p *Provider) Store() *store.Store { return p.store }

// agreement returns the lock of a lease's commitments.
func (p *Provider) agreement(id [32]byte) *sync.Mutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.agreements[id]
	if m == nil {
		m = &sync.Mutex{}
		p.agreements[id] = m
	}
	return m
}

// currentEpoch returns the epoch last seen, asking the ledger when none was.
func (p *Provider) currentEpoch(ctx context.Context) (uint64, error) {
	if e := p.epoch.Load(); e > 0 {
		return e, nil
	}
	d, err := p.conf.Oracle.Duty(ctx, p.conf.Device)
	if err != nil {
		return 0, fmt.Errorf("ask ledger for the epoch: %w", err)
	}
	p.sawEpoch(d.Epoch)
	return d.Epoch, nil
}

// sawEpoch moves the epoch forward and reports whether it did.
func (p *Provider) sawEpoch(e uint64) bool {
	for {
		old := p.epoch.Load()
		if e <= old {
			return false
		}
		if p.epoch.CompareAndSwap(old, e) {
			return true
		}
	}
}
