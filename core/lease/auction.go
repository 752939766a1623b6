package lease

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/grange-network/grange/core/money"
)

// Limits of one demand.
const (
	MaxBids         = 20    // bids that wait at a time
	MaxDemandEpochs = 1_000 // epochs a demand may take bids
)

// Reasons for which a demand or a bid ends.
const (
	ReasonAwarded   Reason = "awarded"   // the buyer took the bid
	ReasonCancelled Reason = "cancelled" // the buyer withdrew the demand
	ReasonLost      Reason = "lost"      // the demand ended without this bid
	ReasonOutbid    Reason = "outbid"    // a better bid took its place in a full book
	ReasonReplaced  Reason = "replaced"  // the bidder bid again
	ReasonWithdrawn Reason = "withdrawn" // the bidder took it back
)

// Bid is a provider's answer to a demand: one of his offers, at prices of this
// bid. The capacity asked is reserved in the offer while the bid stands.
type Bid struct {
	Offer   uint64
	Owner   string
	Use     money.Price
	Hold    money.Price
	Deposit money.Grain // returned whenever the bid ends
}

// Demand asks for a lease at no more than given prices. Its deposit is in the
// escrow from the start, so that an awarded bid is a funded lease.
type Demand struct {
	ID         uint64
	Buyer      string
	Kind       string
	Use, Hold  money.Price // the most a bid may ask
	Capacity   uint64
	Term       uint64 // epochs of the lease; 0 is until closed
	HoldBudget money.Credit
	Lanes      []Lane
	Deposit    money.Credit // what is still held: 0 once the demand has ended
	Expires    uint64       // last epoch that takes bids
	Bids       []Bid        // in the order they came
	Reason     Reason       // empty while it takes bids
	Lease      [32]byte     // what it was awarded as
}

// Ask posts a demand in epoch for the given number of epochs. Use and Hold of
// the terms are the most a bid may ask; Offer, Owner, Device and Expires are
// not looked at.
func Ask(id uint64, t Terms, term, open, epoch uint64) (Demand, error) {
	if open == 0 || open > MaxDemandEpochs {
		return Demand{}, fmt.Errorf("ask: open for %d epochs, want 1 to %d", open, MaxDemandEpochs)
	}
	if t.Capacity == 0 {
		return Demand{}, fmt.Errorf("ask: capacity is 0: say how many units to lease")
	}
	if _, err := money.Add(epoch+open, term); err != nil {
		return Demand{}, fmt.Errorf("ask: term: %w", err)
	}
	t.Expires = 0 // the term starts with the award
	trial, err := Begin(t, epoch)
	if err != nil {
		return Demand{}, fmt.Errorf("ask: %w", err)
	}
	return Demand{
		ID: id, Buyer: t.Payer, Kind: t.Kind, Use: t.Use, Hold: t.Hold, Capacity: t.Capacity, Term: term,
		HoldBudget: t.HoldBudget, Lanes: trial.Lanes, Deposit: trial.Deposited, Expires: epoch + open - 1,
	}, nil
}

// Takes reports why the demand takes no bid in epoch, or nil.
func (d Demand) Takes(epoch uint64) error {
	switch {
	case d.Reason != "":
		return fmt.Errorf("demand %d has ended (%s)", d.ID, d.Reason)
	case epoch > d.Expires:
		return fmt.Errorf("demand %d took bids until epoch %d, the ledger is in epoch %d", d.ID, d.Expires, epoch)
	}
	return nil
}

// Displaced is a bid that has to make room for another.
type Displaced struct {
	Bid    Bid
	Reason Reason
}

// Place adds a bid, or replaces the one of the same offer. A full book takes a
// bid only in the place of one that is dearer in one price and cheaper in none,
// so that a book cannot be filled up to keep better bids out. The bid that had
// to make room is returned.
func (d Demand) Place(b Bid, epoch uint64) (Demand, *Displaced, error) {
	if err := d.Takes(epoch); err != nil {
		return d, nil, err
	}
	if err := b.fits(d); err != nil {
		return d, nil, err
	}
	bids := slices.Clone(d.Bids)
	at := slices.IndexFunc(bids, func(x Bid) bool { return x.Offer == b.Offer })
	reason := ReasonReplaced
	if at < 0 && len(bids) == MaxBids {
		reason = ReasonOutbid
		if at = slices.IndexFunc(bids, b.beats); at < 0 {
			return d, nil, fmt.Errorf("demand %d has %d bids, none dearer than %v to use and %v to hold: bid less", d.ID, MaxBids, b.Use, b.Hold)
		}
	}
	var out *Displaced
	if at >= 0 {
		out = &Displaced{bids[at], reason}
		bids = slices.Delete(bids, at, at+1)
	}
	d.Bids = append(bids, b)
	return d, out, nil
}

