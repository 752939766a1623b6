package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
)

// errLedger says that the ledger did not answer.
var errLedger = errors.New("the ledger does not answer")

// ask asks the ledger, for ledgerTimeout at most. The error is errLedger unless
// the ledger itself said no.
func ask[T any](s *Server, ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	var zero T
	if s.Ledger == nil {
		return zero, fmt.Errorf("%w: this explorer reads an index only", errLedger)
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	v, err := f(ctx)
	if err != nil && ctx.Err() != nil {
		return zero, fmt.Errorf("%w within %s: %w", errLedger, ledgerTimeout, err)
	}
	return v, err
}

type statusAnswer struct {
	ChainID    string             `json:"chain_id"`
	Height     int64              `json:"height"`
	AppHash    *index.ID          `json:"app_hash"`
	BlockTime  *index.Time        `json:"block_time"`
	Now        time.Time          `json:"now"`
	Index      indexStatus        `json:"index"`
	Epoch      *epochStatus       `json:"epoch"`
	Devices    deviceTotals       `json:"devices"`
	Capacity   capacityTotals     `json:"capacity"`
	Leases     leaseTotals        `json:"leases"`
	Usage      usageTotals        `json:"usage"`
	Take       *live.Take         `json:"take"`
	Price      *live.Price        `json:"price"`
	Supply     *live.Supply       `json:"supply"`
	Validators *validatorTotals   `json:"validators"`
	Kinds      []index.KindTotals `json:"kinds"`
}

type indexStatus struct {
	State   string  `json:"state"`
	Message *string `json:"message"`
	Node    *int64  `json:"node_height"`
	Behind  *int64  `json:"behind"`
	From    int64   `json:"from_height"`
	Rebuilt bool    `json:"rebuilt"`
}

type epochStatus struct {
	Number  int64       `json:"number"`
	Status  string      `json:"status"`
	Started *index.Time `json:"started"`
	Ends    *time.Time  `json:"ends"`
	Seed    *string     `json:"seed"`
	Seconds *int64      `json:"seconds"`
}

type deviceTotals struct {
	Registered int64  `json:"registered"`
	Active     int64  `json:"active"`
	Placed     int64  `json:"placed"`
	Owners     int64  `json:"owners"`
	Proven     *int64 `json:"proven"`
	Faulted    *int64 `json:"faulted"`
	Decided    *int64 `json:"decided_epoch"`
}

type capacityTotals struct {
	Claimed index.Amount  `json:"claimed_units"`
	Sold    index.Amount  `json:"sold_units"`
	Proven  *index.Amount `json:"proven_units"`
	Epoch   *int64        `json:"proven_epoch"`
}

type leaseTotals struct {
	Open      int64        `json:"open"`
	Grace     int64        `json:"grace"`
	Closing   int64        `json:"closing"`
	Closed    int64        `json:"closed"`
	Deposited index.Amount `json:"deposited_ucredit"`
	Paid      index.Amount `json:"paid_ucredit"`
}

type usageTotals struct {
	Paid        index.Amount  `json:"paid_ucredit"`
	Net         index.Amount  `json:"net_ucredit"`
	Take        index.Amount  `json:"take_ucredit"`
	Receipts    int64         `json:"receipts"`
	LastEpoch   *int64        `json:"last_epoch"`
	LastRevenue *index.Amount `json:"last_epoch_revenue_ucredit"`
}

type validatorTotals struct {
	Bonded int64  `json:"bonded"`
	Power  string `json:"power"`
}

func (s *Server) status(r *request) (any, error) {
	ctx := r.Context()
	o, err := s.overview(ctx)
	if err != nil {
		return nil, err
	}
	a := statusAnswer{
		ChainID: s.ChainID, Height: s.Index.Height(), Now: time.Now().UTC(), Kinds: o.Kinds,
		Devices:  deviceTotals{o.Registered, o.Active, o.Placed, o.Owners, o.Proven, o.Faulted, o.Decided},
		Capacity: capacityTotals{o.Claimed, o.Sold, o.ProvenUnits, o.Decided},
		Leases:   leaseTotals{o.Leases["open"], o.Leases["grace"], o.Leases["closing"], o.Leases["closed"], o.Deposited, o.Paid},
		Usage:    usageTotals{o.Paid, o.Net, o.Paid - o.Net, o.Receipts, o.LastEpoch, o.LastRevenue},
	}
	if b, err := s.Index.Block(ctx, a.Height); err == nil {
		a.AppHash, a.BlockTime = &b.AppHash, &b.Time
	}
	if a.Index, err = s.indexStatus(ctx); err != nil {
		return nil, err
	}
	if e, err := s.Index.Epoch(ctx, 0); err == nil {
		a.Epoch = &epochStatus{Number: e.Number, Status: e.Status, Started: &e.Started, Seed: e.Seed}
	}
	s.now(ctx, &a)
	return a, nil
}

func (s *Server) indexStatus(ctx context.Context) (indexStatus, error) {
	from, err := s.Index.From(ctx)
	if err != nil {
		return indexStatus{}, err
	}
	p := s.Follower.Progress()
	x := indexStatus{State: p.State, From: from, Rebuilt: p.Rebuilt}
	if p.Message != "" {
		x.Message = &p.Message
	}
	if p.Node > 0 {
		behind := max(0, p.Node-s.Index.Height())
		x.Node, x.Behind = &p.Node, &behind
	}
	return x, nil
}

// now adds what only the ledger knows; what it does not say stays null.
func (s *Server) now(ctx context.Context, a *statusAnswer) {
	if m, err := ask(s, ctx, func(ctx context.Context) (live.Money, error) { return s.Ledger.Money(ctx) }); err == nil {
		a.Take, a.Price, a.Supply = &m.Take, &m.Price, &m.Supply
	}
	if c, err := ask(s, ctx, func(ctx context.Context) (live.Clock, error) { return s.Ledger.Clock(ctx) }); err == nil && a.Epoch != nil {
		a.Epoch.Ends, a.Epoch.Seconds = &c.Ends, &c.Seconds
	}
	all, err := ask(s, ctx, func(ctx context.Context) ([]live.Validator, error) { return s.Ledger.Validators(ctx) })
	if err != nil {
		return
	}
	t := validatorTotals{}
	var power int64
	for _, v := range all {
		if v.Status == "bonded" {
			t.Bonded++
			n, _ := strconv.ParseInt(v.Tokens, 10, 64) // the ledger's own number
			power += n
		}
	}
	t.Power = strconv.FormatInt(power, 10)
	a.Validators = &t
}

// remembered is an answer that holds for one height.
type remembered struct {
	height int64
	value  any
}

// once computes an answer once for each height.
func once[T any](s *Server, key string, f func() (T, error)) (T, error) {
	height := s.Index.Height()
	s.mu.Lock()
	m, ok := s.memo[key]
	s.mu.Unlock()
	if ok && m.height == height {
		return m.value.(T), nil
	}
	v, err := f()
	if err != nil {
		return v, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.memo) > 1000 {
		clear(s.memo)
	}
	s.memo[key] = remembered{height, v}
	return v, nil
}

func (s *Server) overview(ctx context.Context) (index.Overview, error) {
	return once(s, "overview", func() (index.Overview, error) { return s.Index.Overview(ctx) })
}

func (s *Server) search(r *request) (any, error) {
	q := strings.TrimSpace(r.text("q"))
	if q == "" || len(q) > 128 {
		return nil, bad("q: want 1 to 128 letters of an id, hash, height, address or name")
	}
	hits, err := s.Index.Search(r.Context(), q)
	if err != nil {
		return nil, err
	}
	found, err := s.Catalog.List(atlas.Filter{Text: q})
	if err == nil {
		for i, e := range found {
			if i == 10 {
				break
			}
			hits = append(hits, index.Hit{Type: "atlas", ID: e.ID, Name: e.Name, Link: "/v1/atlas/entries/" + e.ID})
		}
	}
	return all(hits, s.Index.Height()), nil
}

func (s *Server) blocks(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	full, err := r.flag("full")
	if err != nil {
		return nil, err
	}
	l, err := s.Index.Blocks(r.Context(), full, p)
	return page[index.Block]{l}, err
}

func (s *Server) block(r *request) (any, error) {
	n, err := r.pathNumber("height")
	if err != nil {
		return nil, err
	}
	b, err := s.Index.Block(r.Context(), n)
	if errors.Is(err, index.ErrNotFound) {
		return nil, &problem{404, "not_found", fmt.Sprintf("block %d is not in the index", n), fmt.Sprintf("/v1/blocks/%d is the newest", s.Index.Height())}
	}
	if err != nil {
		return nil, err
	}
	txs, err := s.Index.Txs(r.Context(), index.TxFilter{Height: n}, index.Page{Limit: index.MaxLimit})
	if err != nil {
		return nil, err
	}
	events, err := s.Index.EventsOf(r.Context(), n)
	if err != nil {
		return nil, err
	}
	return map[string]any{"block": b, "txs": txs.Items, "events": events[:min(200, len(events))], "height": txs.Height}, nil
}

func (s *Server) txs(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	f := index.TxFilter{Account: r.text("account"), Type: r.text("type")}
	if f.Failed, err = r.flag("failed"); err != nil {
		return nil, err
	}
	if f.Height, err = r.number("height", 0); err != nil {
		return nil, err
	}
	l, err := s.Index.Txs(r.Context(), f, p)
	return page[index.Tx]{l}, err
}

func (s *Server) tx(r *request) (any, error) {
	hash := strings.ToLower(r.PathValue("hash"))
	t, err := s.Index.Tx(r.Context(), hash)
	if err != nil {
		return nil, s.near(r, "tx", hash, err)
	}
	events, err := s.Index.EventsOf(r.Context(), t.Height)
	if err != nil {
		return nil, err
	}
	own := []index.Event{}
	for _, e := range events {
		if e.Tx != nil && *e.Tx == t.Hash.String() {
			own = append(own, e)
		}
	}
	out := map[string]any{"tx": t, "events": own, "messages": nil, "height": s.Index.Height()}
	messages, err := ask(s, r.Context(), func(ctx context.Context) (any, error) { return s.Ledger.Messages(ctx, t.Height, t.Index) })
	if err == nil {
		out["messages"] = messages
	}
	return out, nil
}

// near adds the nearest known id to an error about an unknown one.
func (s *Server) near(r *request, kind, id string, err error) error {
	if !errors.Is(err, index.ErrNotFound) {
		return err
	}
	p := &problem{404, "not_found", fmt.Sprintf("the index has no %s %s", kind, cut(strconv.QuoteToASCII(id), 80)), ""}
	found, e := s.Index.Nearest(r.Context(), kind, id)
	if e != nil {
		return e
	}
	if found != "" {
		p.suggestion = found
	}
	return p
}

func cut(s string, n int) string { return s[:min(n, len(s))] }

func (s *Server) validators(r *request) (any, error) {
	list, err := ask(s, r.Context(), func(ctx context.Context) ([]live.Validator, error) { return s.Ledger.Validators(ctx) })
	if err != nil {
		return nil, err
	}
	proposed, err := s.Index.Proposed(r.Context())
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Proposed = proposed[list[i].Consensus]
	}
	return all(list, s.Index.Height()), nil
}

func (s *Server) consensus(r *request) (any, error) {
	c, err := ask(s, r.Context(), func(ctx context.Context) (live.Consensus, error) { return s.Ledger.Consensus(ctx) })
	if err != nil {
		return nil, err
	}
	c.CatchingUp = s.Follower.Progress().State != "following"
	return c, nil
}

func (s *Server) account(r *request) (any, error) {
	address := r.PathValue("address")
	devices, leases, txs, earned, err := s.Index.Account(r.Context(), address)
	if err != nil {
		return nil, err
	}
	balances, e := ask(s, r.Context(), func(ctx context.Context) (map[string]string, error) { return s.Ledger.Balances(ctx, address) })
	switch {
	case e != nil && !errors.Is(e, errLedger) && devices+leases+txs == 0, e == nil && len(balances) == 0 && devices+leases+txs == 0:
		return nil, &problem{404, "not_found", "no account " + cut(strconv.QuoteToASCII(address), 80) + " is known", "addresses begin with grange1; /v1/search finds devices and leases"}
	case e != nil:
		balances = nil
	}
	return map[string]any{"address": address, "balances": balances, "devices": devices, "leases_paid_for": leases, "txs": txs, "earned_ucredit": earned, "height": s.Index.Height()}, nil
}
