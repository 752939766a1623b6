package sim

import (
	"math/rand/v2"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
)

const (
	mbPerTB   = 1_000_000
	coverDays = 7  // that a lease is funded ahead
	termDays  = 30 // of a lease, after which the price of the day holds
	meanDays  = 90 // over which a provider looks at its return
)

// provider is a device with a disk behind it and what it cost.
type provider struct {
	party
	device   *Device
	lease    *Lease
	capMB    uint64
	capex    int64 // ucredit
	opex     int64 // ucredit a day
	joined   int   // day
	usdSeen  int64 // at the last look
	cashMean int64 // ucredit a day, mean over meanDays: what came in as dollars
	leaving  bool
}

// supply is all providers and the market's price.
type supply struct {
	random   *rand.Rand
	list     []*provider
	arriving []int  // days on which somebody begins
	holdPPM  uint64 // price level, of the start prices
	heldMB   uint64
	capMB    uint64
	served   int // providers that ever were
	left     int
	incomeTB int64 // mean cash a day for each TB of capacity, ucredit
}

func (w *world) newSupply(seed uint64) error {
	w.supply.random, w.supply.holdPPM = stream(seed, streamSupply), ppm
	// The first expect what makes it worth their while.
	p := w.s.Providers
	w.supply.incomeTB = int64(p.OpexPerTBDay) + int64(p.CapexPerTB)*p.HurdleBPS/int64(money.Whole)/meanDays
	for range p.Start {
		if err := w.enter(); err != nil {
			return err
		}
	}
	return nil
}

// enter starts a provider: of 1 to 8 times the smallest size, at costs within a
// fifth of the usual.
func (w *world) enter() error {
	r := w.supply.random
	p := &provider{joined: w.day}
	p.account = w.join(&p.usd)
	p.capMB = w.s.Providers.CapacityGB * 1000 << r.IntN(4)
	p.capex = int64(mulDiv(mulDiv(w.s.Providers.CapexPerTB, p.capMB, mbPerTB), uint64(between(r, 800_000, 1_200_000)), ppm))
	p.opex = int64(mulDiv(mulDiv(w.s.Providers.OpexPerTBDay, p.capMB, mbPerTB), uint64(between(r, 800_000, 1_200_000)), ppm))
	p.cashMean = w.supply.incomeTB * int64(p.capMB) / mbPerTB // expects what others have
	if err := w.purchase(p.account, money.Grain(w.s.Rules.MinBond+grainOf)); err != nil {
		return err
	}
	var err error
	if p.device, err = w.book.Register(p.account); err != nil {
		return err
	}
	p.usd, p.usdSeen = 0, 0 // the bond is no income
	w.supply.list = append(w.supply.list, p)
	w.supply.served++
	return nil
}

// serve places the day's demand on the providers, by capacity, and lets buyers
// fund what they hold and read.
func (w *world) serve() error {
	s := &w.supply
	s.capMB, s.heldMB = 0, 0
	for _, p := range s.list {
		if !p.leaving {
			s.capMB += p.capMB
		}
	}
	use := min(w.demand.wantedMB, s.capMB)
	for _, p := range s.list {
		p.device.Faulty = chance(s.random, w.s.Providers.FaultPPM)
		if p.leaving {
			continue
		}
		held := mulDiv(use, p.capMB, s.capMB)
		if err := w.serveOne(p, held); err != nil {
			return err
		}
		s.heldMB += held
	}
	return nil
}

func (w *world) serveOne(p *provider, held uint64) error {
	if p.lease == nil || p.lease.State == lease.Closing || p.lease.State == lease.Closed {
		if err := w.lend(p, held); err != nil || p.lease == nil {
			return err
		}
	}
	l := p.lease
	buyer := l.Payer
	daily, err := l.Lease.Hold.Of(held)
	if err != nil {
		return err
	}
	read := mulDiv(held, w.s.Demand.ReadPPM, ppm)
	owed, err := l.Use.Of(read)
	if err != nil {
		return err
	}
	// Fund again when less than two days are left of what was paid ahead.
	var hold, lane money.Credit
	if left := l.HoldBudget - l.HoldPaid; left < 2*daily {
		hold = coverDays*daily - min(left, coverDays*daily)
	}
	if left := l.Lanes[0].Cap - l.Lanes[0].Paid; left < 2*owed {
		lane = coverDays*owed - min(left, coverDays*owed)
	}
	if hold+lane > 0 {
		if err := w.topUp(buyer, hold+lane); err != nil {
			return err
		}
		if w.book.Credit(buyer) < hold+lane {
			// No credits can be had now: what is paid ahead must do.
			hold, lane = 0, 0
		}
		if err := w.book.Fund(l, hold, lane); err != nil {
			return err
		}
	}
	last := lastUnits(l)
	if l.State == lease.Grace {
		held = min(held, last)
	}
	if held = min(held, l.Capacity); held != last {
		if err := w.book.Hold(l, held); err != nil {
			return err
		}
	}
	if read == 0 {
		return nil
	}
	_, err = w.book.Settle(l, read)
	return err
}

func lastUnits(l *Lease) uint64 {
	if n := len(l.Commitments); n > 0 {
		return l.Commitments[n-1].Units
	}
	return 0
}

