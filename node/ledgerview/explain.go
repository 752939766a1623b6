package ledgerview

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/verify"
)

// Explanation is why a device was, or was not, paid for an epoch.
type Explanation struct {
	Device  string       `json:"device"`
	Class   string       `json:"class"` // prn where the place of a device counts
	Owner   string       `json:"owner"`
	Epoch   uint64       `json:"epoch"`
	Ended   bool         `json:"ended"`
	Outcome Outcome      `json:"outcome"`
	Leases  []LeaseTerms `json:"leases"`
	Slashed uint64       `json:"slashed_ugrain"`
	Payouts []Payout     `json:"payouts"` // who gets the net, liens first, the owner the rest
	Take    TakeTerms    `json:"take"`
	Settled Settled      `json:"settled"`
	Bonus   BonusTerms   `json:"bonus"`
	// Evidence is what verifiers published, by vertical, where the reader has it.
	Evidence []verify.EvidenceTerms `json:"evidence,omitempty"`
	Reasons  []string               `json:"reasons"` // the same in sentences
}

// LeaseTerms is what an epoch did to one lease.
type LeaseTerms struct {
	Lease     string `json:"lease"`
	Outcome   string `json:"outcome"`
	Accrued   bool   `json:"accrued"` // the ledger has paid or refused this epoch's hold
	UnitsHeld uint64 `json:"units_held"`
	HoldOwed  uint64 `json:"hold_owed_ucredit"`
	HoldPaid  uint64 `json:"hold_paid_ucredit"`
	UnitsUsed uint64 `json:"units_used"`
	UsePaid   uint64 `json:"use_paid_ucredit"`
	Take      uint64 `json:"take_ucredit"`
	Net       uint64 `json:"net_ucredit"`
}

// TakeTerms are the shares taken out of everything paid, in 1/10000, and what
// they came to for this epoch's leases. Each part is rounded down per payment,
// so the parts may add up to a little less than the whole.
type TakeTerms struct {
	BurnBPS       uint32 `json:"burn_bps"`
	ValidatorsBPS uint32 `json:"validators_bps"`
	TreasuryBPS   uint32 `json:"treasury_bps"`
	Ucredit       uint64 `json:"ucredit"`
}

// Settled sums the payments that ran while the epoch was the current one,
// whatever epoch they were for; the bonus is computed from it.
type Settled struct {
	HoldPaid uint64 `json:"hold_paid_ucredit"`
	UsePaid  uint64 `json:"use_paid_ucredit"`
	Burned   uint64 `json:"burned_ucredit"`
	Net      uint64 `json:"net_ucredit"`
}

// BonusTerms are what the GRAIN bonus on an epoch's usage is computed from, and
// what became of it.
type BonusTerms struct {
	verify.BonusTerms
	ReportedIn uint64 `json:"reported_epoch"` // newest accepted report; 0 for none yet
	Claimed    uint64 `json:"claimed_ugrain"` // lifetime, all verticals
}

// Explain lists, term by term, what an epoch paid a device and why.
func (v *View) Explain(ctx context.Context, device string, epoch uint64) (Explanation, error) {
	d, err := v.Device(ctx, device)
	if err != nil {
		return Explanation{}, err
	}
	now, err := v.Epoch(ctx, 0)
	if err != nil {
		return Explanation{}, err
	}
	if epoch == 0 || epoch > now.Number {
		return Explanation{}, fmt.Errorf("explain epoch %d: the ledger is in epoch %d: %w", epoch, now.Number, ErrNotFound)
	}
	x := Explanation{Device: d.ID, Class: d.Class, Owner: d.Owner, Epoch: epoch, Ended: epoch < now.Number, Payouts: d.Payouts, Leases: []LeaseTerms{}}
	if x.Outcome, err = v.Outcome(ctx, d.ID, epoch); err != nil && !errors.Is(err, ErrNotFound) {
		return x, err
	}
	if err := v.explainMarket(ctx, &x); err != nil {
		return x, err
	}
	x.idle()
	if err := v.explainBonus(ctx, &x); err != nil {
		return x, err
	}
	x.Reasons = x.sentences()
	return x, nil
}

// Idle is the outcome shown of an epoch in which a device held nothing: the ledger
// calls an epoch without a proof faulted, or proven where no challenge was drawn,
// which costs and earns nothing then.
const Idle = "idle"

// idle replaces the outcome where there was nothing to prove.
func (x *Explanation) idle() {
	held := x.Slashed > 0
	for i := range x.Leases {
		l := &x.Leases[i]
		held = held || l.UnitsHeld > 0
		if l.UnitsHeld == 0 && l.Outcome == "faulted" {
			l.Outcome = Idle
		}
	}
	if decided := x.Outcome.Outcome == "faulted" || x.Outcome.Outcome == "proven"; decided && !held {
		x.Outcome.Outcome = Idle
	}
}

