package gnss

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/kindtest"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

var (
	munich     = orbit.ECEF(48.14, 11.57, 560)
	window     = sensing.Window{Began: begin, Ended: begin.Add(time.Hour)}
	nil2       = func(rtcm.Ephemeris) {}
	encode1230 = must(rtcm.Encode([]byte{1230 >> 4, 1230 & 15 << 4, 0, 0}))
)

func must(p []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return p
}

// minutesOf is an hour of a made-up base: one epoch a minute is made, the other
// seconds are counted.
func minutesOf(x gnsstest.Receiver, said [3]float64, seed uint64) (out []Minute) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range 60 {
		at := begin.Add(time.Duration(i) * time.Minute)
		m := Minute{Start: at.Unix(), Mount: "B", Frames: 240, Bytes: 90_000, Chain: make([]byte, 32), Seconds: 1<<60 - 1, Age: 400, Gap: 1000}
		m.Sample = [][]byte{gnsstest.Station(x.ID, said)}
		if i == 0 {
			m.Sample = append(m.Sample, gnsstest.Orbits(at)...)
		}
		if at.Add(-time.Minute).Truncate(2*time.Hour) != at.Truncate(2*time.Hour) && i > 0 {
			m.Sample = append(m.Sample, gnsstest.Orbits(at)...)
		}
		m.Sample = append(m.Sample, x.Observe(at, rng)...)
		out = append(out, m)
	}
	return out
}

// player is a base of a world.
type player struct {
	name    string
	owner   string
	place   [3]float64 // registered
	since   int64
	minutes []Minute
	seen    [][]Minute // by witnesses
}

// hours of honest bases, by seed and place: they are made once.
var made sync.Map

func honest(name string, lat, lon float64, seed uint64) player {
	at := orbit.ECEF(lat, lon, 500)
	type key struct {
		at   [3]float64
		seed uint64
	}
	minutes, ok := made.Load(key{at, seed})
	if !ok {
		minutes = minutesOf(gnsstest.Receiver{ID: int(seed), Place: at, Noise: 0.3, Kind: 7}, at, seed)
		made.Store(key{at, seed}, minutes)
	}
	own := slices.Clone(minutes.([]Minute))
	for i := range own {
		own[i].Sample = slices.Clone(own[i].Sample)
	}
	return player{name: name, owner: name, place: at, since: int64(10 + seed), minutes: own}
}

func cellOf(at [3]float64) uint64 {
	lat, lon, _ := orbit.Geodetic(at)
	return uint64(h3.At(lat, lon, 8))
}

func batches(t testing.TB, signer byte, minutes []Minute) (out []*sensing.Batch) {
	t.Helper()
	for i, m := range minutes {
		p, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &sensing.Batch{Device: [32]byte{signer}, Counter: uint64(i + 1), Content: Content, Payload: p})
	}
	return out
}

// weigh returns weights and terms by name.
func weigh(t testing.TB, players ...player) (map[string]uint64, map[string][]vertical.Term) {
	t.Helper()
	stations := make([]sensing.Station, len(players))
	for i, p := range players {
		stations[i] = sensing.Station{Device: vertical.Device{ID: [32]byte{byte(i + 1)}, Owner: p.owner, Cell: cellOf(p.place), Registered: p.since}}
		stations[i].Batches = slices.Values(batches(t, byte(i+1), p.minutes))
		for k, m := range p.seen {
			stations[i].Seen = append(stations[i].Seen, batches(t, byte(200+k), m)...)
		}
	}
	parts, err := (Kind{span: time.Hour}).Weigh(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	weights, terms := map[string]uint64{}, map[string][]vertical.Term{}
	for i, p := range players {
		weights[p.name] = value(parts[i][0].Terms)
		terms[p.name] = parts[i][0].Terms
	}
	return weights, terms
}

func term(terms []vertical.Term, name string) (float64, bool) {
	for _, x := range terms {
		if x.Name == name {
			return float64(x.Value) / float64(max(1, x.Of)), true
		}
	}
	return 0, false
}

// A clean base earns what its hardware is worth.
func TestCleanBase(t *testing.T) {
	weights, terms := weigh(t, honest("a", 48.14, 11.57, 1), honest("b", 49.45, 11.08, 2), honest("c", 47.27, 11.39, 3))
	for _, name := range []string{"a", "b", "c"} {
		t.Logf("%s: %d %+v", name, weights[name], terms[name])
		if weights[name] < Rate*hours*9/10 {
			t.Errorf("%s: weight %d, want nearly %d", name, weights[name], Rate*hours)
		}
	}
}

func TestTerms(t *testing.T) {
	base := honest("a", 48.14, 11.57, 1)
	change := func(f func(i int, m *Minute)) player {
		p := base
		p.minutes = nil
		for i, m := range base.minutes {
			f(i, &m)
			p.minutes = append(p.minutes, m)
		}
		return p
	}
	only := func(systems ...rtcm.System) player {
		return change(func(_ int, m *Minute) {
			var kept [][]byte
			for _, raw := range m.Sample {
				f, _ := frame(raw)
				s, _, ok := rtcm.MSMOf(f.Type)
				if keep := !ok; keep || s == systems[0] {
					kept = append(kept, raw)
				}
			}
			m.Sample = kept
		})
	}
	for _, c := range []struct {
		name, term string
		p          player
		want       float64
	}{
		{"half of the seconds", "seconds with an epoch of their own time", change(func(_ int, m *Minute) { m.Seconds = 1<<30 - 1 }), 0.5},
		{"less than half", "seconds with an epoch of their own time", change(func(_ int, m *Minute) { m.Seconds = 1<<29 - 1 }), 0},
		{"three seconds late", "epochs in time", change(func(_ int, m *Minute) { m.Age = 3000 }), 0.5},
		{"Galileo alone", "constellations", only(rtcm.Galileo), 0.286},
		{"Galileo alone: bands", "bands", only(rtcm.Galileo), 0.8},
		{"Galileo alone: satellites", "satellites of 32 dB-Hz, 26 to 29", only(rtcm.Galileo), 0},
		{"coordinates that drift 6 cm", "coordinates steady", change(func(i int, m *Minute) {
			at := base.place
			if i == 30 {
				at[0] += 0.06
			}
			m.Sample[0] = gnsstest.Station(1, at)
		}), 0.5},
		{"no coordinates", "coordinates in its stream", change(func(_ int, m *Minute) { m.Sample = m.Sample[1:] }), 0},
		{"another cell", "coordinates in its cell on the ledger", func() player { p := base; p.place = orbit.ECEF(48.2, 11.7, 500); return p }(), 0},
	} {
		_, terms := weigh(t, c.p)
		got, ok := term(terms["a"], c.term)
		if !ok || got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("%s: %s is %v (%v), want %v", c.name, c.term, got, ok, c.want)
		}
	}
}

