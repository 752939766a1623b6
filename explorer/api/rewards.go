package api

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
)

// storage is the vertical that this network pays a bonus for today.
const storage = "storage"

func (s *Server) proofs(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	epoch, err := r.number("epoch", 0)
	if err != nil {
		return nil, err
	}
	device := strings.ToLower(r.text("device"))
	l, err := s.Index.Proofs(r.Context(), device, epoch, p)
	if err != nil && device != "" {
		err = s.near(r, "device", device, err)
	}
	return page[index.Proof]{l}, err
}

func (s *Server) epochs(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	l, err := s.Index.Epochs(r.Context(), p)
	return page[index.Epoch]{l}, err
}

func (s *Server) epoch(r *request) (any, error) {
	n, err := r.pathNumber("number")
	if err != nil {
		return nil, err
	}
	e, err := s.findEpoch(r.Context(), n)
	if err != nil {
		return nil, err
	}
	reports, err := s.Index.Reports(r.Context(), n)
	if err != nil {
		return nil, err
	}
	rewards, err := s.Index.TopRewards(r.Context(), n)
	if err != nil {
		return nil, err
	}
	return map[string]any{"epoch": e, "reports": reports, "rewards": rewards, "height": s.Index.Height()}, nil
}

func (s *Server) findEpoch(ctx context.Context, n int64) (index.Epoch, error) {
	e, err := s.Index.Epoch(ctx, n)
	if err == nil {
		return e, nil
	}
	now, e2 := s.Index.Epoch(ctx, 0)
	if e2 != nil {
		return e, err
	}
	return e, &problem{404, "not_found", fmt.Sprintf("epoch %d is not in the index", n), fmt.Sprintf("/v1/epochs/%d runs now", now.Number)}
}

func (s *Server) rewards(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	f := index.RewardFilter{Device: strings.ToLower(r.text("device")), Owner: r.text("owner")}
	if f.Epoch, err = r.number("epoch", 0); err != nil {
		return nil, err
	}
	l, err := s.Index.Rewards(r.Context(), f, p)
	if err != nil && f.Device != "" {
		err = s.near(r, "device", f.Device, err)
	}
	return page[index.Reward]{l}, err
}

type whyTake struct {
	Burn       uint32 `json:"burn_bps"`
	Validators uint32 `json:"validators_bps"`
	Treasury   uint32 `json:"treasury_bps"`
}

type whyAnswer struct {
	Device   index.ID           `json:"device"`
	Owner    *string            `json:"owner"`
	Epoch    int64              `json:"epoch"`
	Ended    bool               `json:"ended"`
	Outcome  *string            `json:"outcome"`
	Reasons  []string           `json:"reasons"`
	Reward   index.Reward       `json:"reward"`
	Leases   []index.LeaseEpoch `json:"leases"`
	Proof    *index.Proof       `json:"proof"`
	Receipts []index.Receipt    `json:"receipts"`
	Take     *whyTake           `json:"take"`
	Bonus    *live.Bonus        `json:"bonus"`
	Evidence []live.Evidence    `json:"evidence"`
	Height   int64              `json:"height"`
}

// why walks from a reward to its terms, proof and receipts.
func (s *Server) why(r *request) (any, error) {
	ctx, device := r.Context(), strings.ToLower(r.PathValue("device"))
	n, err := r.pathNumber("epoch")
	if err != nil {
		return nil, err
	}
	if _, err := s.Index.Device(ctx, device); err != nil {
		return nil, s.near(r, "device", device, err)
	}
	if _, err := s.findEpoch(ctx, n); err != nil {
		return nil, err
	}
	w, err := s.Index.Why(ctx, device, n)
	if err != nil {
		return nil, err
	}
	a := whyAnswer{
		Device: w.Device.ID, Owner: &w.Device.Owner, Epoch: n, Ended: w.Epoch.Ended, Outcome: w.Reward.Outcome, Reward: w.Reward,
		Leases: w.Leases, Proof: w.Proof, Receipts: w.Receipts, Height: s.Index.Height(),
	}
	if m, err := ask(s, ctx, func(ctx context.Context) (live.Money, error) { return s.Ledger.Money(ctx) }); err == nil {
		a.Take = &whyTake{m.Take.Burn, m.Take.Validators, m.Take.Treasury}
	}
	if a.Ended {
		if b, err := ask(s, ctx, func(ctx context.Context) (live.Bonus, error) { return s.Ledger.Bonus(ctx, device, uint64(n)) }); err == nil {
			a.Bonus = &b
		}
	}
	if a.Evidence, err = s.Published.Evidence(device, uint64(n)); err != nil {
		s.Log.Warn("published epoch cannot be read", "epoch", n, "error", err)
	}
	a.Reasons = a.sentences()
	return a, nil
}

