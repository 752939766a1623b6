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
	revenue  money.Credit        // of the open epoch
	burned   money.Credit        // of the open epoch
	carry    money.Parts[uint64] // rounding of the take
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
// under ForwardBuy unless a round closes at this very time. On the ledger a buy
// waits for that round; here who buys sees its price, which favours attackers.
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
	if b.redeemed(amount, b.Quote()) == 0 {
		return false, nil
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
		limit = b.throttle(limit)
	}
	return b.window.Room(limit, b.now, b.rules.RedeemWindowSeconds)
}

// throttle is the rule before Haircut: all of the limit while the collateral ratio
// is at WarnBPS or above, none at HaltBPS and below, in proportion between.
func (b *Book) throttle(limit uint64) uint64 {
	warn, halt := uint64(b.rules.WarnBPS), uint64(b.rules.HaltBPS)
	switch ratio := b.Collateral(); {
	case ratio <= halt:
		return 0
	case ratio < warn:
		return mulDiv(limit, ratio-halt, warn-halt)
	}
	return limit
}

// PayRedemptions is the end of a block: it pays the head of the queue as far as
// the breaker allows, in strict order, and gives back what is worth nothing any
// more. It waits while the price is stale, and under ForwardRedeem for a round.
func (b *Book) PayRedemptions() ([]Redeemed, error) {
	if len(b.queue) == 0 || b.Stale() || b.rules.ForwardRedeem && b.now != b.price.Updated {
		return nil, nil
	}
	var paid []Redeemed
	quote := b.Quote()
	for i := range min(len(b.queue), int(b.rules.RedeemPerBlock)) {
		head := &b.queue[i]
		if b.rules.ForwardRedeem && !b.price.Fair(head.asked) {
			break
		}
		amount := money.Credit(min(uint64(head.remaining), b.room()))
		if uint64(amount) < min(uint64(head.remaining), b.rules.RedeemMin) {
			break
		}
		if b.redeemed(amount, quote) == 0 {
			b.credit[head.holder] += head.remaining
			b.queued -= head.remaining
			head.remaining = 0
			continue
		}
		p, err := b.pay(head.holder, amount, quote)
		if err != nil {
			return paid, err
		}
		paid = append(paid, p)
		if head.remaining -= amount; head.remaining > 0 {
			break
		}
	}
	b.queue = slices.DeleteFunc(b.queue, func(r redemption) bool { return r.remaining == 0 })
	return paid, nil
}

// redeemed is what credits are redeemed for: their worth at the high price and,
// under Haircut, at most their part of the pool.
func (b *Book) redeemed(amount money.Credit, q price.Quote) money.Grain {
	if b.rules.Haircut {
		return q.Redeem(amount, b.totals.Pool, b.debt())
	}
	grain, err := q.Grains(amount)
	if err != nil {
		return 0
	}
	return grain
}

// pay burns queued credits and makes their grains, out of the pool first.
func (b *Book) pay(to Account, amount money.Credit, q price.Quote) (Redeemed, error) {
	grain := b.redeemed(amount, q)
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
// left for the payee and what was burned.
func (b *Book) take(amount money.Credit) (net, burned money.Credit) {
	shares := money.Parts[money.BPS]{Burned: money.BPS(b.rules.BurnBPS), Validators: money.BPS(b.rules.ValidatorsBPS), Treasury: money.BPS(b.rules.TreasuryBPS)}
	parts, carry := money.Take(amount, shares, b.carry)
	if b.rules.CarryTake {
		b.carry = carry
	}
	b.totals.CreditsTaken += parts.Burned
	b.collector += parts.Validators
	b.treasury += parts.Treasury
	b.revenue += amount
	b.burned += parts.Burned
	return amount - money.Sum(parts), parts.Burned
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
