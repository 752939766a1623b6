package api

import (
	"context"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
	"github.com/grange-network/grange/h3"
)

func deviceFilter(r *request) (f index.DeviceFilter, err error) {
	f = index.DeviceFilter{Owner: r.text("owner"), Capability: r.text("capability")}
	if f.Class, err = r.oneOf("class", "prn", "drn"); err != nil {
		return f, err
	}
	if f.Status, err = r.oneOf("status", "active", "paused", "retired"); err != nil {
		return f, err
	}
	if f.Outcome, err = r.oneOf("outcome", "proven", "faulted", "idle"); err != nil {
		return f, err
	}
	for _, key := range []string{"cell", "within"} {
		if text := r.text(key); text != "" {
			if f.Cell, err = h3.Parse(text); err != nil || f.Cell.Resolution() > h3.PublishedResolution {
				return f, bad("%s %.20q: want an H3 cell of resolution %d or coarser, in hex", key, text, h3.PublishedResolution)
			}
		}
	}
	if text := r.text("bbox"); text != "" {
		f.Box, err = index.ParseBox(text)
	}
	return f, err
}

func (s *Server) devices(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	f, err := deviceFilter(r)
	if err != nil {
		return nil, err
	}
	l, err := s.Index.Devices(r.Context(), f, p)
	return page[index.Device]{l}, err
}

func (s *Server) device(r *request) (any, error) {
	ctx, id := r.Context(), strings.ToLower(r.PathValue("id"))
	d, err := s.Index.Device(ctx, id)
	if err != nil {
		return nil, s.near(r, "device", id, err)
	}
	offers, err := s.Index.Offers(ctx, index.OfferFilter{Device: id}, index.Page{})
	if err != nil {
		return nil, err
	}
	leases, err := s.Index.Leases(ctx, index.LeaseFilter{Device: id}, index.Page{})
	if err != nil {
		return nil, err
	}
	rewards, err := s.Index.Rewards(ctx, index.RewardFilter{Device: id}, index.Page{})
	if err != nil {
		return nil, err
	}
	proofs, err := s.Index.Proofs(ctx, id, 0, index.Page{Limit: 20})
	if err != nil {
		return nil, err
	}
	claimed, err := s.Index.GrainClaimed(ctx, id)
	if err != nil {
		return nil, err
	}
	payouts, err := ask(s, ctx, func(ctx context.Context) ([]live.Payout, error) { return s.Ledger.Payouts(ctx, id) })
	if err != nil {
		payouts = nil
	}
	return map[string]any{"device": d, "claimed_ugrain": claimed, "offers": offers.Items, "leases": leases.Items, "epochs": rewards.Items, "proofs": proofs.Items, "payouts": payouts, "height": rewards.Height}, nil
}

func (s *Server) offers(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	f := index.OfferFilter{Kind: r.text("kind"), Device: strings.ToLower(r.text("device")), Owner: r.text("owner")}
	if f.Status, err = r.oneOf("status", "open", "paused", "withdrawn"); err != nil {
		return nil, err
	}
	l, err := s.Index.Offers(r.Context(), f, p)
	if err != nil && f.Device != "" {
		err = s.near(r, "device", f.Device, err)
	}
	return page[index.Offer]{l}, err
}

func (s *Server) leases(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	f := index.LeaseFilter{Device: strings.ToLower(r.text("device")), Owner: r.text("owner"), Payer: r.text("payer"), Kind: r.text("kind")}
	if f.State, err = r.oneOf("state", "open", "grace", "closing", "closed"); err != nil {
		return nil, err
	}
	if f.Offer, err = r.number("offer", 0); err != nil {
		return nil, err
	}
	l, err := s.Index.Leases(r.Context(), f, p)
	if err != nil && f.Device != "" {
		err = s.near(r, "device", f.Device, err)
	}
	return page[index.Lease]{l}, err
}