func (v *View) explainMarket(ctx context.Context, x *Explanation) error {
	id, err := ParseID(x.Device)
	if err != nil {
		return err
	}
	r, err := v.market.Explain(ctx, &marketpb.QueryExplainRequest{Epoch: x.Epoch, Device: id})
	if err != nil {
		return v.explain(fmt.Sprintf("explain epoch %d of device %s", x.Epoch, x.Device), err)
	}
	for _, l := range r.Leases {
		x.Leases = append(x.Leases, LeaseTerms{
			Lease: hex.EncodeToString(l.Lease), Outcome: lastWord(l.Outcome.String()), Accrued: l.Seen,
			UnitsHeld: l.UnitsHeld, HoldOwed: l.HoldOwed, HoldPaid: l.HoldPaid,
			UnitsUsed: l.UnitsUsed, UsePaid: l.UsePaid, Take: l.Take, Net: l.Net,
		})
		x.Take.Ucredit += l.Take
	}
	x.Slashed = r.Slashed
	if u := r.Usage; u != nil {
		x.Settled = Settled{HoldPaid: u.HoldPaid, UsePaid: u.UsePaid, Burned: u.Burned, Net: u.Net}
	}
	return nil
}

func (v *View) explainBonus(ctx context.Context, x *Explanation) error {
	p, err := v.credit.Params(ctx, &creditpb.QueryParamsRequest{})
	if err != nil {
		return v.explain("read parameters of credit", err)
	}
	x.Take.BurnBPS, x.Take.ValidatorsBPS, x.Take.TreasuryBPS = p.Params.BurnBps, p.Params.ValidatorsBps, p.Params.TreasuryBps
	b := &x.Bonus
	b.RebateBPS = p.Params.RebateBps // until the epoch's own record is there
	b.ReportedIn = v.Reported(ctx)
	if c, err := v.oracle.Claimed(ctx, &oraclepb.QueryClaimedRequest{Device: x.Device}); err == nil {
		b.Claimed = c.Paid
	}
	if !x.Ended {
		return nil
	}
	r, err := v.credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: x.Epoch})
	if err = v.explain(fmt.Sprintf("read record of epoch %d", x.Epoch), err); errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	used, err := v.market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: x.Epoch})
	if err != nil {
		return v.explain(fmt.Sprintf("read usage of epoch %d", x.Epoch), err)
	}
	b.BonusTerms, err = verify.ExplainBonus(r.Record, used.Usage, x.Device)
	return err
}

// Reported is the newest epoch with an accepted report, of any vertical; 0 for none.
func (v *View) Reported(ctx context.Context) (newest uint64) {
	p, err := v.oracle.Params(ctx, &oraclepb.QueryParamsRequest{})
	if err != nil {
		return 0
	}
	for _, name := range p.Params.Verticals {
		if r, err := v.oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: name}); err == nil && r.Report != nil {
			newest = max(newest, r.Report.Epoch)
		}
	}
	return newest
}

// sentences says the same as the terms, for a person.
func (x Explanation) sentences() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch x.Outcome.Outcome {
	case "proven":
		say("The device answered every challenge of epoch %d, so what it held is paid.", x.Outcome.DecidedBy)
	case "faulted":
		say("The device had to answer challenges in epoch %d and did not, so it gets nothing for what it held.", x.Outcome.DecidedBy)
	case Idle:
		say("The device held nothing in epoch %d, so there was nothing to prove.", x.Epoch)
	default:
		say("Nothing is decided yet: the epoch runs, or no beacon was made in it; it takes the outcome of the next decided epoch.")
	}
	if x.Slashed > 0 {
		say("The fault cost %d ugrain of the bond.", x.Slashed)
	}
	if len(x.Leases) == 0 {
		say("No lease of the device held anything or settled a receipt in this epoch.")
	}
	for _, l := range x.Leases {
		switch {
		case !l.Accrued && l.UnitsHeld > 0:
			say("Lease %s held %d bytes; the ledger has not settled that yet.", short(l.Lease), l.UnitsHeld)
		case l.HoldPaid < l.HoldOwed:
			say("Lease %s owed %d ucredit for what was held but had only %d left for it.", short(l.Lease), l.HoldOwed, l.HoldPaid)
		}
	}
	if !x.Ended {
		say("The epoch has not ended, so its bonus is not computed yet.")
	} else if x.Settled.Burned == 0 {
		say("There is no bonus: the payments settled during the epoch burned nothing for this device.")
	} else {
		say("The payments settled during the epoch burned %d ucredit, for which the bonus is %d ugrain: the smaller of %d %% of the burn and the device's part of the pool.",
			x.Settled.Burned, x.Bonus.Bonus, x.Bonus.RebateBPS/100)
	}
	return out
}

func short(id string) string { return id[:min(12, len(id))] }
