package sim

import (
	"fmt"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/core/score"
)

// Vertical is the name under which the simulated usage is scored.
const Vertical = "storage"

// EpochRecord is what the end of an epoch fixed.
type EpochRecord struct {
	Epoch       uint64
	Quote       price.Quote
	Stale       bool
	Revenue     money.Credit // settled, with the take
	BurnedUsage money.Credit // by the take
	BurnedGrain money.Grain  // retired from the pool and counted as burned
	Released    money.Grain  // by the schedule: the upper bound of what may be minted
	DemandPool  money.Grain  // what may be minted for usage
	Bonus       money.Grain  // what the score gave
}

// rewards is what the oracle module keeps of reports and claims.
type rewards struct {
	state   score.State
	tree    *merkle.SumTree // of the newest report
	usage   map[[32]byte]money.Credit
	keys    [][32]byte // of usage, in the order of first use
	payable []reported // accepted, not all claimed from yet
	claimed map[[32]byte]money.Grain
	breaker breaker.Window
}

// reported is an accepted report.
type reported struct {
	tree *merkle.SumTree
	from uint64 // epoch from which it is payable
}

// EndEpoch ends the epoch under way as the ledger does: the credit module
// retires and fixes the pool, validators score the usage, the next epoch opens,
// and due leases are advanced in it.
func (b *Book) EndEpoch() (EpochRecord, error) {
	r := EpochRecord{Epoch: b.epoch, Quote: b.Quote(), Stale: b.Stale(), Revenue: b.revenue, BurnedUsage: b.burned}
	r.BurnedGrain = b.retire(r.Quote)
	progress, released, err := b.rules.schedule().Next(b.progress, b.revenue)
	if err != nil {
		return r, fmt.Errorf("end epoch %d: %w", b.epoch, err)
	}
	b.progress, r.Released = progress, released
	b.average = emission.Smooth(b.average, r.BurnedGrain, b.rules.BurnAverageEpochs)
	r.DemandPool = emission.DemandPool(released, b.average, money.BPS(b.rules.RebateBPS))
	if b.rules.StaleNoBonus && r.Stale {
		r.DemandPool = 0
	}
	b.totals.RewardsBudget += r.DemandPool
	b.revenue, b.burned = 0, 0

	bonuses, err := b.score(r)
	if err != nil {
		return r, err
	}
	r.Bonus = score.Sum(bonuses)
	b.epoch++
	// Votes are in soon after the epoch; the challenge window follows.
	b.rewards.payable = append(b.rewards.payable, reported{b.rewards.tree, b.epoch + b.rules.ChallengeEpochs})
	return r, b.advanceLeases()
}

// retire takes the part of the pool that stood behind the burned credits out of
// it and returns how much counts as burned.
func (b *Book) retire(q price.Quote) money.Grain {
	owed := b.debt()
	if b.burned == 0 || owed == 0 {
		return 0
	}
	part, _, err := money.MulDiv(uint64(b.totals.Pool), uint64(b.burned), uint64(owed))
	if err != nil {
		return 0 // cannot happen: the burned credits are a part of the debt
	}
	b.totals.Pool -= money.Grain(part)
	b.totals.GrainsRetired += money.Grain(part)
	counts := money.Grain(part)
	if worth, err := q.Grains(b.burned); err == nil {
		counts = min(counts, worth)
	}
	return counts
}

// use records what a device's usage burned in the epoch under way.
func (w *rewards) use(device [32]byte, burned money.Credit) {
	if burned == 0 {
		return
	}
	if w.usage == nil {
		w.usage = map[[32]byte]money.Credit{}
	}
	if _, known := w.usage[device]; !known {
		w.keys = append(w.keys, device)
	}
	w.usage[device] += burned
}

// score computes the epoch's bonuses and the report all validators agree on.
func (b *Book) score(r EpochRecord) ([]score.Bonus, error) {
	w := &b.rewards
	terms := score.Terms{Vertical: Vertical, Epoch: r.Epoch, Pool: r.DemandPool, Rebate: money.BPS(b.rules.RebateBPS), Price: r.Quote.High}
	usage := make([]score.Usage, 0, len(w.keys))
	for _, k := range w.keys {
		usage = append(usage, score.Usage{Device: k, Epoch: r.Epoch, Burned: w.usage[k]})
	}
	clear(w.usage)
	w.keys = w.keys[:0]
	next, _, bonuses, err := w.state.Next(terms, usage)
	if err != nil {
		return nil, err
	}
	w.state = next
	w.tree, err = next.Tree()
	return bonuses, err
}

// Claim pays what a device's leaf of the newest payable report says and was not
// paid yet, as far as the breaker allows, through the device's payout splits.
func (b *Book) Claim(d *Device) (money.Grain, error) {
	w := &b.rewards
	at := -1
	for i, r := range w.payable {
		if r.from <= b.epoch {
			at = i
		}
	}
	if at < 0 {
		return 0, nil
	}
	w.payable = w.payable[at:]
	leaf, proof, err := w.payable[0].tree.Prove(d.ID)
	if err != nil {
		return 0, nil // no leaf: nothing earned
	}
	if _, err := proof.Verify(w.payable[0].tree.Root(), leaf); err != nil {
		return 0, fmt.Errorf("claim for device %x: %w", d.ID[:8], err)
	}
	span := b.rules.BreakerEpochs * EpochSeconds
	due := leaf.Amount - min(leaf.Amount, uint64(w.claimed[d.ID]))
	amount := money.Grain(min(due, w.breaker.Room(b.rules.BreakerLimit, b.now, span)))
	if amount == 0 {
		return 0, nil
	}
	if left := b.totals.RewardsBudget - b.totals.RewardsMinted; amount > left {
		return 0, fmt.Errorf("claim %d ugrain for device %x: %d are left in the budget of all epochs", amount, d.ID[:8], left)
	}
	if err := b.canMint(amount, b.totals.Pool); err != nil {
		return 0, err
	}
	if w.claimed == nil {
		w.claimed = map[[32]byte]money.Grain{}
	}
	w.claimed[d.ID] += amount
	w.breaker = w.breaker.Add(uint64(amount), b.now, span)
	b.totals.RewardsMinted += amount
	return amount, b.payOut(d, money.GrainDenom, uint64(amount))
}
