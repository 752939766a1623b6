package noise

import (
	"math"
	"slices"

	"github.com/grange-network/grange/vertical/sensing/track"
)

// Parameters of what a walker measures, after Silencio's published checks.
const (
	walking = 12 / 3.6 // m/s

	quietest, loudest = 15.0, 130.0 // dB(A)
	worstAccuracy     = 30.0        // metres

	pause        = 60_000 // ms without a sample that end a walk
	leastSamples = 5

	speedOver  = 60_000 // ms over which speed is judged
	slack      = 40.0   // metres that fixes may be off in it
	speedApart = 3.0    // m/s between the speed told and that of the places

	leastJudged  = 20  // samples by which timing and levels are judged
	leastSpread  = 0.2 // dB, standard deviation
	leastRegular = 3   // one interval in so many is near the median, or nobody measured

	stride = 15.0 // metres that are a step on and not the receiver's jitter
)

// fault is why a sample does not count.
type fault int

const (
	fine fault = iota
	outOfRange
	inaccurate
	jump
	drawn
	fast
	inconsistent
	irregular
	constant
	unlike
	lone
	faults
)

func (f fault) String() string {
	return [...]string{
		"fine", "level of 15 to 130 dB", "place within 30 m", "reached in time", "not drawn with a ruler", "at most 12 km/h",
		"distance as its speed says", "measured at regular times", "level that varies", "level as others measure there", "part of a walk",
	}[f]
}

var limits = track.Limits{Speed: 2 * walking, Acceleration: 8, GapMetres: 2 * walking * pause / 1000, GapSeconds: pause / 1000, Least: 1}

// judge says of each sample of one device, in the order of time, whether a walker
// measured it.
func judge(all []Sample) []fault {
	out := make([]fault, len(all))
	points := make([]track.Point, len(all))
	for i, s := range all {
		points[i] = track.Point{Time: s.Time, Lat: s.Lat, Lon: s.Lon, Heading: math.NaN()}
	}
	of := track.Check(points, limits)
	for i, s := range all {
		switch {
		case !(s.Level >= quietest && s.Level <= loudest):
			out[i] = outOfRange
		case s.Accuracy > worstAccuracy:
			out[i] = inaccurate
		case of[i] == track.Drawn:
			out[i] = drawn
		case of[i] != track.Fine:
			out[i] = jump
		}
	}
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].Time-all[to-1].Time <= pause {
			to++
		}
		judgeWalk(all[from:to], points[from:to], out[from:to])
		from = to
	}
	return out
}

func judgeWalk(walk []Sample, points []track.Point, out []fault) {
	mark := func(from, to int, f fault) {
		for i := from; i < to; i++ {
			if out[i] == fine {
				out[i] = f
			}
		}
	}
	moves := !walk[0].estimated
	switch {
	case len(walk) < leastSamples:
		mark(0, len(walk), lone)
		return
	case len(walk) >= leastJudged && spread(walk) < leastSpread:
		mark(0, len(walk), constant)
		return
	case len(walk) >= leastJudged && !regular(walk):
		mark(0, len(walk), irregular)
		return
	case !moves:
		return
	}
	j := 0
	for i := range walk {
		for j < len(walk)-1 && walk[j].Time-walk[i].Time < speedOver {
			j++
		}
		if took := float64(walk[j].Time-walk[i].Time) / 1000; took > 0 && track.Distance(points[i], points[j]) > float64(walking*took)+slack {
			mark(i, j+1, fast)
		}
	}
	if !consistent(walk, points) {
		mark(0, len(walk), inconsistent)
	}
}

// spread is the standard deviation of a walk's levels in dB.
func spread(walk []Sample) float64 {
	var mean, square float64
	n := float64(len(walk))
	for _, s := range walk {
		mean += s.Level / n
	}
	for _, s := range walk {
		d := s.Level - mean
		square += float64(d*d) / n
	}
	return math.Sqrt(square)
}

// regular reports whether a walk was measured by a program: a third of the
// intervals at least are near the median.
func regular(walk []Sample) bool {
	gaps := make([]int64, len(walk)-1)
	for i := range gaps {
		gaps[i] = walk[i+1].Time - walk[i].Time
	}
	slices.Sort(gaps)
	middle, near := gaps[len(gaps)/2], 0
	for _, g := range gaps {
		if 2*g >= middle && 2*g <= 3*middle {
			near++
		}
	}
	return near*leastRegular >= len(gaps)
}

// consistent compares the speed that the device told with that of its places, both
// on average over the walk.
func consistent(walk []Sample, points []track.Point) bool {
	var told, n, way float64
	for i, s := range walk {
		if !math.IsNaN(s.Speed) {
			told += s.Speed
			n++
		}
		if i > 0 {
			way += track.Distance(points[i-1], points[i])
		}
	}
	took := float64(walk[len(walk)-1].Time-walk[0].Time) / 1000
	return n == 0 || took == 0 || math.Abs(told/n-way/took) <= speedApart
}
