package gnss

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// observe makes the frames of a recorded epoch.
func observe(id int, e gnsstest.RinexEpoch, utc time.Time, kind int, change func(*rtcm.Satellite)) []byte {
	m := rtcm.MSM{System: rtcm.GPS, Kind: kind, Station: id, Epoch: time.Duration(math.Round(orbit.SecondOfWeek(utc)*1000)) * time.Millisecond}
	for _, s := range e.Satellites {
		s.Signals = slices.Clone(s.Signals)
		if change != nil {
			change(&s)
		}
		m.Satellites = append(m.Satellites, s)
	}
	slices.SortFunc(m.Satellites, func(a, b rtcm.Satellite) int { return a.ID - b.ID })
	return gnsstest.MSM(m)
}

// recorded reads one receiver of the recorded pair: an hour, an epoch a minute.
func recorded(t testing.TB, name string, orbits bool, change func(i int, s *rtcm.Satellite)) player {
	t.Helper()
	read := func(file string) *bytes.Reader {
		raw, err := os.ReadFile(filepath.Join("../../../../shared/data/gnss", file))
		if err != nil {
			t.Skipf("the recorded pair is not there: %v", err)
		}
		return bytes.NewReader(raw)
	}
	obs, err := gnsstest.ReadRinex(read(name + "0920.05o"))
	if err != nil {
		t.Fatal(err)
	}
	p := player{name: name, owner: name, place: obs.Place, since: 10}
	for _, e := range obs.Epochs {
		utc := e.Time.Add(-13 * time.Second)
		at := utc.Truncate(time.Minute)
		if n := len(p.minutes); n > 0 && p.minutes[n-1].Start == at.Unix() {
			continue
		}
		i := len(p.minutes)
		m := Minute{Start: at.Unix(), Mount: name, Chain: make([]byte, 32), Seconds: 1<<60 - 1, Age: 300, Sample: [][]byte{gnsstest.Station(1, obs.Place)}}
		m.Sample = append(m.Sample, observe(1, e, utc, 7, func(s *rtcm.Satellite) {
			if change != nil {
				change(i, s)
			}
		}))
		p.minutes = append(p.minutes, m)
	}
	if orbits {
		nav, err := gnsstest.ReadNavigation(read(name + "0920.05n"))
		if err != nil {
			t.Fatal(err)
		}
		at := orbit.SecondOfWeek(time.Unix(p.minutes[0].Start, 0))
		n := 0
		for _, e := range nav {
			if math.Abs(orbit.Wrap(at-e.Toe)) > 2*valid {
				continue
			}
			m := &p.minutes[n%len(p.minutes)]
			m.Sample = append([][]byte{gnsstest.Orbit(e)}, m.Sample...)
			n++
		}
	}
	return p
}

// suspicions are the minutes of a view that a check holds against it.
type suspicions struct{ minutes, far, below, flat int }

func suspect(v *view, a almanac, place [3]float64) (s suspicions) {
	s.minutes = len(v.samples)
	for i := range v.samples {
		one := *v
		one.samples = v.samples[i : i+1]
		if off, ok := v.samples[i].off(a, place, v.Owner); ok && off > nearEnough {
			s.far++
		}
		if good, of := one.risen(a, place); good < of {
			s.below++
		}
		if !one.lively() {
			s.flat++
		}
	}
	return s
}

// Clean recordings raise no suspicion in any minute, and two receivers 3.3 km
// apart are not taken for one.
func TestCleanRecordings(t *testing.T) {
	a, b := recorded(t, "0759", true, nil), recorded(t, "3040", true, nil)
	orbits := almanac{}
	var views []*view
	for _, p := range []player{a, b} {
		v := &view{}
		v.Owner = p.owner
		for _, m := range p.minutes {
			if s, ok := sampleOf(m, func(e rtcm.Ephemeris) { orbits.add(p.owner, e) }); ok {
				v.samples = append(v.samples, s)
			}
		}
		if len(v.samples) < 40 {
			t.Fatalf("%s: %d minutes of %d can be read", p.name, len(v.samples), len(p.minutes))
		}
		views = append(views, v)
	}
	for i, p := range []player{a, b} {
		s := suspect(views[i], orbits, p.place)
		t.Logf("%s: %+v", p.name, s)
		if s.far+s.below+s.flat > 0 {
			t.Errorf("%s: a clean recording is suspected: %+v", p.name, s)
		}
	}
	same := 0
	for i, k := 0, 0; i < len(views[0].samples) && k < len(views[1].samples); i, k = i+1, k+1 {
		if sameRanges(views[0].samples[i].sights, views[1].samples[k].sights) {
			same++
		}
	}
	if same > 0 || alike(views[0], views[1]) {
		t.Errorf("two receivers look like one in %d minutes", same)
	}
}

