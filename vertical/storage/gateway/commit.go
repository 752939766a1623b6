package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// maxChanges bounds the pieces one commitment adds and removes.
const maxChanges = 4096

// commitBody is the request and, with the provider's signature, the answer.
type commitBody struct {
	Lease       string   `json:"lease"`
	Revision    uint64   `json:"revision"`
	Root        string   `json:"root"`
	Units       uint64   `json:"units"`
	PayerSig    string   `json:"payer_sig"`
	ProviderSig string   `json:"provider_sig,omitempty"`
	Add         []string `json:"add,omitempty"`
	Remove      []string `json:"remove,omitempty"`
}

// commitLoop collects changes for CommitDelay and then co-signs with every
// provider concerned, at the same time. What fails is tried again.
func (e *Engine) commitLoop() {
	for {
		select {
		case <-e.dirty:
		case <-e.ctx.Done():
			return
		}
		if !wait(e.ctx, e.conf.Pace.CommitDelay) {
			return
		}
		if err := e.commitAll(e.ctx); err != nil && e.ctx.Err() == nil {
			e.log.Warn("commitments incomplete", "err", err)
			e.after(10*e.conf.Pace.CommitDelay, e.changed)
		}
	}
}

// Commit co-signs now what has changed, with every provider. It returns the
// joined failures; what failed is tried again by itself.
func (e *Engine) Commit(ctx context.Context) error {
	ctx, done, err := e.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return e.commitAll(ctx)
}

