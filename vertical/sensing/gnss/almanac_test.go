package gnss

import (
	"testing"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// A base that makes up orbits without end must not make everybody look through them.
func TestAlmanacIsBounded(t *testing.T) {
	a := almanac{}
	e := rtcm.Ephemeris{System: rtcm.GPS, Satellite: 7, SqrtA: 5153, Toe: 7200}
	for i := range 3 * mostOrbits {
		made := e
		made.M0 = float64(i) + 1
		a.add("forger", made)
	}
	a.add("honest", e)
	a.add("other", e)
	k := sat{rtcm.GPS, 7}
	if n := len(a[k]); n != mostOrbits+1 {
		t.Errorf("%d orbits of a satellite, want %d of one owner and one of the others", n, mostOrbits)
	}
	if got := a.of(k, 7200, "asking"); got == nil || got.M0 != e.M0 {
		t.Errorf("orbit %+v, want the one that two owners have", got)
	}
}