// fits reports a price that is above what the demand allows.
func (b Bid) fits(d Demand) error {
	for i, p := range [2][2]money.Price{{b.Use, d.Use}, {b.Hold, d.Hold}} {
		if err := p[0].Valid(); err != nil {
			return fmt.Errorf("bid of offer %d: %w", b.Offer, err)
		}
		if compare(p[0], p[1]) > 0 {
			return fmt.Errorf("bid of offer %d asks %v to %s, demand %d allows %v", b.Offer, p[0], [2]string{"use", "hold"}[i], d.ID, p[1])
		}
	}
	return nil
}

// beats reports whether b is cheaper than x in one price and dearer in none.
func (b Bid) beats(x Bid) bool {
	use, hold := compare(b.Use, x.Use), compare(b.Hold, x.Hold)
	return use <= 0 && hold <= 0 && use+hold < 0
}

// compare orders two valid prices by what a unit costs, without rounding.
func compare(a, b money.Price) int {
	if a.Credits == 0 || b.Credits == 0 {
		return sign(a.Credits > b.Credits, a.Credits < b.Credits)
	}
	ahi, alo := bits.Mul64(a.Credits, b.Per)
	bhi, blo := bits.Mul64(b.Credits, a.Per)
	return sign(ahi > bhi || ahi == bhi && alo > blo, ahi < bhi || ahi == bhi && alo < blo)
}

func sign(more, less bool) int {
	switch {
	case more:
		return 1
	case less:
		return -1
	}
	return 0
}

// Withdraw takes the bid of an offer back.
func (d Demand) Withdraw(offer uint64) (Demand, Bid, error) {
	if d.Reason != "" {
		return d, Bid{}, fmt.Errorf("withdraw bid: demand %d has ended (%s), and with it every bid", d.ID, d.Reason)
	}
	at := slices.IndexFunc(d.Bids, func(x Bid) bool { return x.Offer == offer })
	if at < 0 {
		return d, Bid{}, fmt.Errorf("withdraw bid: offer %d has none under demand %d", offer, d.ID)
	}
	bid := d.Bids[at]
	d.Bids = slices.Delete(slices.Clone(d.Bids), at, at+1)
	return d, bid, nil
}

// Award ends the demand with the bid of an offer: its deposit becomes the
// escrow of the lease that Terms describe, whose device the caller fills in.
// The losing bids are returned.
func (d Demand) Award(offer uint64, id [32]byte, epoch uint64) (Demand, Bid, []Bid, Terms, error) {
	if err := d.Takes(epoch); err != nil {
		return d, Bid{}, nil, Terms{}, err
	}
	won, bid, err := d.Withdraw(offer)
	if err != nil {
		return d, Bid{}, nil, Terms{}, fmt.Errorf("award: offer %d has no bid under demand %d", offer, d.ID)
	}
	t := Terms{
		ID: id, Offer: offer, Payer: d.Buyer, Owner: bid.Owner, Kind: d.Kind, Use: bid.Use, Hold: bid.Hold,
		Capacity: d.Capacity, HoldBudget: d.HoldBudget, Lanes: d.Lanes,
	}
	if d.Term > 0 {
		t.Expires = epoch + d.Term
	}
	losers := won.Bids
	won.Bids, won.Deposit, won.Reason, won.Lease = nil, 0, ReasonAwarded, id
	return won, bid, losers, t, nil
}

// End ends the demand without a lease. It returns the bids that lost and the
// deposit that goes back to the buyer.
func (d Demand) End(reason Reason) (Demand, []Bid, money.Credit, error) {
	if d.Reason != "" {
		return d, nil, 0, fmt.Errorf("end demand %d: it has already ended (%s)", d.ID, d.Reason)
	}
	losers, refund := d.Bids, d.Deposit
	d.Bids, d.Deposit, d.Reason = nil, 0, reason
	return d, losers, refund, nil
}