func (s *Server) lease(r *request) (any, error) {
	ctx, id := r.Context(), strings.ToLower(r.PathValue("id"))
	l, err := s.Index.Lease(ctx, id)
	if err != nil {
		return nil, s.near(r, "lease", id, err)
	}
	receipts, err := s.Index.Receipts(ctx, "", id, index.Page{})
	if err != nil {
		return nil, err
	}
	epochs, err := s.Index.EpochsOfLease(ctx, id, 100)
	if err != nil {
		return nil, err
	}
	states, err := s.Index.States(ctx, id)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"lease": l, "receipts": receipts.Items, "epochs": epochs, "states": states, "height": receipts.Height,
		"lanes": nil, "commitments": nil, "left_ucredit": nil, "refunded_ucredit": nil, "until_epoch": nil,
	}
	if now, err := ask(s, ctx, func(ctx context.Context) (live.Lease, error) { return s.Ledger.Lease(ctx, id) }); err == nil {
		out["lanes"], out["commitments"], out["left_ucredit"], out["refunded_ucredit"], out["until_epoch"] = now.Lanes, now.Commitments, now.Left, now.Refunded, now.Until
	}
	return out, nil
}

func (s *Server) receipts(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	device, lease := strings.ToLower(r.text("device")), strings.ToLower(r.text("lease"))
	l, err := s.Index.Receipts(r.Context(), device, lease, p)
	if err != nil && lease != "" {
		err = s.near(r, "lease", lease, err)
	} else if err != nil && device != "" {
		err = s.near(r, "device", device, err)
	}
	return page[index.Receipt]{l}, err
}

// wish is what a buyer looks for.
type wish struct {
	kind, capability string
	capacity, bond   int64
	hold, use        *index.Price
	attributes       [][2]string
	within           map[string]bool // devices; nil for all
	proven           bool
}

// rules of a match in the order they are asked.
var rules = []string{"kind", "status", "device", "capability", "capacity", "hold_price", "use_price", "bond", "attribute", "cell", "proven"}

type matched struct {
	Offer    index.Offer `json:"offer"`
	Eligible bool        `json:"eligible"`
	Rule     *string     `json:"rule"`
	Why      *string     `json:"why"`
}

type ruleCount struct {
	Rule  string `json:"rule"`
	Fails int    `json:"fails"`
}

// maxMatched bounds the offers that are looked at.
const maxMatched = 5000

func (s *Server) match(r *request) (any, error) {
	w, err := s.wish(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	devices := map[string]index.Device{}
	for p := (index.Page{Limit: index.MaxLimit}); ; {
		l, err := s.Index.Devices(ctx, index.DeviceFilter{}, p)
		if err != nil {
			return nil, err
		}
		for _, d := range l.Items {
			devices[d.ID.String()] = d
		}
		if l.Next == nil || len(devices) >= maxMatched {
			break
		}
		p.After = *l.Next
	}
	out := []matched{}
	for p := (index.Page{Limit: index.MaxLimit}); len(out) < maxMatched; {
		l, err := s.Index.Offers(ctx, index.OfferFilter{}, p)
		if err != nil {
			return nil, err
		}
		for _, o := range l.Items {
			m := matched{Offer: o, Eligible: true}
			if rule, why := w.judge(o, devices[o.Device.String()]); rule != "" {
				m.Eligible, m.Rule, m.Why = false, &rule, &why
			}
			out = append(out, m)
		}
		if l.Next == nil {
			break
		}
		p.After = *l.Next
	}
	return s.verdict(out), nil
}

func (s *Server) verdict(out []matched) any {
	counts := make([]ruleCount, len(rules))
	eligible := 0
	for i, rule := range rules {
		counts[i].Rule = rule
	}
	for _, m := range out {
		if m.Eligible {
			eligible++
		} else {
			counts[slices.Index(rules, *m.Rule)].Fails++
		}
	}
	slices.SortStableFunc(out, func(a, b matched) int {
		switch {
		case a.Eligible != b.Eligible && a.Eligible:
			return -1
		case a.Eligible != b.Eligible:
			return 1
		}
		return compare(a.Offer.Hold, b.Offer.Hold)
	})
	summary := plural(eligible, "offer fits", "offers fit") + " of " + strconv.Itoa(len(out)) + "."
	if eligible == 0 {
		most := slices.MaxFunc(counts, func(a, b ruleCount) int { return a.Fails - b.Fails })
		summary = "No offer fits."
		if most.Fails > 0 {
			summary += " Most fail at " + strings.ReplaceAll(most.Rule, "_", " ") + " first: " + strconv.Itoa(most.Fails) + " of " + strconv.Itoa(len(out)) + "."
		}
	}
	return map[string]any{"items": out[:min(len(out), 500)], "eligible": eligible, "rejected": len(out) - eligible, "rules": counts, "summary": summary, "height": s.Index.Height()}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// compare orders prices; none is dearest.
func compare(a, b *index.Price) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return big.NewRat(int64(a.Credits), int64(a.Per)).Cmp(big.NewRat(int64(b.Credits), int64(b.Per)))
}

func (s *Server) wish(r *request) (w wish, err error) {
	if w.kind = r.text("kind"); w.kind == "" {
		return w, bad("kind: want the kind of offers, such as storage")
	}
	w.capability = r.text("capability")
	if w.capacity, err = r.number("capacity_units", 0); err != nil {
		return w, err
	}
	if w.bond, err = r.number("bond_ugrain", 0); err != nil {
		return w, err
	}
	if w.hold, err = readPrice(r, "hold"); err != nil {
		return w, err
	}
	if w.use, err = readPrice(r, "use"); err != nil {
		return w, err
	}
	for _, a := range r.query["attribute"] {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			return w, bad("attribute %.40q: want key=value", a)
		}
		w.attributes = append(w.attributes, [2]string{k, v})
	}
	if w.proven, err = r.flag("proven"); err != nil || r.text("cell") == "" {
		return w, err
	}
	f, err := deviceFilter(&request{r.Request, map[string][]string{"cell": {r.text("cell")}}})
	if err != nil {
		return w, err
	}
	w.within = map[string]bool{}
	for p := (index.Page{Limit: index.MaxLimit}); ; {
		l, err := s.Index.Devices(r.Context(), f, p)
		if err != nil {
			return w, err
		}
		for _, d := range l.Items {
			w.within[d.ID.String()] = true
		}
		if l.Next == nil {
			return w, nil
		}
		p.After = *l.Next
	}
}

