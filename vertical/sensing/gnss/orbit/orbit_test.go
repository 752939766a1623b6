package orbit_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

const (
	f1 = 1575.42 * 1575.42
	f2 = 1227.60 * 1227.60
)

// A receiver's position of every epoch of a real file is near the surveyed one.
func TestPositionOfARealReceiver(t *testing.T) {
	for _, name := range []string{"0759", "3040"} {
		obs, nav := pair(t, name)
		var off []float64
		for _, e := range obs.Epochs {
			ofWeek := math.Mod(e.Time.Sub(time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)).Seconds(), 7*24*3600)
			var sights []orbit.Sight
			for _, s := range e.Satellites {
				if o := nearest(nav, s.ID, ofWeek); o != nil {
					p := (f1*s.Signals[0].Pseudorange - f2*s.Signals[1].Pseudorange) / (f1 - f2)
					sights = append(sights, orbit.Sight{Orbit: o, Range: p})
				}
			}
			fix, ok := orbit.Solve(sights, obs.Place, ofWeek)
			if !ok {
				t.Fatalf("%s at %s: no position from %d sights (%+v)", name, e.Time, len(sights), fix)
			}
			// Where the search begins does not matter.
			far, ok := orbit.Solve(sights, orbit.ECEF(30, 130, 0), ofWeek)
			if d := orbit.Distance(far.Place, fix.Place); !ok || d > 0.1 {
				t.Fatalf("from elsewhere it is %.2f m away (%v)", d, ok)
			}
			off = append(off, orbit.Horizontal(obs.Place, fix.Place))
		}
		slices.Sort(off)
		t.Logf("%s: %d epochs, horizontal error median %.2f m, largest %.2f m", name, len(off), off[len(off)/2], off[len(off)-1])
		if off[len(off)/2] > 3 || off[len(off)-1] > 15 {
			t.Errorf("%s: too far from the surveyed place", name)
		}
	}
}

func nearest(nav []rtcm.Ephemeris, id int, ofWeek float64) (best *rtcm.Ephemeris) {
	for i := range nav {
		e := &nav[i]
		if e.Satellite == id && (best == nil || math.Abs(orbit.Age(e, ofWeek)) < math.Abs(orbit.Age(best, ofWeek))) {
			best = e
		}
	}
	return best
}

func pair(t *testing.T, name string) (*gnsstest.Rinex, []rtcm.Ephemeris) {
	t.Helper()
	dir := "../../../../../shared/data/gnss"
	o, err := os.Open(filepath.Join(dir, name+"0920.05o"))
	if err != nil {
		t.Skipf("the recorded pair is not there: %v", err)
	}
	defer o.Close()
	n, err := os.Open(filepath.Join(dir, name+"0920.05n"))
	if err != nil {
		t.Skip(err)
	}
	defer n.Close()
	obs, err := gnsstest.ReadRinex(o)
	if err != nil {
		t.Fatal(err)
	}
	nav, err := gnsstest.ReadNavigation(n)
	if err != nil {
		t.Fatal(err)
	}
	return obs, nav
}

func TestPlaces(t *testing.T) {
	for _, p := range [][3]float64{{48.1, 11.6, 560}, {-33.9, 151.2, 20}, {0, 0, 0}, {89.9, 10, 3000}} {
		lat, lon, h := orbit.Geodetic(orbit.ECEF(p[0], p[1], p[2]))
		if math.Abs(lat-p[0]) > 1e-9 || math.Abs(lon-p[1]) > 1e-9 || math.Abs(h-p[2]) > 1e-3 {
			t.Errorf("%v came back as %v %v %v", p, lat, lon, h)
		}
	}
}

func TestNear(t *testing.T) {
	at := time.Date(2012, 10, 14, 0, 0, 0, 0, time.UTC)
	if got := orbit.Near(16*time.Second, at); !got.Equal(at) {
		t.Errorf("second 16 of the week is %s", got)
	}
	if got := orbit.Near(167*time.Hour+59*time.Minute+44*time.Second, at); !got.Equal(at.Add(-32 * time.Second)) {
		t.Errorf("the end of the week before is %s", got)
	}
	if got := orbit.SecondOfWeek(at); got != 16 {
		t.Errorf("second of the week %v", got)
	}
}