// Each second of the recorded stream of five systems is a sample: satellites have
// risen and signals are lively. Orbits of six of its satellites were recorded, too
// few to judge its place by.
func TestCleanStream(t *testing.T) {
	file := "../../../../shared/data/gnss/GMSD7_20121014.rtcm3"
	if _, err := os.Stat(file); err != nil {
		file = "../rtcm/testdata/multi.rtcm3"
	}
	v, orbits := stream(t, file)
	s := suspect(v, orbits, [3]float64{-3607662, 4147862, 3223720})
	t.Logf("%+v", s)
	if s.minutes < 30 || s.far+s.below+s.flat > 0 {
		t.Errorf("a clean stream is suspected: %+v", s)
	}
	// Seen from the other side of the earth they have not.
	if s := suspect(v, orbits, [3]float64{3607662, -4147862, -3223720}); s.below != s.minutes {
		t.Errorf("from the other side of the earth: %+v", s)
	}
}

// stream reads every epoch of a recording as a sample.
func stream(t testing.TB, file string) (*view, almanac) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v, orbits := &view{}, almanac{}
	near := time.Date(2012, 10, 14, 0, 0, 0, 0, time.UTC)
	var epoch [][]byte
	scan := rtcm.NewScanner(bytes.NewReader(raw))
	for {
		f, err := scan.Next()
		if err != nil {
			return v, orbits
		}
		if !wanted(f.Type) {
			continue
		}
		epoch = append(epoch, bytes.Clone(f.Raw))
		if _, _, ok := rtcm.MSMOf(f.Type); !ok || rtcm.More(f) {
			continue
		}
		at, _ := epochTime(epoch, near)
		m := Minute{Start: at.Unix() / 60 * 60, Seconds: 1, Sample: epoch}
		if s, ok := sampleOf(m, func(e rtcm.Ephemeris) { orbits.add("another", e) }); ok {
			v.samples = append(v.samples, s)
		}
		epoch = nil
	}
}

// caught reports whether a base that should be worth something earns less than
// half of it by one of the terms.
func caught(terms []vertical.Term) bool {
	for _, x := range terms {
		if x.Of > 0 && 2*x.Value < x.Of && x.Name != "satellites of 32 dB-Hz, 26 to 29" && x.Name != "bands" && x.Name != "constellations" {
			return true
		}
	}
	return false
}

func moved(p player, name string, by [3]float64, since int64) player {
	to := [3]float64{p.place[0] + by[0], p.place[1] + by[1], p.place[2] + by[2]}
	out := player{name: name, owner: name, place: to, since: since}
	for _, m := range p.minutes {
		m.Sample = slices.Clone(m.Sample)
		for i, raw := range m.Sample {
			if f, _ := frame(raw); place(f.Type) {
				m.Sample[i] = gnsstest.Station(99, to)
			}
		}
		out.minutes = append(out.minutes, m)
	}
	return out
}

// reframed gives the observations another station id, or writes them as MSM4 with
// other clocks.
func reframed(p player, name string, since int64, msm4 bool) player {
	out := player{name: name, owner: name, place: p.place, since: since}
	for _, m := range p.minutes {
		m.Sample = slices.Clone(m.Sample)
		for i, raw := range m.Sample {
			f, _ := frame(raw)
			o, err := rtcm.DecodeMSM(f)
			if err != nil {
				continue
			}
			o.Station = 99
			if msm4 {
				o.Kind = 4
				for k := range o.Satellites {
					s := &o.Satellites[k]
					for g := range s.Signals {
						s.Signals[g].Pseudorange += 123.4
						s.Signals[g].Phase += 123.4
					}
					s.Range = s.Signals[0].Pseudorange
				}
			}
			m.Sample[i] = gnsstest.MSM(*o)
		}
		out.minutes = append(out.minutes, m)
	}
	return out
}

func shifted(p player, name string, by time.Duration, retime bool) player {
	out := player{name: name, owner: name, place: p.place, since: 500}
	for _, m := range p.minutes {
		m.Start += int64(by.Seconds())
		if retime {
			m.Sample = slices.Clone(m.Sample)
			for i, raw := range m.Sample {
				f, _ := frame(raw)
				if o, err := rtcm.DecodeMSM(f); err == nil {
					if o.Epoch += by; o.System == rtcm.GLONASS {
						o.Epoch %= 24 * time.Hour
					}
					m.Sample[i] = gnsstest.MSM(*o)
				}
			}
		}
		if window.Holds(time.Unix(m.Start, 0)) {
			out.minutes = append(out.minutes, m)
		}
	}
	return out
}

