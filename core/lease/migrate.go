package lease

import (
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// ReasonMigrated says that the payer moved the lease to another provider.
const ReasonMigrated Reason = "migrated"

// Migrate ends the service of a lease that another one follows and returns the
// credits that can follow at once. What stays behind is all that the old
// provider may still earn: the room left in every lane, for receipts of the
// window, and the hold of epochs that are not decided yet. Finish gives the
// rest to the follower, see Successor.
//
// A lease that is closing already keeps its reason.
func (l Lease) Migrate(successor [32]byte, epoch uint64, rules Rules) (Lease, money.Credit, error) {
	if l.State == Closed {
		return l, 0, fmt.Errorf("migrate lease %x: closed (%s): open a new lease", l.ID[:8], l.Reason)
	}
	if l.Successor != ([32]byte{}) {
		return l, 0, fmt.Errorf("migrate lease %x: lease %x follows it already: migrate that one", l.ID[:8], l.Successor[:8])
	}
	if l.State != Closing {
		l = l.close(ReasonMigrated, epoch, rules)
	}
	l.Successor = successor
	free := l.HoldBudget - l.HoldPaid
	free -= min(free, l.pendingHold())
	l.HoldBudget -= free
	l.Refunded += free
	return l, free, nil
}

// pendingHold is the most that epochs Next to HoldEnd can still cost.
func (l Lease) pendingHold() money.Credit {
	var sum money.Credit
	rem := l.HoldRemainder
	for epoch := l.Next; epoch <= l.HoldEnd; epoch++ {
		var owed money.Credit
		var err error
		if epoch-l.Next > maxPending { // far behind: keep everything
			return ^money.Credit(0)
		}
		if owed, rem, err = l.Hold.Carry(l.HeadAt(epoch).Units, rem); err != nil {
			return ^money.Credit(0)
		}
		if sum, err = money.Add(sum, owed); err != nil {
			return ^money.Credit(0)
		}
	}
	return sum
}

// maxPending bounds the epochs that pendingHold looks at.
const maxPending = 1_000