func (e *Engine) commitAll(ctx context.Context) error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for _, l := range e.book.all() {
		wg.Go(func() {
			if err := e.commit(ctx, l); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("lease %x: %w", l.id[:8], err))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// post brings to the ledger the commitments it lacks. The provider posts those
// that grow, since it is paid by them; we post those that shrink at once, and
// any other that the provider has left unposted for a whole epoch.
func (e *Engine) post(ctx context.Context) error {
	var signed []receipt.Commitment
	for _, l := range e.book.all() {
		if !l.alive() {
			continue
		}
		var onLedger lease.Commitment
		if cs := l.view().Commitments; len(cs) > 0 {
			onLedger = cs[len(cs)-1]
		}
		_, revision := l.committed()
		if revision <= onLedger.Revision {
			l.behind = 0
			continue
		}
		if l.behind++; l.behind < 2 {
			if set, _ := l.committed(); set.Units() >= onLedger.Units {
				continue
			}
		}
		c, ok, err := e.Commitment(l.id)
		if err != nil {
			return err
		}
		if ok {
			signed = append(signed, c)
		}
	}
	if len(signed) == 0 {
		return nil
	}
	ctx, span := e.span(ctx, "post commitments", trace.Keep.Bool(true))
	err := e.conf.Ledger.Commit(ctx, signed)
	trace.End(span, err)
	if err != nil {
		return fmt.Errorf("post %d commitments: %w", len(signed), err)
	}
	return nil
}

// commit brings one lease's commitment up to date.
func (e *Engine) commit(ctx context.Context, l *link) error {
	l.committing.Lock()
	defer l.committing.Unlock()
	if !l.alive() {
		return e.forget(l)
	}
	for range 64 {
		p, set, err := e.propose(l)
		if err != nil || p == nil {
			return err
		}
		if err := e.commitOne(ctx, l, p, set); err != nil {
			return err
		}
	}
	return nil
}

// commitOne has one commitment signed by both sides and stores it.
func (e *Engine) commitOne(ctx context.Context, l *link, p *pendingRecord, set proof.Set) (err error) {
	ctx, span := e.span(ctx, "commit", trace.Keep.Bool(true))
	defer func() { trace.End(span, err) }()
	l.noteLink(ctx)
	c, err := e.cosign(ctx, l, p)
	if err != nil {
		return err
	}
	noteCommitment(ctx, c, p.Add)
	return e.committed(l, c, p, set)
}

// propose returns the commitment under way, or a new one over what has changed,
// or nil. It is durable before it is sent: the provider may take it and the
// answer be lost.
func (e *Engine) propose(l *link) (*pendingRecord, proof.Set, error) {
	set, revision := l.committed()
	p := &pendingRecord{}
	sizes := map[piece.Root]int64{}
	var orphans []piece.Root
	var found bool
	err := e.store.db.View(func(tx *bbolt.Tx) (err error) {
		if found, err = getJSON(tx, bucketPending, l.id[:], p); err != nil {
			return err
		}
		return eachHolding(tx, &l.id, func(_ LeaseID, h holding) error {
			sizes[h.Root] = int64(h.Size)
			switch {
			case found || len(p.Add)+len(p.Remove) >= maxChanges:
			case h.Mark == markAdd:
				p.Add = append(p.Add, h.Root)
			case h.Mark == markDrop:
				p.Remove = append(p.Remove, h.Root)
			case h.Mark == markOrphan:
				orphans = append(orphans, h.Root)
			}
			return nil
		})
	})
	if err != nil {
		return nil, set, err
	}
	if err := e.dropOrphans(l, orphans); err != nil {
		return nil, set, err
	}
	if len(p.Add)+len(p.Remove) == 0 {
		return nil, set, nil
	}
	for _, r := range p.Remove {
		if set, err = set.Remove(r); err != nil {
			return nil, set, err
		}
	}
	for _, r := range p.Add {
		if set, err = set.Add(proof.Piece{Root: r, Size: sizes[r]}); err != nil {
			return nil, set, err
		}
	}
	if found {
		return p, set, nil
	}
	root := set.Root()
	c := receipt.Commitment{Lease: l.id, Revision: revision + 1, Root: root, Units: set.Units()}
	if err := c.SignPayer(e.conf.Chain, l.key); err != nil {
		return nil, set, err
	}
	p.Revision, p.Root, p.Units, p.PayerSig = c.Revision, root[:], c.Units, c.PayerSig[:]
	err = e.store.db.Batch(func(tx *bbolt.Tx) error { return putJSON(tx, bucketPending, l.id[:], p) })
	return p, set, err
}

// dropOrphans forgets pieces that are in no commitment and none under way: the
// provider removes what stays uncommitted by itself.
func (e *Engine) dropOrphans(l *link, orphans []piece.Root) error {
	if len(orphans) == 0 {
		return nil
	}
	var freed uint64
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		freed = 0
		for _, root := range orphans {
			h, ok, err := getHolding(tx, l.id, root)
			if err != nil {
				return err
			}
			if !ok || h.Mark != markOrphan {
				continue
			}
			freed += h.Size
			if err := dropHolding(tx, l.id, root); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		l.subStored(freed)
	}
	return err
}

func (p *pendingRecord) commitment(id LeaseID) receipt.Commitment {
	c := receipt.Commitment{Lease: id, Revision: p.Revision, Units: p.Units}
	copy(c.Root[:], p.Root)
	copy(c.PayerSig[:], p.PayerSig)
	return c
}

// cosign sends the proposal and checks the countersignature.
func (e *Engine) cosign(ctx context.Context, l *link, p *pendingRecord) (receipt.Commitment, error) {
	c := p.commitment(l.id)
	ctx, cancel := context.WithTimeout(ctx, e.conf.Pace.PieceTimeout)
	defer cancel()
	conn, err := l.connection(e.conf.Tunnel)
	if err != nil {
		return c, err
	}
	sig, err := conn.commit(ctx, c, p.Add, p.Remove)
	if err != nil {
		l.blame(ctx, err)
		if isStatus(err, http.StatusConflict) {
			return c, errors.Join(err, e.reconcile(ctx, l, conn, err))
		}
		return c, err
	}
	c.ProviderSig = sig
	if err := c.Verify(e.conf.Chain, receipt.Key(l.view().laneKey(l.lane)), receipt.Key(l.view().Provider.Key)); err != nil {
		return c, err
	}
	return c, nil
}

// committed stores a commitment both sides have signed and what follows from
// it.
func (e *Engine) committed(l *link, c receipt.Commitment, p *pendingRecord, set proof.Set) error {
	var freed uint64
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		freed = 0
		for _, r := range p.Add {
			if err := remark(tx, l.id, r, map[mark]mark{markAdd: markHeld, markOrphan: markDrop}); err != nil {
				return err
			}
		}
		for _, r := range p.Remove {
			h, ok, err := getHolding(tx, l.id, r)
			if err != nil {
				return err
			}
			if ok {
				freed += h.Size
			}
			if err := dropHolding(tx, l.id, r); err != nil {
				return err
			}
		}
		var rec leaseRecord
		if _, err := getJSON(tx, bucketLeases, l.id[:], &rec); err != nil {
			return err
		}
		rec.Revision = c.Revision
		if err := putJSON(tx, bucketLeases, l.id[:], rec); err != nil {
			return err
		}
		if err := tx.Bucket(bucketCommitments).Put(l.id[:], c.Encode()); err != nil {
			return err
		}
		return tx.Bucket(bucketPending).Delete(l.id[:])
	})
	if err != nil {
		return fmt.Errorf("record commitment of lease %x: %w", l.id, err)
	}
	l.setCommitted(set, c.Revision)
	l.subStored(freed)
	if view := l.view(); epochsLeft(view.Hold, view.HoldBudget-view.HoldPaid, c.Units) < e.conf.Lease.Low {
		e.runsLow()
	}
	return nil
}

