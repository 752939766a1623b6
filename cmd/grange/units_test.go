package main

import (
	"testing"

	"github.com/grange-network/grange/node/ledgerview"
)

func TestUnits(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"bytes":             {amount(3<<29, unit("storage").Use), "1.5 GiB read"},
		"one row":           {amount(1, unit("sensing/weather").Use), "1 row"},
		"rows":              {amount(12, unit("sensing/weather").Use), "12 rows"},
		"a stream":          {amount(60, unit("sensing/gnss").Use), "60 seconds of a stream"},
		"of any kind":       {amount(2, unit("sensing").Use), "2 rows"},
		"an unknown kind":   {amount(2, unit("tides").Use), "2 units used"},
		"capacity":          {size(64<<30, unit("storage")), "64.0 GiB"},
		"hours":             {size(3, unit("sensing/weather")), "3 station-hours"},
		"price":             {price(ledgerview.Price{Credits: 50_000, Per: 1 << 30}, "byte held"), "$0.05 per 1.0 GiB held"},
		"nothing to be had": {price(ledgerview.Price{}, ""), "none is sold"},
		"free":              {price(ledgerview.Price{Per: 1}, "row"), "free"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
