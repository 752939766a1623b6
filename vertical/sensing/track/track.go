package track

import (
	"math"
	"slices"
)

// Point is where a device says that it was.
type Point struct {
	Time     int64   // milliseconds of Unix time
	Lat, Lon float64 // degrees
	// Heading is where the device looked, degrees clockwise from north; NaN when it
	// does not say.
	Heading float64
}

// Limits say what a track may be.
type Limits struct {
	Speed        float64 // m/s
	Acceleration float64 // m/s²
	// Points further apart in place or time than these belong to two sequences,
	// which are judged each for itself.
	GapMetres, GapSeconds float64
	// Least is how many points a sequence must have to be believed.
	Least int
}

// Street are the limits of street images: the speed and the cuts of Mapillary's
// upload tools, 400 km/h and 100 m or 60 s.
var Street = Limits{Speed: 400 / 3.6, Acceleration: 8, GapMetres: 100, GapSeconds: 60, Least: 3}

// Sparse are the limits of tracks of which only some moments are told, as of
// things seen on the way.
var Sparse = Limits{Speed: 400 / 3.6, Acceleration: 8, GapMetres: 400 / 3.6 * 60, GapSeconds: 60, Least: 1}

// Parameters of Check that depend on how well GNSS receivers measure.
const (
	noise = 5.0  // metres that a fix may be off without a reason
	slack = 30.0 // metres that a fix may jump

	leastMotion   = 5.0 // metres between points that show a direction
	leastSpeed    = 2.0 // m/s
	leastHeadings = 5   // directions that show how a camera is mounted
	steady        = 0.5 // length of the mean of their unit vectors
	mostTurned    = 60.0

	strideSeconds = 5.0 // between points whose straightness is judged
	leastStrides  = 8
	ruler         = 0.1 // metres off a straight line at constant speed: nobody drives so

	mostJerks = 10 // one in so many points may be too hard
)

// Fault is why a point is not believed.
type Fault uint8

// Faults of points.
const (
	Fine   Fault = iota
	Jump         // nobody gets there in time
	Jerk         // its speed changes harder than any vehicle's
	Turned       // it looks where its camera cannot
	Drawn        // it lies on a line drawn with a ruler
	Lone         // it belongs to a sequence that is too short
	Faults       // number of faults
)

// String says what was missing of a point with the fault.
func (f Fault) String() string {
	return [...]string{"fine", "reached in time", "within the acceleration of a vehicle", "looking along with its motion", "not drawn with a ruler", "in a sequence"}[f]
}

// Check judges the points of one device, which are in the order of their times.
func Check(points []Point, l Limits) []Fault {
	c := &check{points: points, limits: l, faults: make([]Fault, len(points))}
	c.spikes()
	c.mount()
	for _, s := range c.sequences() {
		c.judge(s)
	}
	return c.faults
}

type check struct {
	points []Point
	limits Limits
	faults []Fault
	kept   []int   // points that are no spikes
	angle  float64 // of the camera to the motion, degrees; NaN: not known
}

// metresPerDegree of latitude.
const metresPerDegree = 40_007_863.0 / 360

// offset is the way from a to b in metres east and north, on a plane that touches
// the Earth between them.
func offset(a, b Point) (east, north float64) {
	dLon := math.Mod(float64(b.Lon-a.Lon)+540, 360) - 180
	north = float64((b.Lat - a.Lat) * metresPerDegree)
	east = float64(float64(dLon*metresPerDegree) * math.Cos(float64((a.Lat+b.Lat)*math.Pi/360)))
	return east, north
}

// Distance between two points in metres; right for points of one town.
func Distance(a, b Point) float64 {
	east, north := offset(a, b)
	return math.Sqrt(float64(east*east) + float64(north*north))
}

func seconds(a, b Point) float64 { return float64(b.Time-a.Time) / 1000 }

// impossible reports whether nobody gets from a to b.
func (c *check) impossible(i, j int) bool {
	a, b := c.points[i], c.points[j]
	return Distance(a, b)-slack > float64(c.limits.Speed*seconds(a, b))
}

// spikes takes out single points that lie far off a track that goes on without
// them, as receivers give when they come out of a tunnel.
func (c *check) spikes() {
	for i := range c.points {
		n := len(c.kept)
		if n > 0 && i+1 < len(c.points) && c.impossible(c.kept[n-1], i) && c.impossible(i, i+1) && !c.impossible(c.kept[n-1], i+1) {
			c.faults[i] = Jump
			continue
		}
		c.kept = append(c.kept, i)
	}
}

// sequence is a part of the track; broken says that the way to its neighbour is
// impossible.
type sequence struct {
	at     []int
	broken bool
}

