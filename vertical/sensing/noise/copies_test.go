package noise

import (
	"fmt"
	"testing"
	"time"
)

// Who was registered behind a walker and signs his walk again takes nothing of it.
func TestYoungerCopiesTakeNothing(t *testing.T) {
	stations := town(500)
	quiet, _ := weights(t, stations)
	for i := range 4 {
		s := device(900+i, fmt.Sprint("copier ", i), walk(3, 11*time.Hour, 500, -1))
		s.Registered = 1 // the others have 0
		stations = append(stations, s)
	}
	got, _ := weights(t, stations)
	var taken uint64
	for _, w := range got[len(quiet):] {
		taken += w
	}
	t.Logf("copied by four a walk weighs %d, %d without; they weigh %d together", got[3], quiet[3], taken)
	if got[3] < quiet[3] || taken*100 > quiet[3] {
		t.Errorf("copied by four a walk weighs %d, %d without; they weigh %d together", got[3], quiet[3], taken)
	}
}
