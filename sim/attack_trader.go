package sim

import (
	"github.com/grange-network/grange/core/money"
)

// atOnce is how many ucredit could be asked for now and be paid in this block.
func (b *Book) atOnce() money.Credit {
	room := money.Credit(b.room())
	return room - min(room, b.queued)
}

// runner is first at the door: it holds credits, and asks for all of them as
// soon as GRAIN falls by a twentieth in a day, when others still wait. It comes
// back when the price has stood for three days.
type runner struct {
	idle
	usd   uint64
	high  uint64 // ledger's price of yesterday
	calm  int
	fled  bool
	asked bool
}

func (r *runner) setup(w *world, p *party) error {
	return w.topUp(p.account, money.Credit(r.usd*dollar))
}

func (r *runner) afterVote(w *world, p *party) error {
	mid := w.book.Quote().Mid
	if w.round == 0 {
		r.high, r.calm = mid, r.calm+1
	}
	fallen := mid < r.high-r.high/20
	if fallen {
		r.calm = 0
	}
	held := w.book.Credit(p.account)
	if fallen && held > 0 && !r.asked {
		ok, err := w.book.Redeem(p.account, held)
		if ok {
			r.sum += held
			r.fled = true
		}
		r.asked = ok
		return err
	}
	if r.fled && r.calm >= 3 {
		r.fled, r.asked = false, false
		return w.topUp(p.account, money.Credit(r.usd*dollar))
	}
	return nil
}

// sniper sees the exchange between two rounds of votes and trades with the
// ledger at the old price whenever that is worth more than the spread.
type sniper struct {
	idle
	usd uint64
}

func (s *sniper) setup(w *world, p *party) error {
	return w.topUp(p.account, money.Credit(s.usd*dollar))
}

// margin is what a trade must bring to be worth it: its own fee and a little.
func (s *sniper) margin(w *world) uint64 { return (w.s.Exchange.FeeBPS + 20) * 100 }

func (s *sniper) beforeVote(w *world, p *party) error {
	if w.book.Stale() {
		return nil
	}
	q, at := w.book.Quote(), w.exchange.price()
	held := w.book.Credit(p.account)
	switch {
	case at > q.High && (at-q.High)*ppm/q.High > s.margin(w):
		// GRAIN rose: the ledger sells it too cheap.
		amount := min(held, w.book.atOnce())
		ok, err := w.book.Redeem(p.account, amount)
		if ok {
			s.sum += amount
		}
		return err
	case at < q.Low && (q.Low-at)*ppm/q.Low > s.margin(w):
		// GRAIN fell: the ledger buys it too dear.
		before := held
		err := w.topUp(p.account, money.Credit(2*s.usd*dollar))
		s.sum += w.book.Credit(p.account) - min(before, w.book.Credit(p.account))
		return err
	}
	return nil
}

// afterVote brings the credits back to the usual when that costs least.
func (s *sniper) afterVote(w *world, p *party) error {
	q, at := w.book.Quote(), w.exchange.price()
	if w.book.Stale() || q.High-q.Low > q.Mid/100 {
		return nil
	}
	usual := money.Credit(s.usd * dollar)
	held := w.book.Credit(p.account)
	switch {
	case held > usual+usual/10 && at >= q.Mid:
		_, err := w.book.Redeem(p.account, min(held-usual, w.book.atOnce()))
		return err
	case held < usual-usual/10 && at <= q.Mid:
		return w.topUp(p.account, usual)
	}
	return nil
}

// pumper collects GRAIN for some days with half of its dollars, pushes the price
// up with the other half, keeps it there until the ledger's average has come
// along, burns everything, and redeems in the days after.
type pumper struct {
	idle
	usd   uint64
	hold  int // most rounds for which the price is held up
	phase int // 0 collect, 1 pumped, 2 redeem
	since int // rounds in the phase
}

const (
	pumpCollect = 5  // days
	pumpHold    = 30 // rounds: five minutes on the ledger
	pumpRedeem  = 8  // days
)

func (u *pumper) beforeVote(w *world, p *party) error {
	u.since++
	day := w.s.Rounds
	half := u.usd * dollar / 2
	switch u.phase {
	case 0:
		each := half / uint64(pumpCollect*day)
		if err := w.purchase(p.account, u.affordable(w, each)); err != nil {
			return err
		}
		if u.since < pumpCollect*day || w.book.Stale() {
			return nil
		}
		u.phase, u.since = 1, 0
		return w.purchase(p.account, u.affordable(w, half))
	case 1:
		if w.s.Rules.ForwardBuy {
			return nil // only a round that closes makes credits
		}
		return u.burn(w, p)
	default:
		if amount := min(w.book.Credit(p.account), w.book.atOnce()); uint64(amount) >= dollar {
			if _, err := w.book.Redeem(p.account, amount); err != nil {
				return err
			}
		}
		if u.since >= pumpRedeem*day {
			u.phase, u.since = 0, 0
		}
		return nil
	}
}

func (u *pumper) afterVote(w *world, p *party) error {
	if u.phase != 1 || !w.s.Rules.ForwardBuy {
		return nil
	}
	return u.burn(w, p)
}

// burn makes credits of all GRAIN once the ledger's price has come along.
func (u *pumper) burn(w *world, p *party) error {
	q := w.book.Quote()
	if u.since < u.hold && (u.since < 3 || q.Low < w.exchange.price()*997/1000) {
		return nil
	}
	u.phase, u.since = 2, 0
	g := w.book.Grain(p.account)
	made, err := w.book.Buy(p.account, g)
	u.sum += made
	if made == 0 && err == nil {
		return w.dump(p.account, g)
	}
	return err
}

func (u *pumper) affordable(w *world, usd uint64) money.Grain {
	g := money.Grain(mulDiv(usd, grainOf, w.exchange.after(int64(usd))))
	return min(g, w.book.Grain(float))
}
