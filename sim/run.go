package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/grange-network/grange/core/money"
)

// Day is what a run shows of one epoch.
type Day struct {
	Day         int    `json:"day"`
	Price       uint64 `json:"price_ucredit"`         // of a GRAIN, on the exchange
	Revenue     uint64 `json:"revenue_ucredit"`       // settled, with the take
	Burned      uint64 `json:"burned_ugrain"`         // by usage, for good
	Released    uint64 `json:"released_ugrain"`       // by the schedule: the bound of what may be minted
	Emission    uint64 `json:"emission_ugrain"`       // bonuses of the epoch
	EmissionUSD uint64 `json:"emission_ucredit"`      // the same, at the exchange's price
	Supply      uint64 `json:"supply_ugrain"`         // that exist
	Collateral  uint64 `json:"collateral_bps"`        // pool at the low price over the credits
	Halted      bool   `json:"redemption_halted"`     // at the end of the day, by the collateral ratio
	Waiting     uint64 `json:"waiting_ucredit"`       // in the redemption queue
	Outstanding uint64 `json:"outstanding_ucredit"`   // credits that exist
	Providers   int    `json:"providers"`             // at the end of the day
	CapacityTB  uint64 `json:"capacity_tb"`           //
	HeldTB      uint64 `json:"held_tb"`               // placed
	WantedTB    uint64 `json:"wanted_tb"`             // what buyers would have held
	PriceLevel  uint64 `json:"price_level_ppm"`       // of storage, of the start prices
	Income      int64  `json:"income_ucredit_tb"`     // a provider's mean dollars a day for each TB of capacity
	Return      int64  `json:"return_90d_bps"`        // of that on capex, after running costs
	HHI         uint64 `json:"concentration_hhi_bps"` // Herfindahl-Hirschman index of the providers' capacity in use
}

// AttackResult is what an attacker made.
type AttackResult struct {
	Kind   string `json:"kind"`
	Volume uint64 `json:"volume_ucredit"` // moved
	Profit int64  `json:"profit_ucredit"` // dollars and what is left on the ledger, less what went in
}

// PerMille is the profit on a thousand dollars moved, in ucredit.
func (a AttackResult) PerMille() int64 {
	if a.Volume == 0 {
		return 0
	}
	sign := int64(1)
	if a.Profit < 0 {
		sign = -1
	}
	return sign * int64(mulDiv(uint64(sign*a.Profit), 1000*dollar, a.Volume))
}

// Result is one run.
type Result struct {
	Seed    uint64         `json:"seed"`
	Days    []Day          `json:"days"`
	Attacks []AttackResult `json:"attacks,omitempty"`
	Entered int            `json:"entered"` // providers that ever were
	Left    int            `json:"left"`
	Totals  Totals         `json:"totals"`
}

// Run runs a scenario with a seed. It fails when the scenario is not valid, and
// when the books do not add up after an epoch; the same scenario and seed give
// the same Result on every machine.
func Run(s Scenario, seed uint64) (Result, error) {
	return run(context.Background(), s, seed)
}

func run(ctx context.Context, s Scenario, seed uint64) (Result, error) {
	w, err := newWorld(s, seed)
	if err != nil {
		return Result{}, fmt.Errorf("begin run %d of scenario %s: %w", seed, s.Name, err)
	}
	r := Result{Seed: seed, Days: make([]Day, 0, s.Days)}
	for day := range s.Days {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := w.runDay(day); err != nil {
			return r, fmt.Errorf("run %d of scenario %s: %w", seed, s.Name, err)
		}
		r.Days = append(r.Days, w.today())
	}
	for i, a := range w.attackers {
		profit := a.usd
		if started(a) {
			profit += a.attack.wealth(w, a)
		}
		r.Attacks = append(r.Attacks, AttackResult{s.Attackers[i].Kind, uint64(a.attack.moved()), profit})
	}
	r.Entered, r.Left, r.Totals = w.supply.served, w.supply.left, w.book.totals
	return r, nil
}

func started(p *party) bool {
	a, ok := p.attack.(*waiting)
	return ok && a.started
}

func (w *world) today() Day {
	at, b, s := w.exchange.price(), w.book, &w.supply
	return Day{
		Day: w.day, Price: at, Revenue: uint64(w.record.Revenue),
		Burned: uint64(w.record.BurnedGrain), Released: uint64(w.record.Released),
		Emission: uint64(w.record.Bonus), EmissionUSD: uint64(w.exchange.worth(w.record.Bonus)),
		Supply: uint64(b.Supply()), Collateral: b.Collateral(), Halted: b.Halted(), Waiting: uint64(b.queued), Outstanding: uint64(b.outstanding()),
		Providers: len(s.list), CapacityTB: s.capMB / mbPerTB, HeldTB: s.heldMB / mbPerTB, WantedTB: w.demand.wantedMB / mbPerTB,
		PriceLevel: s.holdPPM, Income: s.incomeTB, Return: w.returnBPS(), HHI: w.concentration(),
	}
}

// concentration is Σ share², of what providers hold, in bps: 10000 is one
// provider with everything.
func (w *world) concentration() uint64 {
	var total, sum uint64
	held := func(p *provider) uint64 {
		if p.lease == nil {
			return 0
		}
		return lastUnits(p.lease)
	}
	for _, p := range w.supply.list {
		total += held(p)
	}
	for _, p := range w.supply.list {
		share := mulDiv(held(p), ppm, total)
		sum += share * share / ppm
	}
	return sum * uint64(money.Whole) / ppm
}

// MaxParallel bounds the runs that go on at once.
const MaxParallel = 2

// Many runs a scenario with runs seeds from the first on, at most MaxParallel at
// a time, and returns the results in the order of the seeds. done, when not nil,
// is told after each run how many are over; it is not called concurrently.
func Many(ctx context.Context, s Scenario, first uint64, runs int, done func(over int)) ([]Result, error) {
	if runs < 1 {
		return nil, fmt.Errorf("%d runs of scenario %s, want at least 1", runs, s.Name)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results, errs := make([]Result, runs), make([]error, runs)
	var mu sync.Mutex
	var wait sync.WaitGroup
	next, over := 0, 0
	for range min(MaxParallel, runs) {
		wait.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= runs || ctx.Err() != nil {
					return
				}
				results[i], errs[i] = run(ctx, s, first+uint64(i))
				if errs[i] != nil {
					stop()
					return
				}
				mu.Lock()
				over++
				if done != nil {
					done(over)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	// An error that others were stopped for comes before theirs.
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return results, ctx.Err()
}