// lend opens a lease of a provider's whole capacity with some buyer, at the
// day's price give or take a twentieth.
func (w *world) lend(p *provider, held uint64) error {
	p.lease = nil
	buyer := w.demand.pick()
	level := mulDiv(w.supply.holdPPM, uint64(between(w.supply.random, 950_000, 1_050_000)), ppm)
	t := Terms{
		Hold:     money.Price{Credits: max(mulDiv(w.s.Providers.HoldPrice, level, ppm), 1), Per: mbPerTB},
		Use:      money.Price{Credits: mulDiv(w.s.Providers.UsePrice, level, ppm), Per: mbPerTB},
		Capacity: p.capMB, TermEpochs: termDays + uint64(w.supply.random.IntN(7)),
	}
	daily, err := t.Hold.Of(held)
	if err != nil {
		return err
	}
	owed, err := t.Use.Of(mulDiv(held, w.s.Demand.ReadPPM, ppm))
	if err != nil {
		return err
	}
	t.HoldBudget, t.Cap = coverDays*daily, coverDays*owed
	if err := w.topUp(buyer.account, t.HoldBudget+t.Cap); err != nil {
		return err
	}
	if w.book.Credit(buyer.account) < t.HoldBudget+t.Cap {
		return nil // no credits to be had: try tomorrow
	}
	p.lease, err = w.book.Accept(buyer.account, p.device, t)
	return err
}

// cashIn lets providers and validators ask for what they earned.
func (w *world) cashIn() error {
	for _, p := range w.supply.list {
		if _, err := w.book.Redeem(p.account, w.book.Credit(p.account)); err != nil {
			return err
		}
	}
	for _, v := range w.validators {
		if _, err := w.book.Redeem(v.account, w.book.Credit(v.account)); err != nil {
			return err
		}
	}
	return nil
}

// turnover claims bonuses once a week, looks at every provider's return, lets
// some go and others come, and moves the market's price.
func (w *world) turnover() error {
	s := &w.supply
	var cash int64
	kept := s.list[:0]
	for i, p := range s.list {
		if (w.day+i)%7 == 0 || p.leaving {
			g, err := w.book.Claim(p.device)
			if err != nil {
				return err
			}
			if err := w.dump(p.account, g); err != nil {
				return err
			}
		}
		p.cashMean += (p.usd - p.usdSeen - p.cashMean) / meanDays
		p.usdSeen = p.usd
		if p.leaving {
			gone := p.lease == nil || p.lease.State == lease.Closed
			if gone {
				w.book.Withdraw(p.device)
				s.left++
				continue
			}
		} else {
			cash += p.cashMean
			if err := w.consider(p); err != nil {
				return err
			}
		}
		kept = append(kept, p)
	}
	clear(s.list[len(kept):])
	s.list = kept
	if s.capMB > 0 {
		s.incomeTB = cash * mbPerTB / int64(s.capMB)
	}
	w.reprice()
	return w.arrivals()
}

// consider lets a provider leave when its machine has not earned its running
// costs over 90 days: then one in twenty gives up each day.
func (w *world) consider(p *provider) error {
	if w.day-p.joined < w.s.Providers.PatienceDays || p.cashMean >= p.opex || !chance(w.supply.random, ppm/20) {
		return nil
	}
	p.leaving = true
	if p.lease != nil && (p.lease.State == lease.Open || p.lease.State == lease.Grace) {
		return w.book.Close(p.lease, lease.ReasonProvider)
	}
	return nil
}

// reprice moves the market's price towards the target of utilisation.
func (w *world) reprice() {
	s := &w.supply
	usedBPS := int64(mulDiv(w.demand.wantedMB, uint64(money.Whole), max(s.capMB, 1)))
	off := min(max(usedBPS-w.s.Providers.TargetBPS, -int64(money.Whole)), int64(money.Whole))
	change := w.s.Providers.SpeedPPM * off / int64(money.Whole)
	floor := w.s.Providers.FloorBPS * ppm / uint64(money.Whole)
	next := min(max(scale(s.holdPPM, change), floor, 1), 100*ppm)
	change = (int64(next) - int64(s.holdPPM)) * ppm / int64(s.holdPPM)
	s.holdPPM = next
	w.demand.repriced(w.s.Demand.ElasticityBPS, change)
}

// returnBPS is what 90 days at today's income bring on the price of a machine.
func (w *world) returnBPS() int64 {
	p := w.s.Providers
	return (w.supply.incomeTB - int64(p.OpexPerTBDay)) * meanDays * int64(money.Whole) / int64(p.CapexPerTB)
}

// arrivals lets some decide to enter while the return is above the hurdle, and
// starts those whose machines are there.
func (w *world) arrivals() error {
	s, p := &w.supply, w.s.Providers
	if over := w.returnBPS() - p.HurdleBPS; over > 0 && w.day >= meanDays/3 {
		// The further above the hurdle, the more come; at twice the hurdle as many as may.
		most := min(int64(p.EntryPerDay), 1+int64(p.EntryPerDay)*over/max(p.HurdleBPS, 1))
		for range s.random.Int64N(most + 1) {
			if len(s.list)+len(s.arriving) < p.Max {
				s.arriving = append(s.arriving, w.day+p.LeadDays)
			}
		}
	}
	for len(s.arriving) > 0 && s.arriving[0] <= w.day {
		s.arriving = s.arriving[1:]
		if err := w.enter(); err != nil {
			return err
		}
	}
	return nil
}