func (c *check) sequences() []sequence {
	var out []sequence
	for k, i := range c.kept {
		if k > 0 {
			before := c.kept[k-1]
			a, b := c.points[before], c.points[i]
			impossible := c.impossible(before, i)
			if !impossible && Distance(a, b) <= c.limits.GapMetres && seconds(a, b) <= c.limits.GapSeconds {
				out[len(out)-1].at = append(out[len(out)-1].at, i)
				continue
			}
			out[len(out)-1].broken = out[len(out)-1].broken || impossible
			out = append(out, sequence{[]int{i}, impossible})
			continue
		}
		out = append(out, sequence{at: []int{i}})
	}
	return out
}

func (c *check) judge(s sequence) {
	switch {
	case s.broken:
		c.mark(s.at, Jump)
		return
	case len(s.at) < c.limits.Least:
		c.mark(s.at, Lone)
		return
	case c.drawn(s.at):
		c.mark(s.at, Drawn)
		return
	}
	c.headings(s.at)
	c.jerks(s.at)
}

func (c *check) mark(at []int, f Fault) {
	for _, i := range at {
		c.faults[i] = f
	}
}

// jerks finds changes of speed beyond the limit, with room for the noise of the
// fixes. A sequence with many is not believed at all.
func (c *check) jerks(at []int) {
	var hard []int
	for k := 1; k+1 < len(at); k++ {
		a, b, d := c.points[at[k-1]], c.points[at[k]], c.points[at[k+1]]
		before, after := seconds(a, b), seconds(b, d)
		if before <= 0 || after <= 0 {
			continue
		}
		change := math.Abs(Distance(b, d)/after - Distance(a, b)/before)
		if change > float64(c.limits.Acceleration*((before+after)/2))+noise/before+noise/after {
			hard = append(hard, at[k])
		}
	}
	c.mark(hard, Jerk)
	if len(hard)*mostJerks > len(at) {
		c.mark(at, Jerk)
	}
}

// direction of the motion at a point, degrees clockwise from north.
func (c *check) direction(a, b int) (degrees float64, ok bool) {
	p, q := c.points[a], c.points[b]
	d := Distance(p, q)
	if t := seconds(p, q); d < leastMotion || t <= 0 || d/t < leastSpeed || t > c.limits.GapSeconds || d > c.limits.GapMetres {
		return 0, false
	}
	east, north := offset(p, q)
	return float64(math.Atan2(east, north) * 180 / math.Pi), true
}

// off is the angle between where a point looks and where it goes.
func (c *check) off(k int) (degrees float64, ok bool) {
	i := c.kept[k]
	if math.IsNaN(c.points[i].Heading) {
		return 0, false
	}
	if k+1 < len(c.kept) {
		if d, ok := c.direction(i, c.kept[k+1]); ok {
			return c.points[i].Heading - d, true
		}
	}
	if k > 0 {
		if d, ok := c.direction(c.kept[k-1], i); ok {
			return c.points[i].Heading - d, true
		}
	}
	return 0, false
}

// mount finds the angle of the camera to the motion: it may look to the side, but
// not now here and now there.
func (c *check) mount() {
	var x, y float64
	n := 0
	for k := range c.kept {
		if d, ok := c.off(k); ok {
			sin, cos := math.Sincos(float64(d * math.Pi / 180))
			x, y, n = x+cos, y+sin, n+1
		}
	}
	c.angle = math.NaN()
	switch length := math.Sqrt(float64(x*x) + float64(y*y)); {
	case n < leastHeadings:
	case length < float64(steady*float64(n)):
		c.angle = math.Inf(1) // none
	default:
		c.angle = float64(math.Atan2(y, x) * 180 / math.Pi)
	}
}

func (c *check) headings(at []int) {
	if math.IsNaN(c.angle) {
		return
	}
	for _, i := range at {
		k, _ := slices.BinarySearch(c.kept, i)
		if d, ok := c.off(k); ok && (math.IsInf(c.angle, 1) || Apart(d, c.angle) > mostTurned) {
			c.faults[i] = Turned
		}
	}
}

// Apart is the angle between two directions, 0 to 180 degrees.
func Apart(a, b float64) float64 {
	return math.Abs(math.Mod(math.Mod(a-b, 360)+540, 360) - 180)
}

// drawn reports whether a sequence lies on straight lines at constant speed.
// Points a few seconds apart are compared, since programs put images between the
// fixes of a receiver by a straight line.
func (c *check) drawn(at []int) bool {
	var thin []Point
	for _, i := range at {
		p := c.points[i]
		if n := len(thin); n == 0 || seconds(thin[n-1], p) >= strideSeconds && Distance(thin[n-1], p) >= leastMotion {
			thin = append(thin, p)
		}
	}
	if len(thin) < leastStrides {
		return false
	}
	var off []float64
	for k := 1; k+1 < len(thin); k++ {
		a, b, d := thin[k-1], thin[k], thin[k+1]
		part := seconds(a, b) / seconds(a, d)
		between := Point{Lat: a.Lat + float64(part*(d.Lat-a.Lat)), Lon: a.Lon + float64(part*(d.Lon-a.Lon))}
		off = append(off, Distance(between, b))
	}
	slices.Sort(off)
	return off[len(off)/2] < ruler
}
