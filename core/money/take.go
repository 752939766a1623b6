package money

// Parts are the three shares that are taken out of a payment, or what rounding
// has left of them.
type Parts[T any] struct {
	Burned, Validators, Treasury T
}

// Sum adds the parts of one payment, which are at most the payment.
func Sum(p Parts[Credit]) Credit { return p.Burned + p.Validators + p.Treasury }

// Take divides what is taken out of amount, by shares that together are at most
// Whole. Each part is rounded down and what is below one ucredit is carried to
// the next payment, in ucredit/Whole, so that over time each part is its exact
// share however small the payments are. A payment of a few ucredit that cannot
// pay all that has come due pays it in the order of the parts; the rest waits.
func Take(amount Credit, shares Parts[BPS], carry Parts[uint64]) (Parts[Credit], Parts[uint64]) {
	left := amount
	part := func(share BPS, rest uint64) (Credit, uint64) {
		due, kept, err := MulDivAdd(uint64(amount), uint64(min(share, Whole)), rest, uint64(Whole))
		if err != nil {
			return 0, rest // only with a carry that no sequence of payments leaves
		}
		paid := min(Credit(due), left)
		left -= paid
		return paid, kept + (due-uint64(paid))*uint64(Whole)
	}
	var p Parts[Credit]
	p.Burned, carry.Burned = part(shares.Burned, carry.Burned)
	p.Validators, carry.Validators = part(shares.Validators, carry.Validators)
	p.Treasury, carry.Treasury = part(shares.Treasury, carry.Treasury)
	return p, carry
}
