package advise

import (
	"math/big"

	"github.com/grange-network/grange/atlas"
)

// Income is what a supplier may expect in a month, in USD, as far as claims and
// the profile support it. Null is unknown. P10 and P90 are a band, not a promise.
type Income struct {
	GrossP10   Number        `json:"gross_p10_usd"`
	GrossP90   Number        `json:"gross_p90_usd"`
	Ceiling    Number        `json:"ceiling_usd"` // if everything offered were sold
	Tokens     Number        `json:"tokens,omitempty"`
	TokenName  string        `json:"token,omitempty"`
	Power      Number        `json:"power_usd"`
	NetP10     Number        `json:"net_p10_usd"`
	NetP90     Number        `json:"net_p90_usd"`
	PaybackLow Number        `json:"payback_months_low"`        // at P90
	PaybackTop Number        `json:"payback_months_high"`       // at P10
	Never      bool          `json:"never_pays_back,omitempty"` // not even at P90
	Basis      []string      `json:"basis"`
	Missing    []string      `json:"missing"`
	Claims     []atlas.Claim `json:"claims"`
}

// income computes the band from the claims that the resource says it pays by.
func (o Own) income(e *atlas.Entry, r atlas.Resource) *Income {
	in := &Income{Basis: []string{}, Missing: []string{}, Claims: []atlas.Claim{}}
	low, high := o.gross(e, r, in)
	power := o.power(in)
	if low == nil {
		in.missing("no claim says what one supplier earns")
	} else {
		in.GrossP10, in.GrossP90 = cents(low), cents(high)
	}
	in.net(o, low, high, power)
	return in
}

func (in *Income) missing(text string) { in.Missing = append(in.Missing, text) }
func (in *Income) basis(text string)   { in.Basis = append(in.Basis, text) }

// gross is the band of earnings, nil when no claim gives one.
func (o Own) gross(e *atlas.Entry, r atlas.Resource, in *Income) (low, high *big.Rat) {
	for _, metric := range r.Pays {
		c := atlas.Shown(e.Claims, metric)
		if c == nil {
			continue
		}
		in.Claims = append(in.Claims, *c)
		switch metric {
		case "earnings":
			low, high = band(*c, in)
		case "storage-price":
			o.storageCeiling(*c, in)
		case "traffic-price":
			low, high = o.traffic(*c, in)
		case "token-reward":
			low, high = o.tokens(e, *c, in)
		default:
			in.missing("the price of its token, to turn " + metric + " into dollars")
		}
	}
	return low, high
}

// band is the reported range; of a single figure, half to twice of it.
func band(c atlas.Claim, in *Income) (low, high *big.Rat) {
	low, high = c.Range()
	if c.Low != nil {
		in.basis("the range that " + c.Source + " reports (" + c.Method + ") is taken as the band")
		return low, high
	}
	in.basis("half to twice of the figure that " + c.Source + " gives")
	return spread(c.Point())
}

func spread(r *big.Rat) (low, high *big.Rat) {
	return new(big.Rat).Mul(r, big.NewRat(1, 2)), new(big.Rat).Mul(r, big.NewRat(2, 1))
}

// storageCeiling is price × disk: what a disk earns when all of it is sold.
func (o Own) storageCeiling(c atlas.Claim, in *Income) {
	if o.Disk == nil {
		in.missing("the size of the disk")
		return
	}
	in.Ceiling = cents(new(big.Rat).Mul(c.Point(), atlas.Unit("TB").Base(*o.Disk)))
	in.basis("the ceiling is price times disk, as if all of it were sold; no claim says how much is")
	in.missing("how much of a provider's disk is sold")
}

// traffic is price × expected traffic, which is the profile's guess: half to twice.
func (o Own) traffic(c atlas.Claim, in *Income) (low, high *big.Rat) {
	if o.TrafficMonth == nil {
		in.missing("the traffic the place would carry (traffic_gb_month)")
		return nil, nil
	}
	in.basis("price times the expected traffic, half to twice of it, before the network's and the host's shares")
	return spread(new(big.Rat).Mul(c.Point(), atlas.Unit("GB").Base(*o.TrafficMonth)))
}

// tokens is reward × hours, in dollars when the price of the token is known.
func (o Own) tokens(e *atlas.Entry, c atlas.Claim, in *Income) (low, high *big.Rat) {
	most := new(big.Rat).Mul(c.Point(), o.hours())
	in.Tokens = cents(most)
	if len(e.Tokens) > 0 {
		in.TokenName = e.Tokens[0].Symbol
	}
	in.basis("tokens at most: the initial rate times the hours of a month; " + c.Method)
	price := atlas.Shown(e.Claims, "token-price")
	if price == nil {
		in.missing("the price of the token (a live source can give it)")
		return nil, nil
	}
	in.Claims = append(in.Claims, *price)
	in.Ceiling = cents(new(big.Rat).Mul(most, price.Point()))
	in.missing("how often the rate has been halved")
	return nil, nil
}

// power is watts × hours × price, nil when one of them is unknown.
func (o Own) power(in *Income) *big.Rat {
	if o.Watts == nil || o.PowerPrice == nil {
		in.missing("power (watts and power_usd_kwh)")
		return nil
	}
	cost := new(big.Rat).Mul(o.Watts.Rat(), o.hours())
	cost.Mul(cost, o.PowerPrice.Rat()).Quo(cost, big.NewRat(1000, 1))
	in.Power = cents(cost)
	return cost
}

func (in *Income) net(o Own, low, high, power *big.Rat) {
	if low == nil || power == nil {
		return
	}
	netLow, netHigh := new(big.Rat).Sub(low, power), new(big.Rat).Sub(high, power)
	in.NetP10, in.NetP90 = cents(netLow), cents(netHigh)
	if o.Capex == nil {
		in.missing("what the hardware cost (capex_usd), for the payback")
		return
	}
	months := func(net *big.Rat) Number {
		if net.Sign() <= 0 {
			return nil
		}
		return tenths(new(big.Rat).Quo(o.Capex.Rat(), net))
	}
	in.PaybackLow, in.PaybackTop = months(netHigh), months(netLow)
	in.Never = netHigh.Sign() <= 0
}

func cents(r *big.Rat) Number  { return places(r, 2) }
func tenths(r *big.Rat) Number { return places(r, 1) }

func places(r *big.Rat, n int) Number {
	d, err := atlas.DecimalFromRat(r, n)
	if err != nil {
		return nil // beyond what a Decimal holds: not a figure to show
	}
	return &d
}