// Every cheat is put beside three honest bases, at places of a made-up sky and
// with several seeds.
func TestCheats(t *testing.T) {
	rounds := uint64(2)
	others := []player{honest("b", 49.45, 11.08, 2), honest("c", 47.27, 11.39, 3), honest("d", 48.77, 9.18, 4)}
	cheats := []struct {
		name string
		make func(victim player, seed uint64) player
	}{
		{"copy, byte for byte", func(v player, _ uint64) player { c := v; c.name, c.owner, c.since = "x", "x", 500; return c }},
		{"copy with another station id", func(v player, _ uint64) player { return reframed(v, "x", 500, false) }},
		{"copy as MSM4, other clock", func(v player, _ uint64) player { return reframed(v, "x", 500, true) }},
		{"copy with coordinates 30 km away", func(v player, _ uint64) player {
			return reframed(moved(v, "x", [3]float64{-20e3, 20e3, 8e3}, 500), "x", 500, true)
		}},
		{"an older key copies, coordinates 1 km away", func(v player, _ uint64) player {
			return moved(v, "x", [3]float64{-500, 700, 500}, 1)
		}},
		{"coordinates shifted by 40 m", func(_ player, seed uint64) player {
			return moved(honest("x", 48.40, 10.87, seed+50), "x", [3]float64{0, 40, 0}, 500)
		}},
		{"own stream of half an hour ago", func(_ player, seed uint64) player {
			return shifted(honest("x", 48.40, 10.87, seed+50), "x", 30*time.Minute, false)
		}},
		{"the same with the times rewritten", func(_ player, seed uint64) player {
			p := shifted(honest("x", 48.40, 10.87, seed+50), "x", 30*time.Minute, true)
			for i := range p.minutes { // enough of them to be paid
				p.minutes[i].Seconds = 1<<60 - 1
			}
			return p
		}},
		{"simulator with flat signals", func(_ player, seed uint64) player {
			p := honest("x", 48.40, 10.87, seed+50)
			p.minutes = minutesOf(gnsstest.Receiver{ID: 5, Place: p.place, Noise: 0.3, Kind: 7, Flat: true}, p.place, seed)
			return p
		}},
		{"satellites of the other side of the earth", func(_ player, seed uint64) player {
			p := honest("x", 48.40, 10.87, seed+50)
			p.minutes = minutesOf(gnsstest.Receiver{ID: 5, Place: orbit.ECEF(-48, -170, 0), Noise: 0.3, Kind: 7}, p.place, seed)
			return p
		}},
	}
	victims, falsely := 0, 0
	for _, c := range cheats {
		found := 0
		for seed := range rounds {
			victim := honest("a", 48.14, 11.57, 10+seed)
			_, terms := weigh(t, append(slices.Clone(others), victim, c.make(victim, seed))...)
			if caught(terms["x"]) {
				found++
			}
			for _, name := range []string{"a", "b", "c", "d"} {
				victims++
				if caught(terms[name]) {
					falsely++
					t.Errorf("%s: honest %s is held to cheat: %+v", c.name, name, terms[name])
				}
			}
		}
		t.Logf("%s: caught %d of %d", c.name, found, rounds)
		if found < int(rounds) {
			t.Errorf("%s: caught %d of %d", c.name, found, rounds)
		}
	}
	t.Logf("honest bases suspected: %d of %d", falsely, victims)
}

// The cheats on recorded receivers: their own place is known to a metre and their
// orbits come from the other.
func TestCheatsOnRecordings(t *testing.T) {
	orbits := almanac{}
	add := func(p player) *view {
		v := &view{}
		v.Owner = p.owner
		for _, m := range p.minutes {
			if s, ok := sampleOf(m, func(e rtcm.Ephemeris) { orbits.add(p.owner, e) }); ok {
				v.samples = append(v.samples, s)
			}
		}
		return v
	}
	a, b := recorded(t, "0759", true, nil), recorded(t, "3040", true, nil)
	original := add(a)
	add(b)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name string
		want float64 // part of the minutes
		got  func() (found, of int)
	}{
		{"3040's stream with 0759's coordinates, 3.3 km away", 0.99, func() (int, int) {
			s := suspect(add(moved(b, "x", [3]float64{}, 1)), orbits, a.place)
			return s.far, s.minutes
		}},
		{"coordinates shifted by 25 m", 0.99, func() (int, int) {
			at := a.place
			at[2] += 25 // 21 m of it along the horizon
			s := suspect(original, orbits, at)
			return s.far, s.minutes
		}},
		{"an hour ago with the times rewritten", 0.99, func() (int, int) {
			late := *original
			late.samples = slices.Clone(original.samples)
			for i := range late.samples {
				late.samples[i].ofWeek += 3600
			}
			s := suspect(&late, orbits, a.place)
			return s.far, s.minutes
		}},
		{"copy as MSM4 with another clock", 0.99, func() (found, of int) {
			copied := add(reframed(a, "x", 500, true))
			for i := range copied.samples {
				if of++; sameRanges(copied.samples[i].sights, original.samples[i].sights) {
					found++
				}
			}
			return found, of
		}},
		// Noise hides a copy from this check; its coordinates do not (see above).
		{"copy with noise of 0.3 m", 0, func() (found, of int) {
			noisy := add(recorded(t, "0759", false, func(_ int, s *rtcm.Satellite) { s.Signals[0].Pseudorange += 0.3 * rng.NormFloat64() }))
			for i := range noisy.samples {
				if of++; sameRanges(noisy.samples[i].sights, original.samples[i].sights) {
					found++
				}
			}
			return found, of
		}},
	} {
		found, of := c.got()
		t.Logf("%s: %d of %d minutes", c.name, found, of)
		if float64(found) < c.want*float64(of) || of == 0 {
			t.Errorf("%s: found in %d of %d minutes, want %.2f", c.name, found, of, c.want)
		}
	}
}