func remark(tx *bbolt.Tx, id LeaseID, root piece.Root, to map[mark]mark) error {
	h, ok, err := getHolding(tx, id, root)
	if err != nil || !ok {
		return err
	}
	next, ok := to[h.Mark]
	if !ok {
		return nil
	}
	h.Mark = next
	return putHolding(tx, id, h)
}

// reconcile follows a provider's refusal to sign. Pieces that it says it does
// not have are lost; otherwise the two sides count differently (one of them was
// restored from a backup, say), and the provider's own set becomes the base of
// the next proposal.
func (e *Engine) reconcile(ctx context.Context, l *link, c *client, refused error) error {
	var pe *ProviderError
	if errors.As(refused, &pe) && len(pe.Missing) > 0 {
		return e.dropMissing(l, pe.Missing)
	}
	revision, set, err := c.heldSet(ctx)
	if err != nil {
		return err
	}
	var stored uint64
	err = e.store.db.Batch(func(tx *bbolt.Tx) (err error) {
		if stored, err = rebase(tx, l.id, set); err != nil {
			return err
		}
		return tx.Bucket(bucketPending).Delete(l.id[:])
	})
	if err != nil {
		return fmt.Errorf("reconcile lease %x: %w", l.id, err)
	}
	e.log.Warn("set differed, provider's is the new base", "lease", fmt.Sprintf("%x", l.id), "revision", revision, "pieces", set.Len())
	l.setCommitted(set, revision)
	l.setStored(stored)
	e.changed()
	return nil
}

// rebase marks the pieces of a lease anew against a set that the provider is
// committed to, and returns their bytes. Pieces of the set that we do not know
// are to be left out of the next commitment.
func rebase(tx *bbolt.Tx, id LeaseID, set proof.Set) (stored uint64, err error) {
	var all []holding
	known := map[piece.Root]bool{}
	err = eachHolding(tx, &id, func(_ LeaseID, h holding) error {
		all, known[h.Root] = append(all, h), true
		return nil
	})
	if err != nil {
		return 0, err
	}
	for p := range set.All() {
		if !known[p.Root] {
			all = append(all, holding{Root: p.Root, Size: uint64(p.Size), Mark: markDrop})
		}
	}
	for _, h := range all {
		size, in := set.Size(h.Root)
		if in && uint64(size) != h.Size {
			return 0, fmt.Errorf("piece %s has %d bytes, provider says %d", h.Root, h.Size, size)
		}
		switch wanted := h.Mark == markAdd || h.Mark == markHeld; {
		case h.Mark == markPut:
		case wanted && in:
			h.Mark = markHeld
		case wanted:
			h.Mark = markAdd
		case in:
			h.Mark = markDrop
		default:
			if err := dropHolding(tx, id, h.Root); err != nil {
				return 0, err
			}
			continue
		}
		stored += h.Size
		if err := putHolding(tx, id, h); err != nil {
			return 0, err
		}
	}
	return stored, nil
}