// A base that signs nothing is worth what a witness saw, less a fifth; a liar
// among witnesses takes nothing from it.
func TestWitness(t *testing.T) {
	signed := honest("a", 48.14, 11.57, 1)
	saw := signed
	seen := func(minutes []Minute) (out []Minute) {
		for _, m := range minutes {
			m.Base = make([]byte, 32)
			out = append(out, m)
		}
		return out
	}
	saw.seen, saw.minutes = [][]Minute{seen(signed.minutes)}, nil
	own, _ := weigh(t, signed)
	one, _ := weigh(t, saw)
	if one["a"]+1 < own["a"]*4/5 || one["a"] > own["a"]*4/5+1 {
		t.Errorf("seen by a caster %d, signed %d", one["a"], own["a"])
	}
	elsewhere := minutesOf(gnsstest.Receiver{ID: 9, Place: munich, Kind: 7}, orbit.ECEF(10, 10, 0), 9)
	saw.seen = append(saw.seen, seen(elsewhere))
	if two, _ := weigh(t, saw); two["a"] != one["a"] {
		t.Errorf("with a false witness %d, without %d", two["a"], one["a"])
	}
}

func TestCells(t *testing.T) {
	// All in one cell of resolution 5: a few kilometres apart.
	a, b, c := honest("a", 48.14, 11.57, 1), honest("b", 48.15, 11.57, 2), honest("c", 48.16, 11.57, 3)
	near := honest("near", 48.1405, 11.57, 4) // 56 m from a
	second := honest("second", 48.17, 11.57, 5)
	second.owner = "a"
	w, terms := weigh(t, a, b, c, near, second)
	for name, want := range map[string]struct {
		term  string
		value float64
	}{
		"a": {"lead of its cell", 1}, "b": {"share beside the lead of its cell", 0.5}, "c": {"share beside the lead of its cell", 0.5},
		"near": {"no older base within 100 m", 0}, "second": {"oldest base of its owner in the cell", 0},
	} {
		if got, ok := term(terms[name], want.term); !ok || got != want.value {
			t.Errorf("%s: %q is %v (%v), want %v; terms %+v", name, want.term, got, ok, want.value, terms[name])
		}
	}
	if sum := w["b"] + w["c"]; sum > w["a"]*101/100 {
		t.Errorf("beside the lead %d, the lead %d", sum, w["a"])
	}
}

func TestConformance(t *testing.T) {
	var payloads [][][]byte
	for i, at := range [][2]float64{{48.14, 11.57}, {49.45, 11.08}} {
		var all [][]byte
		for _, m := range honest("x", at[0], at[1], uint64(i+1)).minutes[:31] {
			all = append(all, must(m.Encode()))
		}
		payloads = append(payloads, all)
	}
	kindtest.Conform(t, Kind{span: time.Hour}, func(n int) (out []kindtest.Device) {
		mine, other := payloads[0], payloads[1]
		for i := range n {
			out = append(out, kindtest.Device{Signer: sensingtest.NewSigner(byte(i + 1)), Owner: "me", Cell: cellOf(munich), Payload: mine[0], More: mine[1:]})
		}
		return append(out, kindtest.Device{Signer: sensingtest.NewSigner(100), Owner: "other", Cell: cellOf(orbit.ECEF(49.45, 11.08, 500)), Payload: other[0], More: other[1:]})
	}, conformance.Decoder{Name: "minute", Valid: payloads[0][0], Decode: func(p []byte) error { _, err := Decode(p); return err }})
}
