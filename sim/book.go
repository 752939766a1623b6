package sim

import (
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// Account numbers an account of a Book, from 0.
type Account int

// Totals are the credit module's sums since genesis.
type Totals struct {
	CreditsBought, CreditsRedeemed, CreditsTaken money.Credit
	GrainsGenesis, GrainsBurned                  money.Grain
	GrainsReminted, GrainsCreated, GrainsRetired money.Grain
	GrainsSlashed                                money.Grain
	RewardsBudget, RewardsMinted                 money.Grain
	Pool                                         money.Grain // stands behind the credits
}

// redemption is a place in the queue.
type redemption struct {
	id        uint64
	holder    Account
	remaining money.Credit
	asked     int64
}

// Redeemed is one payment out of the redemption queue.
type Redeemed struct {
	Holder Account
	Credit money.Credit // burned
	Grain  money.Grain  // made
}

// Book keeps the money of a simulated ledger: who owns what, the pool behind
// the credits, the leases and their escrow, and what devices earned. Its
// methods are the ledger's messages and block ends, with the same arithmetic in
// the same order, less signatures. A Book is not safe for concurrent use.
type Book struct {
	rules Rules
	now   int64  // Unix seconds
	epoch uint64 // the one under way, from 1

	grain  []money.Grain
	credit []money.Credit

	queue      []redemption
	lastRedeem uint64
	queued     money.Credit // Σ remaining: held by the module
	escrow     money.Credit // Σ held of all leases
	bonds      money.Grain
	collector  money.Credit // validators' share of the take, not yet distributed
	treasury   money.Credit
	fees       money.Grain // of settlements, not yet distributed
	nanoFees   uint64      // less than one ugrain, in 10⁻⁹ GRAIN

	price    price.State
	window   breaker.Window
	totals   Totals
	revenue  money.Credit // of the open epoch
	burned   money.Credit // of the open epoch
	carry    [3]uint64    // rounding of the take, when carried
	progress emission.Progress
	average  money.Grain // of what usage burned

	market  market
	rewards rewards
}

// NewBook opens the books of a ledger whose genesis gives supply to account 0.
func NewBook(rules Rules, supply money.Grain) (*Book, error) {
	if err := rules.Valid(); err != nil {
		return nil, err
	}
	if room := emission.SupplyCap - min(emission.SupplyCap, rules.schedule().Total()); supply > room {
		return nil, fmt.Errorf("genesis of %d ugrain and a schedule of %d exceed the supply cap of %d", supply, rules.schedule().Total(), emission.SupplyCap)
	}
	b := &Book{rules: rules, epoch: 1, grain: []money.Grain{supply}, credit: []money.Credit{0}}
	b.totals.GrainsGenesis = supply
	return b, nil
}

// Open adds an empty account.
func (b *Book) Open() Account {
	b.grain, b.credit = append(b.grain, 0), append(b.credit, 0)
	return Account(len(b.grain) - 1)
}

// Grain is what an account owns, in ugrain.
func (b *Book) Grain(a Account) money.Grain { return b.grain[a] }

// Credit is what an account owns, in ucredit, without what waits in the queue.
func (b *Book) Credit(a Account) money.Credit { return b.credit[a] }

// Totals are the sums since genesis.
func (b *Book) Totals() Totals { return b.totals }

// Epoch is the number of the epoch under way.
func (b *Book) Epoch() uint64 { return b.epoch }

// Supply is all ugrain that exist, counted from their owners.
func (b *Book) Supply() money.Grain {
	sum := b.bonds + b.fees
	for _, g := range b.grain {
		sum += g
	}
	return sum
}

// Send moves ugrain. Credits cannot be sent: they move only through leases and
// the queue, as on the ledger.
func (b *Book) Send(from, to Account, amount money.Grain) error {
	left, err := money.Sub(b.grain[from], amount)
	if err != nil {
		return fmt.Errorf("send ugrain from account %d to %d: %w", from, to, err)
	}
	b.grain[from] = left
	b.grain[to] += amount // cannot wrap: the supply fits
	return nil
}

// Quote is the price as of the newest round.
func (b *Book) Quote() price.Quote { return b.price.Quote(b.rules.prices()) }

// Stale says whether the price is too old to trade on.
func (b *Book) Stale() bool { return b.price.Stale(b.rules.prices(), b.now) }

// Advance moves the clock to a later time, in Unix seconds.
func (b *Book) Advance(now int64) { b.now = max(b.now, now) }

// Vote closes a round of price votes now. Without any power the price stays.
func (b *Book) Vote(votes []price.Vote) error {
	median, ok := price.Median(votes)
	if !ok {
		return nil
	}
	next, err := b.price.Next(b.rules.prices(), median, b.now)
	if err != nil {
		return fmt.Errorf("close price round at %d: %w", b.now, err)
	}
	b.price = next
	return nil
}

// outstanding is how many credits exist.
func (b *Book) outstanding() money.Credit {
	return b.totals.CreditsBought - b.totals.CreditsRedeemed - b.totals.CreditsTaken
}

// debt is what the pool stands behind.
func (b *Book) debt() money.Credit { return b.outstanding() + b.burned }

// Collateral is the pool at the low price over the debt, in bps.
func (b *Book) Collateral() uint64 {
	value, err := b.Quote().Credits(b.totals.Pool)
	if err != nil {
		value = ^money.Credit(0)
	}
	return breaker.Ratio(value, b.debt())
}

// Buy burns grains into the pool and makes credits at the low price. It returns
// 0 and does nothing when the price is stale or the amount makes no credit, and
// under the proposed ForwardBuy unless a round closes at this very time: a buy
// made earlier would wait for it.
func (b *Book) Buy(a Account, grain money.Grain) (money.Credit, error) {
	if b.Stale() || b.rules.ForwardBuy && b.now > b.price.Updated {
		return 0, nil
	}
	made, err := b.Quote().Credits(grain)
	if err != nil {
		return 0, fmt.Errorf("buy credits for %d ugrain: %w", grain, err)
	}
	if made == 0 {
		return 0, nil
	}
	left, err := money.Sub(b.grain[a], grain)
	if err != nil {
		return 0, fmt.Errorf("buy credits for account %d: %w", a, err)
	}
	bought, err := money.Add(b.totals.CreditsBought, made)
	if err != nil {
		return 0, err
	}
	b.grain[a] = left
	b.credit[a] += made
	b.totals.CreditsBought = bought
	b.totals.GrainsBurned += grain
	b.totals.Pool += grain
	return made, nil
}

// windowLimit is what a redemption window lets through at full collateral.
func (b *Book) windowLimit() uint64 {
	return max(b.rules.RedeemWindowFloor, uint64(money.Share(b.outstanding(), money.BPS(b.rules.RedeemWindowBPS))))
}

// Redeem puts credits into the queue. It returns false and does nothing when
// the ledger would refuse: less than the least redemption, a stale price, or a
// collateral ratio at which redemption is halted.
func (b *Book) Redeem(a Account, amount money.Credit) (bool, error) {
	if uint64(amount) < b.rules.RedeemMin || b.Stale() || b.Halted() {
		return false, nil
	}
	if g, err := b.Quote().Grains(amount); err != nil || g == 0 {
		return false, err
	}
	left, err := money.Sub(b.credit[a], amount)
	if err != nil {
		return false, fmt.Errorf("redeem credits of account %d: %w", a, err)
	}
	b.credit[a] = left
	b.queued += amount
	b.lastRedeem++
	b.queue = append(b.queue, redemption{b.lastRedeem, a, amount, b.now})
	return true, nil
}

// Halted says whether the collateral ratio stops redemptions.
func (b *Book) Halted() bool {
	return !b.rules.Haircut && b.Collateral() <= uint64(b.rules.HaltBPS)
}

// room is how many ucredit may be redeemed now.
func (b *Book) room() uint64 {
	limit := b.windowLimit()
	if !b.rules.Haircut {
		limit = breaker.Throttle(limit, b.Collateral(), money.BPS(b.rules.WarnBPS), money.BPS(b.rules.HaltBPS))
	}
	return b.window.Room(limit, b.now, b.rules.RedeemWindowSeconds)
}

// PayRedemptions is the end of a block: it pays the head of the queue as far as
// the breaker allows. It waits while the price is stale.
func (b *Book) PayRedemptions() ([]Redeemed, error) {
	if len(b.queue) == 0 || b.Stale() {
		return nil, nil
	}
	var paid []Redeemed
	quote := b.Quote()
	for i := range min(len(b.queue), int(b.rules.RedeemPerBlock)) {
		head := &b.queue[i]
		if b.rules.ForwardRedeem && head.asked >= b.price.Updated {
			break
		}
		amount := min(uint64(head.remaining), b.room())
		if amount < min(uint64(head.remaining), b.rules.RedeemMin) {
			break
		}
		if g, err := quote.Grains(money.Credit(amount)); err != nil || g == 0 {
			continue // it keeps its place and its credits
		}
		p, err := b.pay(head.holder, money.Credit(amount), quote)
		if err != nil {
			return paid, err
		}
		paid = append(paid, p)
		head.remaining -= money.Credit(amount)
		// As on the ledger: should paying have made room, the next one gets it.
	}
	b.queue = slices.DeleteFunc(b.queue, func(r redemption) bool { return r.remaining == 0 })
	return paid, nil
}

// pay burns queued credits and makes their grains, out of the pool first.
func (b *Book) pay(to Account, amount money.Credit, q price.Quote) (Redeemed, error) {
	grain, err := q.Grains(amount)
	if err != nil {
		return Redeemed{}, fmt.Errorf("redeem %d ucredit: %w", amount, err)
	}
	if b.rules.Haircut {
		grain = min(grain, money.Grain(mulDiv(uint64(b.totals.Pool), uint64(amount), uint64(b.debt()))))
	}
	reminted := min(grain, b.totals.Pool)
	if err := b.canMint(grain, b.totals.Pool-reminted); err != nil {
		return Redeemed{}, err
	}
	b.totals.Pool -= reminted
	b.totals.GrainsReminted += reminted
	b.totals.GrainsCreated += grain - reminted
	b.totals.CreditsRedeemed += amount
	b.queued -= amount
	b.grain[to] += grain
	b.window = b.window.Add(uint64(amount), b.now, b.rules.RedeemWindowSeconds)
	return Redeemed{to, amount, grain}, nil
}

// canMint refuses to pass the supply cap with what must stay mintable besides.
func (b *Book) canMint(amount, reserved money.Grain) error {
	free := emission.SupplyCap - min(emission.SupplyCap, b.supplyCounted())
	free -= min(free, reserved)
	if amount > free {
		return fmt.Errorf("mint %d ugrain: supply is %d, %d are reserved, the cap is %d", amount, b.supplyCounted(), reserved, emission.SupplyCap)
	}
	return nil
}

// supplyCounted is the supply by the books' sums; Check compares it with Supply.
func (b *Book) supplyCounted() money.Grain {
	t := b.totals
	return t.GrainsGenesis - t.GrainsBurned + t.GrainsReminted + t.GrainsCreated + t.RewardsMinted - t.GrainsSlashed
}

// take takes the network's share out of escrowed credits and returns what is
// left for the payee and what was burned. Each part is rounded down; under the
// proposed CarryTake the rest is carried to the next payment.
func (b *Book) take(amount money.Credit) (net, burned money.Credit) {
	var parts [3]money.Credit
	for i, bps := range []uint32{b.rules.BurnBPS, b.rules.ValidatorsBPS, b.rules.TreasuryBPS} {
		if !b.rules.CarryTake {
			parts[i] = money.Share(amount, money.BPS(bps))
			continue
		}
		q, r, err := money.MulDivAdd(uint64(amount), uint64(bps), b.carry[i], uint64(money.Whole))
		if err != nil {
			continue // cannot happen: a share of a 64-bit amount fits
		}
		parts[i], b.carry[i] = money.Credit(q), r
	}
	if total := parts[0] + parts[1] + parts[2]; total > amount {
		// Carried parts of a payment of a few ucredit: what it cannot pay waits.
		left := amount
		for i, p := range parts {
			parts[i] = min(p, left)
			left -= parts[i]
			b.carry[i] += uint64(p-parts[i]) * uint64(money.Whole)
		}
	}
	b.totals.CreditsTaken += parts[0]
	b.collector += parts[1]
	b.treasury += parts[2]
	b.revenue += amount
	b.burned += parts[0]
	return amount - parts[0] - parts[1] - parts[2], parts[0]
}

// chargeFee takes the least fee of settling one receipt from an account, or
// says that it cannot pay. Parts of a ugrain add up and are paid when whole.
func (b *Book) chargeFee(a Account) bool {
	nano := b.nanoFees + b.rules.SettleNanoGrain
	due := money.Grain(nano / 1000)
	if b.grain[a] < due {
		return false
	}
	b.nanoFees = nano % 1000
	b.grain[a] -= due
	b.fees += due
	return true
}

// Distribute pays the validators' share of the take and the settlement fees to
// accounts by power, and keeps what rounding leaves.
func (b *Book) Distribute(to []Account, power []uint64) {
	var total uint64
	for _, p := range power {
		total += p
	}
	if total == 0 {
		return
	}
	credits, fees := b.collector, b.fees
	for i, a := range to {
		c, _, _ := money.MulDiv(uint64(credits), power[i], total) // power ≤ total
		g, _, _ := money.MulDiv(uint64(fees), power[i], total)
		b.credit[a] += money.Credit(c)
		b.collector -= money.Credit(c)
		b.grain[a] += money.Grain(g)
		b.fees -= money.Grain(g)
	}
}
