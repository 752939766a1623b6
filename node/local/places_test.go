package local

import (
	"testing"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
)

func TestPlaces(t *testing.T) {
	near := map[h3.Cell]int{}
	for i := range DefaultProviders {
		c := placeOf(i)
		if err := device.CheckCell(c); err != nil {
			t.Errorf("place %d: the ledger would refuse it: %v", i, err)
		}
		near[h3.Cell(c).Parent(5)]++
	}
	if got := near[h3.Cell(placeOf(0)).Parent(5)]; got != 3 {
		t.Errorf("%d providers share the first cell of resolution 5, want 3", got)
	}
	if len(near) != DefaultProviders-2 {
		t.Errorf("%d cells of resolution 5, want %d", len(near), DefaultProviders-2)
	}
}
