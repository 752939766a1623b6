package sim

import (
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
)

// Check reports every way in which the books do not add up, or nil. They are the
// invariants of the ledger's credit module and of its escrow, counted anew from
// every account, lease and place in the queue.
func (b *Book) Check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("epoch %d: "+format, append([]any{b.epoch}, args...)...))
		}
	}
	t := b.totals
	exist := b.escrow + b.queued + b.collector + b.treasury
	for _, c := range b.credit {
		exist += c
	}
	want(exist == b.outstanding(), "%d ucredit exist, but %d bought less %d redeemed and %d taken are %d",
		exist, t.CreditsBought, t.CreditsRedeemed, t.CreditsTaken, b.outstanding())
	want(b.Supply() == b.supplyCounted(), "%d ugrain exist, the sums since genesis say %d", b.Supply(), b.supplyCounted())
	want(b.Supply() <= emission.SupplyCap, "%d ugrain exist, the cap is %d", b.Supply(), emission.SupplyCap)

	var waiting, held money.Credit
	for _, r := range b.queue {
		waiting += r.remaining
	}
	want(waiting == b.queued, "module holds %d ucredit, redemptions wait for %d", b.queued, waiting)
	for _, l := range b.market.leases {
		held += l.Held()
		want(l.Paid()+l.Refunded+l.Held() == l.Deposited, "lease %x paid %d, refunded %d and holds %d of %d deposited",
			l.ID[:8], l.Paid(), l.Refunded, l.Held(), l.Deposited)
	}
	want(held == b.escrow, "escrow holds %d ucredit, leases say %d", b.escrow, held)

	pool := t.GrainsBurned - t.GrainsReminted - t.GrainsRetired
	want(pool == t.Pool, "pool is %d ugrain, but burned less reminted and retired is %d", t.Pool, pool)
	want(t.RewardsMinted <= t.RewardsBudget, "%d ugrain minted as rewards, the budget of all epochs is %d", t.RewardsMinted, t.RewardsBudget)
	want(t.RewardsBudget <= b.progress.Issued, "budget of all epochs is %d ugrain, the schedule released %d", t.RewardsBudget, b.progress.Issued)
	want(t.RewardsBudget <= t.GrainsRetired, "budget of all epochs is %d ugrain, only %d were burned for good", t.RewardsBudget, t.GrainsRetired)
	if b.rewards.tree != nil {
		earned := money.Grain(b.rewards.tree.Root().Total)
		want(earned <= t.RewardsBudget, "leaves add up to %d ugrain, the budget of all epochs is %d", earned, t.RewardsBudget)
	}
	return errors.Join(errs...)
}