// dropMissing records pieces that the provider says it does not have.
func (e *Engine) dropMissing(l *link, roots []piece.Root) error {
	var gone []holding
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		gone = gone[:0]
		for _, root := range roots {
			h, ok, err := getHolding(tx, l.id, root)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			gone = append(gone, h)
			if err := dropHolding(tx, l.id, root); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketPending).Delete(l.id[:])
	})
	if err != nil {
		return err
	}
	for _, h := range gone {
		l.subStored(h.Size)
		e.pieceLost(h.Segment, int(h.Index), h.Root)
	}
	return nil
}

// forget drops what is recorded under a lease that has ended, once no segment
// counts on it any more.
func (e *Engine) forget(l *link) error {
	return e.store.db.Batch(func(tx *bbolt.Tx) error {
		var idle []piece.Root
		err := eachHolding(tx, &l.id, func(_ LeaseID, h holding) error {
			if h.Mark == markDrop || h.Mark == markOrphan {
				idle = append(idle, h.Root)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range idle {
			if err := dropHolding(tx, l.id, r); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketPending).Delete(l.id[:])
	})
}

// laneKey returns the session key of a lane, zero when there is none.
func (v Lease) laneKey(id uint32) [32]byte {
	lane, _ := v.Lane(id)
	return lane.Key
}

// Commitment returns the newest commitment of a lease with both signatures;
// false when there is none.
func (e *Engine) Commitment(id LeaseID) (c receipt.Commitment, ok bool, err error) {
	err = e.store.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketCommitments).Get(id[:])
		if b == nil {
			return nil
		}
		ok = true
		c, err = receipt.DecodeCommitment(b)
		return err
	})
	return c, ok && err == nil, err
}

// commit asks the provider to countersign c.
func (c *client) commit(ctx context.Context, want receipt.Commitment, add, remove []piece.Root) (sig receipt.Signature, err error) {
	body, err := json.Marshal(commitBody{
		Lease: hex.EncodeToString(want.Lease[:]), Revision: want.Revision,
		Root: hex.EncodeToString(want.Root[:]), Units: want.Units,
		PayerSig: hex.EncodeToString(want.PayerSig[:]), Add: rootTexts(add), Remove: rootTexts(remove),
	})
	if err != nil {
		return sig, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	res, err := c.send(ctx, http.MethodPost, "/v1/commitments", url.Values{}, bytes.NewReader(body), int64(len(body)), header)
	if err != nil {
		return sig, fmt.Errorf("commit: %w", err)
	}
	defer finish(res)
	if res.StatusCode/100 != 2 {
		return sig, refusal("commit", res)
	}
	var answer commitBody
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil {
		return sig, fmt.Errorf("commit: read answer: %w", err)
	}
	raw, err := hex.DecodeString(answer.ProviderSig)
	if err != nil || len(raw) != len(sig) {
		return sig, fmt.Errorf("commit: provider signature of %d bytes, want %d", len(raw), len(sig))
	}
	return receipt.Signature(raw), nil
}

// heldSet asks the provider what its newest commitment holds.
func (c *client) heldSet(ctx context.Context) (revision uint64, set proof.Set, err error) {
	res, err := c.send(ctx, http.MethodGet, "/v1/sets", url.Values{}, nil, 0, nil)
	if err != nil {
		return 0, set, fmt.Errorf("ask for the set: %w", err)
	}
	defer finish(res)
	if res.StatusCode != http.StatusOK {
		return 0, set, refusal("ask for the set", res)
	}
	var body struct {
		Revision uint64 `json:"revision"`
		Pieces   []struct {
			Root string `json:"root"`
			Size int64  `json:"size"`
		} `json:"pieces"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxSetAnswer)).Decode(&body); err != nil {
		return 0, set, fmt.Errorf("ask for the set: read answer: %w", err)
	}
	pieces := make([]proof.Piece, len(body.Pieces))
	for i, p := range body.Pieces {
		if pieces[i].Root, err = piece.ParseRoot(p.Root); err != nil {
			return 0, set, fmt.Errorf("ask for the set: %w", err)
		}
		pieces[i].Size = p.Size
	}
	set, err = proof.NewSet(pieces)
	return body.Revision, set, err
}

// maxSetAnswer bounds the list of a lease's pieces, in bytes: about 600,000.
const maxSetAnswer = 64 << 20

func rootTexts(roots []piece.Root) []string {
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = r.String()
	}
	return out
}