// unweighed: GRAIN came to the device, which neither held nor sold anything, and
// nothing is published that says how this epoch weighs.
func (a whyAnswer) unweighed() bool {
	return len(a.Evidence) == 0 && len(a.Leases) == 0 && a.Reward.Claimed > 0
}

// sentences says the same as the terms.
func (a whyAnswer) sentences() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch *a.Outcome {
	case "proven":
		if a.Proof != nil && a.Proof.Units != nil {
			say("The device proved %s units in block %d, so what it held is paid.", a.Proof.Units, a.Proof.Height)
		} else {
			say("The device answered every challenge of the epoch, so what it held is paid.")
		}
	case "faulted":
		say("The device had to answer challenges and did not, so it gets nothing for what it held.")
	case "idle":
		if len(a.Evidence) == 0 {
			say("The device held nothing that had to be proven.")
		}
	default:
		say("Nothing is decided yet: the epoch runs, or it had no seed and takes the outcome of the next that has.")
	}
	if a.Reward.Slashed > 0 {
		say("Faults settled in this epoch cost %s GRAIN of its bonds.", grain(a.Reward.Slashed.String()))
	}
	for _, l := range a.Leases {
		switch {
		case l.Outcome == nil && l.Used == nil:
		case l.Outcome == nil:
			say("Lease %s: receipts settled %s units; what it held is not settled yet.", short(l.Lease), l.Used)
		case *l.Outcome == "proven" && l.HoldPaid != nil && *l.HoldPaid == 0 && l.Held != nil && *l.Held > 0:
			say("Lease %s held %s units but owed less than one ucredit for it, or its budget was used up.", short(l.Lease), l.Held)
		}
	}
	if a.unweighed() {
		say("What it observed in this epoch is not published here: verifiers weigh an epoch after its end, and keep it for a while. The %s GRAIN that came in this epoch are for earlier ones.", grain(a.Reward.Claimed.String()))
	}
	if len(a.Leases) == 0 && len(a.Evidence) == 0 {
		say("No lease of the device held anything or settled a receipt in this epoch.")
	}
	for _, e := range a.Evidence {
		out = append(out, ofEvidence(e)...)
	}
	say("Settlements that ran in the epoch paid %s credits for holding and %s for use; %s were taken, %s went to its payouts.",
		grain(a.Reward.HoldPaid.String()), grain(a.Reward.UsePaid.String()), grain(a.Reward.Take.String()), grain(a.Reward.Net.String()))
	switch {
	case !a.Ended:
		say("The epoch has not ended, so its bonus is not computed yet.")
	case a.Bonus == nil:
		say("The terms of the bonus are not known: the ledger does not answer, or no longer keeps this epoch's record.")
	case a.Bonus.Burned == "0" && a.unweighed():
		say("There is no bonus on use: what was settled burned nothing for this device.")
	case a.Bonus.Burned == "0" && len(a.Evidence) > 0:
		say("There is no bonus beside that: what was settled burned nothing for this device.")
	case a.Bonus.Burned == "0":
		say("There is no bonus: what was settled burned nothing for this device.")
	default:
		say("It burned %s GRAIN, for which the bonus is %s GRAIN: the smaller of %d.%02d %% of that and its part of the pool.",
			grain(a.Bonus.Burned), grain(a.Bonus.Bonus), a.Bonus.Rebate/100, a.Bonus.Rebate%100)
	}
	return out
}

// ofEvidence says what evidence earned a device, and what cost each part of it most.
func ofEvidence(e live.Evidence) []string {
	out := []string{fmt.Sprintf("What it signed for %s weighs %s of %s that all devices weigh together: it gets %s of %s GRAIN.", e.Vertical, e.Weight, e.WeightAll, grain(e.Granted), grain(e.Grant))}
	for _, p := range e.Parts {
		if t := worst(p.Terms); t != nil {
			out = append(out, fmt.Sprintf("Of its %s, what cost it most is \"%s\": %s of %s.", p.Name, t.Name, t.Value, *t.Of))
		}
	}
	if e.Penalty > 0 {
		out = append(out, fmt.Sprintf("Its evidence for %s costs it %d.%02d %% of the bonus on usage there.", e.Vertical, e.Penalty/100, e.Penalty%100))
	}
	return out
}

// worst is the term that took most of a product, nil when none took anything.
func worst(terms []live.Term) (out *live.Term) {
	least := big.NewRat(1, 1)
	for i, t := range terms {
		if t.Of == nil {
			continue
		}
		if part, ok := new(big.Rat).SetString(t.Value + "/" + *t.Of); ok && part.Cmp(least) < 0 {
			least, out = part, &terms[i]
		}
	}
	return out
}

// grain writes millionths as whole ones, as "0.24"; what is no number stays.
func grain(micro string) string {
	n, err := strconv.ParseInt(micro, 10, 64)
	if err != nil || n < 0 {
		return micro
	}
	text := strings.TrimRight(fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000), "0")
	return strings.TrimSuffix(text, ".")
}

func short(id index.ID) string { return cut(id.String(), 12) }

