package gateway

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// link is our side of one lease: the connection to its provider, what we pay
// there, and what it is committed to hold.
type link struct {
	id     LeaseID
	key    ed25519.PrivateKey // session key: lane, commitments, tunnel identity
	lane   uint32
	pulse  pulse
	faults faults
	meter  *meter

	mu       sync.Mutex
	lease    Lease // as the ledger last showed it
	client   *client
	set      proof.Set // of the last commitment both signed
	revision uint64    // its revision
	stored   uint64    // bytes stored or being stored, committed or not
	retired  bool      // the ledger has closed or forgotten the lease

	committing sync.Mutex // one commitment at a time
	behind     int        // epochs the ledger has lacked our newest commitment; watchEpochs only
}

// errRetired means that the lease has ended.
var errRetired = errors.New("lease has ended")

// connection returns the client, made on first use and after the provider
// moved.
func (l *link) connection(opts tunnel.Options) (*client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return nil, fmt.Errorf("lease %x: %w", l.id, errRetired)
	}
	if l.client == nil {
		c, err := newClient(l.id, l.lease.Provider, l.key, opts)
		if err != nil {
			return nil, err
		}
		l.client = c
	}
	return l.client, nil
}

func (l *link) close() {
	l.mu.Lock()
	c := l.client
	l.client, l.retired = nil, true
	l.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// show takes the ledger's newest view. It returns whether the lane's terms
// changed and, to be closed, the connection to an endpoint that is no more.
func (l *link) show(now Lease) (laneChanged bool, old *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, _ := l.lease.Lane(l.lane)
	after, _ := now.Lane(l.lane)
	laneChanged = before.Cap != after.Cap || before.Expires != after.Expires
	if now.Provider.Endpoint != l.lease.Provider.Endpoint || now.Provider.Key != l.lease.Provider.Key {
		old, l.client = l.client, nil
	}
	l.lease = now
	l.retired = now.State != lease.Open && now.State != lease.Grace
	if l.retired && l.client != nil {
		old, l.client = l.client, nil
	}
	return laneChanged, old
}

func (l *link) view() Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lease
}

func (l *link) owner() string { return l.view().Provider.Owner }

// alive reports whether the lease still binds the provider to hold pieces.
func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.retired
}

// room is how many bytes more the lease can hold; 0 unless it is open.
func (l *link) room() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired || l.lease.State != lease.Open {
		return 0
	}
	return l.lease.Capacity - min(l.stored, l.lease.Capacity)
}

func (l *link) addStored(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored += n
}

func (l *link) setStored(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = n
}

func (l *link) subStored(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored -= min(n, l.stored)
}

// committed returns the set and revision of the last commitment.
func (l *link) committed() (proof.Set, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set, l.revision
}

func (l *link) setCommitted(set proof.Set, revision uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set, l.revision = set, revision
}

// laneTerms are the receipt machine's terms by the ledger's view.
func laneTerms(chain receipt.Chain, view Lease, lane uint32) (receipt.Terms, error) {
	l, ok := view.Lane(lane)
	if !ok {
		return receipt.Terms{}, fmt.Errorf("lease %x has no lane %d", view.ID, lane)
	}
	expires := l.Expires
	if expires == 0 {
		expires = math.MaxUint64
	}
	return receipt.Terms{
		Chain: chain, Lease: view.ID, Lane: lane, Payer: receipt.Key(l.Key),
		Provider: receipt.Key(view.Provider.Key), Cap: view.Use.Units(l.Cap), Expires: expires,
	}, nil
}

// concession is how many bytes a lane may pay for without having counted them:
// transfers given up, and what a crash forgot. A twentieth of the cap, at least
// 64 MiB.
func concession(unitCap uint64) uint64 { return max(unitCap/20, 64<<20) }

// read fills p from the piece at off, paying on the way.
func (l *link) read(ctx context.Context, c *client, root piece.Root, size, off int64, p []byte) error {
	refusals := 0
	for len(p) > 0 {
		g, err := l.meter.begin(ctx, uint64(len(p)))
		if err != nil {
			return fmt.Errorf("read from lease %x: %w", l.id, err)
		}
		began := time.Now()
		n, signed, err := c.readPiece(ctx, root, size, off, p[:g.units], g.receipt)
		if merr := l.meter.end(g, uint64(n), evidence(root, uint64(off), uint64(n))); merr != nil && err == nil {
			err = merr
		}
		l.noteUsed(ctx, n)
		if signed != nil {
			err = errors.Join(err, l.honoured(ctx, *signed))
		}
		p, off = p[n:], off+int64(n)
		switch {
		case err == nil:
			l.pulse.ok(time.Since(began))
			if signed == nil {
				_ = l.pay(ctx, c, false)
			}
		case isCode(err, codeReceiptDue) && refusals < 4:
			refusals++
			trace.Note(ctx, "asked to pay first", trace.Refused.String(err.Error()))
			if err := l.settle(ctx, c, err); err != nil {
				return err
			}
		case isCode(err, codeLaneSpent) && refusals < 4: // it may not have seen the top-up yet
			refusals++
			if !wait(ctx, time.Second) {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// settle answers a 402: it pays for what the provider counts.
func (l *link) settle(ctx context.Context, c *client, refused error) error {
	var e *ProviderError
	if !errors.As(refused, &e) {
		return refused
	}
	r, ok, err := l.meter.refused(e.Served, e.Window)
	if err != nil {
		return err
	}
	if !ok { // others are under way: their end makes room or a new count
		return l.meter.idle(ctx)
	}
	return l.hand(ctx, c, r)
}

// pay hands over the newest receipt if one is due; all signs for everything.
func (l *link) pay(ctx context.Context, c *client, all bool) error {
	r, ok, err := l.meter.due(all)
	if err != nil || !ok {
		return err
	}
	return l.hand(ctx, c, r)
}

// hand sends r and takes the countersigned one. A provider that holds a newer
// one of ours (our state was rolled back) is asked for it.
func (l *link) hand(ctx context.Context, c *client, r receipt.Receipt) error {
	signed, err := c.payReceipt(ctx, r)
	if isStatus(err, http.StatusConflict) {
		var ok bool
		if signed, ok, err = c.lastReceipt(ctx, l.lane); err == nil && !ok {
			err = fmt.Errorf("pay lease %x: provider calls seq %d stale and has no other", l.id, r.Seq)
		}
	}
	if err != nil {
		return err
	}
	return l.honoured(ctx, signed)
}

// honoured takes a receipt the provider countersigned.
func (l *link) honoured(ctx context.Context, r receipt.Receipt) error {
	fresh, err := l.meter.honoured(r)
	if fresh {
		noteReceipt(ctx, r)
	}
	return err
}

// put stores a piece of size bytes read from body. A provider that does not see
// the lease yet (blocks reach it later than us) is asked again for a while.
func (l *link) put(ctx context.Context, c *client, root piece.Root, body io.ReaderAt, size int64) error {
	for try := 0; ; try++ {
		began := time.Now()
		err := c.putPiece(ctx, root, io.NewSectionReader(body, 0, size), size)
		if err == nil {
			l.pulse.ok(time.Since(began))
			return nil
		}
		if try == 8 || !(isCode(err, codeUnknownLease) || isCode(err, codeUnavailable)) || !wait(ctx, 500*time.Millisecond) {
			return err
		}
		trace.Note(ctx, "tried again", trace.Refused.String(err.Error()))
	}
}

// blame records a failure that is the provider's and not ours.
func (l *link) blame(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrSpent) || errors.Is(err, errRetired) {
		return
	}
	l.pulse.fail()
	l.faults.add(err)
}
