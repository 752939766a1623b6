package air

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/grange-network/grange/h3"
)

// Neighbours are all within the radius, as comparing everybody with everybody finds
// them; so each is the other's.
func TestNeighbourhoodsAreWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, at := range [][2]float64{{48.1, 11.6}, {0, 0}, {-33.9, 151.2}, {64.1, -21.9}, {10.5, 179.95}} {
		var all []*record
		for range 700 {
			lat := at[0] + r.Float64() - 0.5
			lon := at[1] + (r.Float64()-0.5)/math.Cos(lat*math.Pi/180)
			rec := &record{}
			rec.Cell = uint64(h3.At(lat, math.Remainder(lon, 360), 8))
			rec.lat, rec.lon = h3.Cell(rec.Cell).Centre()
			rec.ID[0], rec.ID[1] = byte(len(all)), byte(len(all)>>8)
			all = append(all, rec)
		}
		found := neighbourhoods(all)
		missed := 0
		for i, a := range all {
			for k, b := range all {
				near := i != k && h3.Distance(a.lat, a.lon, b.lat, b.lon) <= radius
				if near != slices.Contains(found[i], k) {
					missed++
				}
			}
		}
		if missed > 0 {
			t.Errorf("at %v: %d pairs are missed or too much", at, missed)
		}
	}
}
