package gnsstest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"time"

	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// shells are made-up constellations: satellites in equal planes.
var shells = []struct {
	system         rtcm.System
	first, planes  int
	each           int
	axis, inclined float64 // metres, degrees
}{
	{rtcm.GPS, 1, 6, 5, 26559e3, 55},
	{rtcm.GLONASS, 1, 3, 8, 25508e3, 64.8},
	{rtcm.Galileo, 1, 3, 8, 29600e3, 56},
	{rtcm.BeiDou, 19, 3, 12, 27906e3, 55},
}

// block is how long an orbit is valid.
const block = 7200

// Sky returns the orbits in force at a time. Those of GLONASS are for Observe only.
func Sky(at time.Time) (out []rtcm.Ephemeris) {
	for _, s := range shells {
		toe := math.Floor(orbit.SecondOfWeek(at)/block) * block
		mu := 3.986004418e14
		if s.system == rtcm.GPS {
			mu = 3.986005e14
		}
		n := math.Sqrt(mu / (s.axis * s.axis * s.axis))
		for p := range s.planes {
			for k := range s.each {
				m := 2*math.Pi*(float64(k)/float64(s.each)+float64(p)/float64(s.planes*s.each)) + n*toe
				e := rtcm.Ephemeris{
					System: s.system, Satellite: s.first + p*s.each + k, Healthy: true, Toc: toe, Toe: toe, SqrtA: math.Sqrt(s.axis),
					I0: s.inclined * math.Pi / 180, Omega0: wrap(2 * math.Pi * (float64(p)/float64(s.planes) + float64(s.axis)/1e8)), M0: wrap(m),
				}
				out = append(out, sent(e))
			}
		}
	}
	return out
}

func wrap(a float64) float64 { return math.Remainder(a, 2*math.Pi) }

// sent is an orbit as its message has it.
func sent(e rtcm.Ephemeris) rtcm.Ephemeris {
	if e.System == rtcm.GLONASS {
		return e
	}
	f, err := rtcm.NewScanner(bytes.NewReader(Orbit(e))).Next()
	if err != nil {
		panic(err)
	}
	e, err = rtcm.DecodeEphemeris(f)
	if err != nil {
		panic(err)
	}
	return e
}

// Receiver is a made-up base.
type Receiver struct {
	ID    int
	Place [3]float64
	Noise float64 // metres of code
	Flat  bool    // all signals of one strength
	Kind  int     // 4 or 7
}

// signals are the ids and how much more the ionosphere delays each than L1.
var signals = map[rtcm.System][]struct {
	id    int
	delay float64
}{
	rtcm.GPS: {{2, 1}, {16, 1.647}, {24, 1.793}}, rtcm.GLONASS: {{2, 1}, {8, 1.653}},
	rtcm.Galileo: {{2, 1}, {15, 1.704}, {23, 1.793}}, rtcm.BeiDou: {{2, 1}, {8, 1.515}, {14, 1.672}},
}

// Observe makes the MSM frames of one epoch.
func (r Receiver) Observe(at time.Time, rng *rand.Rand) (frames [][]byte) {
	ofWeek := orbit.SecondOfWeek(at)
	up := orbit.Up(r.Place)
	clock := 1e-6 * orbit.C * rng.Float64()
	by := map[rtcm.System][]rtcm.Satellite{}
	for _, e := range Sky(at) {
		length, unit, ahead := orbit.Seen(&e, r.Place, ofWeek)
		el := orbit.Elevation(up, unit)
		if el < 5 {
			continue
		}
		sin := math.Sin(el * math.Pi / 180)
		p := length + clock - orbit.C*ahead + 2.4/sin
		s := rtcm.Satellite{ID: e.Satellite, Range: p}
		for _, g := range signals[e.System] {
			cnr := 33 + 17*sin + 1.5*rng.NormFloat64()
			if r.Flat {
				cnr = 45
			}
			code := p + 3*g.delay/sin + r.Noise*rng.NormFloat64()
			s.Signals = append(s.Signals, rtcm.Signal{ID: g.id, Pseudorange: code, Phase: p - 3*g.delay/sin, CNR: cnr})
		}
		by[e.System] = append(by[e.System], s)
	}
	for i, s := range shells {
		m := rtcm.MSM{System: s.system, Kind: r.Kind, Station: r.ID, Epoch: epochOf(s.system, at, ofWeek), Satellites: by[s.system], More: i < len(shells)-1}
		frames = append(frames, MSM(m))
	}
	return frames
}

func epochOf(s rtcm.System, at time.Time, ofWeek float64) time.Duration {
	switch s {
	case rtcm.BeiDou:
		ofWeek = math.Mod(ofWeek-14+7*24*3600, 7*24*3600)
	case rtcm.GLONASS:
		return at.Add(3*time.Hour).Sub(at.Add(3*time.Hour).Truncate(24*time.Hour)) % (24 * time.Hour)
	}
	return time.Duration(math.Round(ofWeek*1000)) * time.Millisecond
}

// Orbits are the frames of the orbits in force that have a message here.
func Orbits(at time.Time) (frames [][]byte) {
	for _, e := range Sky(at) {
		if e.System != rtcm.GLONASS {
			frames = append(frames, Orbit(e))
		}
	}
	return frames
}