func (s *Server) health(r *request) (any, error) {
	ctx := r.Context()
	h, err := s.Index.Health(ctx, storage)
	if err != nil {
		return nil, err
	}
	o, err := s.overview(ctx)
	if err != nil {
		return nil, err
	}
	recent, err := s.Index.Epochs(ctx, index.Page{Limit: 51})
	if err != nil {
		return nil, err
	}
	type point struct {
		Epoch   int64         `json:"epoch"`
		Proven  *int64        `json:"proven"`
		Faulted *int64        `json:"faulted"`
		Units   *index.Amount `json:"proven_units"`
	}
	points := []point{}
	for _, e := range recent.Items {
		if e.Ended && len(points) < 50 {
			points = append(points, point{e.Number, e.Proven, e.Faulted, e.Units})
		}
	}
	slices.Reverse(points)
	problems := h.Problems
	if problems == nil {
		problems = []index.Problem{}
	}
	return map[string]any{
		"devices": h.Devices, "holding": h.Holding, "proven": o.Proven, "faulted": o.Faulted, "held_units": h.Held, "proven_units": o.ProvenUnits,
		"at_risk_leases": h.AtRisk, "decided_epoch": o.Decided, "epochs": points, "problems": problems, "holders": h.Holders, "height": s.Index.Height(),
	}, nil
}

type seriesPoint struct {
	Epoch       int64         `json:"epoch"`
	Started     *index.Time   `json:"started"`
	Paid        index.Amount  `json:"paid_ucredit"`
	Net         index.Amount  `json:"net_ucredit"`
	Take        index.Amount  `json:"take_ucredit"`
	Proven      *index.Amount `json:"proven_units"`
	Proofs      int64         `json:"proofs"`
	Faults      *int64        `json:"faults"`
	Receipts    int64         `json:"receipts"`
	DevicesPaid int64         `json:"devices_paid"`
	Slashed     index.Amount  `json:"slashed_ugrain"`
	Claimed     index.Amount  `json:"claimed_ugrain"`
	Pool        *index.Amount `json:"pool_ugrain"`
	Mid         *index.Amount `json:"mid_ucredit"`
}

// series are figures by epoch, oldest first.
func (s *Server) series(r *request) (any, error) {
	n, err := r.number("epochs", 200)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > 2000 {
		return nil, bad("epochs %d: want 1 to 2000", n)
	}
	device := strings.ToLower(r.text("device"))
	points, err := once(s, fmt.Sprintf("series %s %d", device, n), func() ([]seriesPoint, error) { return s.points(r.Context(), device, int(n)) })
	if err != nil && device != "" {
		err = s.near(r, "device", device, err)
	}
	return all(points, s.Index.Height()), err
}

func (s *Server) points(ctx context.Context, device string, n int) ([]seriesPoint, error) {
	points := []seriesPoint{}
	for p := (index.Page{Limit: min(n, index.MaxLimit)}); len(points) < n; {
		l, err := s.Index.Epochs(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, e := range l.Items {
			points = append(points, seriesPoint{e.Number, &e.Started, e.Paid, e.Net, e.Paid - e.Net, e.Units, e.Proofs, e.Faulted, e.Receipts, e.DevicesPaid, e.Slashed, e.Claimed, e.Pool, e.Mid})
		}
		if l.Next == nil {
			break
		}
		p.After = *l.Next
	}
	points = points[:min(n, len(points))]
	slices.Reverse(points)
	if device == "" {
		return points, nil
	}
	return s.pointsOf(ctx, device, points)
}

// pointsOf narrows points to one device.
func (s *Server) pointsOf(ctx context.Context, device string, points []seriesPoint) ([]seriesPoint, error) {
	at := map[int64]*seriesPoint{}
	for i := range points {
		e := &points[i]
		*e = seriesPoint{Epoch: e.Epoch, Started: e.Started, Pool: e.Pool, Mid: e.Mid}
		at[e.Epoch] = e
	}
	for p := (index.Page{Limit: index.MaxLimit}); ; {
		l, err := s.Index.Rewards(ctx, index.RewardFilter{Device: device}, p)
		if err != nil {
			return nil, err
		}
		for _, w := range l.Items {
			e, ok := at[w.Epoch]
			if !ok {
				return points, nil
			}
			e.Paid, e.Net, e.Take, e.Receipts, e.Slashed, e.Claimed, e.Proven = w.HoldPaid+w.UsePaid, w.Net, w.Take, w.Receipts, w.Slashed, w.Claimed, w.Proven
			if w.Net > 0 {
				e.DevicesPaid = 1
			}
			var fault int64
			if w.Proven != nil {
				e.Proofs = 1
			}
			if w.Outcome != nil && *w.Outcome == "faulted" {
				fault = 1
			}
			e.Faults = &fault
		}
		if l.Next == nil {
			return points, nil
		}
		p.After = *l.Next
	}
}
