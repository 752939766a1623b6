package main

import (
	"fmt"
	"strings"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/vertical"
)

// unit is what the units of leases of a kind of offer are; of a kind that this
// program does not know they are units.
func unit(kind string) vertical.Unit {
	for _, v := range verticals.All() {
		info := v.Info()
		for _, u := range info.Units {
			if u.Kind == kind || info.Name == kind { // a lease of a whole vertical counts as its kinds do
				return u
			}
		}
	}
	return vertical.Unit{Kind: kind, Use: "unit used", Hold: "unit held"}
}

// amount writes n units: "1.5 GiB read", "1 row", "12 rows".
func amount(n uint64, unit string) string {
	if did, ok := strings.CutPrefix(unit, "byte"); ok {
		return cliout.Bytes(n) + did
	}
	what, did, _ := strings.Cut(unit, " ")
	if n != 1 {
		what += "s"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", n, what, did))
}

// size writes n units that can be held: "64.0 GiB".
func size(n uint64, u vertical.Unit) string { return strings.TrimSuffix(amount(n, u.Hold), " held") }

// price writes what units cost: "$0.05 per 1.0 GiB read"; none is sold where unit
// is empty.
func price(p ledgerview.Price, unit string) string {
	switch {
	case unit == "":
		return "none is sold"
	case p.Credits == 0:
		return "free"
	}
	return cliout.Credits(p.Credits) + " per " + amount(p.Per, unit)
}