func readPrice(r *request, key string) (*index.Price, error) {
	s := r.text(key)
	if s == "" {
		return nil, nil
	}
	a, b, _ := strings.Cut(s, "/")
	credits, err1 := strconv.ParseInt(a, 10, 64)
	per, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil || credits < 0 || per < 1 {
		return nil, bad("%s %.40q: want credits/per, such as 20/1000000000", key, s)
	}
	return &index.Price{Credits: index.Amount(credits), Per: index.Amount(per)}, nil
}

// judge returns the first rule that an offer fails, and why.
func (w wish) judge(o index.Offer, d index.Device) (rule, why string) {
	switch {
	case o.Kind != w.kind:
		return "kind", "it is of kind " + o.Kind
	case o.Status != "open":
		return "status", "it is " + o.Status + " and takes no new lease"
	case d.Status != "active":
		return "device", "its device is " + d.Status
	case w.capability != "" && !slices.Contains(d.Capabilities, w.capability):
		return "capability", "its device has no " + w.capability
	case int64(o.Free) < w.capacity:
		return "capacity", "it has " + o.Free.String() + " of " + strconv.FormatInt(w.capacity, 10) + " units free on this one device"
	case w.hold != nil && o.Hold != nil && compare(o.Hold, w.hold) > 0:
		return "hold_price", "it asks " + o.Hold.Credits.String() + " ucredit for holding " + o.Hold.Per.String() + " units"
	case w.use != nil && o.Use != nil && compare(o.Use, w.use) > 0:
		return "use_price", "it asks " + o.Use.Credits.String() + " ucredit for using " + o.Use.Per.String() + " units"
	case int64(o.Bond) < w.bond:
		return "bond", "it bonds " + o.Bond.String() + " ugrain"
	}
	for _, a := range w.attributes {
		if got, ok := o.Attributes[a[0]]; !ok {
			return "attribute", "it does not say " + a[0]
		} else if got != a[1] {
			return "attribute", "its " + a[0] + " is " + got
		}
	}
	switch {
	case w.within != nil && !w.within[o.Device.String()]:
		return "cell", "its device is not in that cell, or has none"
	case w.proven && d.Outcome != nil && *d.Outcome == "faulted":
		return "proven", "its device did not prove what it holds in epoch " + strconv.FormatInt(*d.OutcomeEpoch, 10)
	}
	return "", ""
}
