package radio

import (
	"fmt"
	"testing"
)

// Who was registered behind a phone and signs its scans again takes nothing of it.
func TestYoungerCopiesTakeNothing(t *testing.T) {
	stations := town(t, 400)
	quiet := weights(t, stations)
	for i := range 4 {
		again := drove(3, 400)
		for k := range again {
			again[k].Timestamp += 3_600_000
		}
		s := device(t, 900+i, fmt.Sprint("copier ", i), again)
		s.Registered = 1 // the others have 0
		stations = append(stations, s)
	}
	got := weights(t, stations)
	var taken uint64
	for _, w := range got[len(quiet):] {
		taken += w
	}
	t.Logf("copied by four a drive weighs %d, %d without; they weigh %d together", got[3], quiet[3], taken)
	if got[3] < quiet[3] || taken*100 > quiet[3] {
		t.Errorf("copied by four a drive weighs %d, %d without; they weigh %d together", got[3], quiet[3], taken)
	}
}
