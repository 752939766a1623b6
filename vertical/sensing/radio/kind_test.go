package radio

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/kindtest"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

// window is the one of kindtest's epoch.
var window = sensing.KindInfo{Span: hours * time.Hour}.WindowAt(kindtest.Ended.Unix())

func number[T any](v T) *T { return &v }

// scan is what a phone hears at a point of a town with a tower of each of two
// operators in every cell of resolution 7, and two access points in every cell of
// resolution 11.
func scan(rng *rand.Rand, p track.Point) Report {
	r := Report{Timestamp: p.Time, Position: Position{Latitude: p.Lat, Longitude: p.Lon, Accuracy: number(3 + 10*rng.Float64()), Speed: number(10.0)}}
	mast := h3.At(p.Lat, p.Lon, 7)
	lat, lon := mast.Centre()
	dBm := -70 - 12*math.Log2(1+h3.Distance(p.Lat, p.Lon, lat, lon)/200) + 3*rng.NormFloat64()
	for operator := range 2 {
		r.Towers = append(r.Towers, Tower{Radio: "lte", Country: 262, Network: 1 + operator, Area: 7, Cell: int64(mast>>20) & 0xfffffff, Strength: number(max(-140, math.Round(dBm)))})
	}
	house := h3.At(p.Lat, p.Lon, 11)
	for i := range 2 {
		r.Points = append(r.Points, Point{Address: fmt.Sprintf("%016x", uint64(house)+uint64(i)), Strength: number(-60 - 20*rng.Float64())})
	}
	return r
}

// drove is one phone's drive of some hours through the town.
func drove(seed uint64, n int) []Report {
	rng := rand.New(rand.NewPCG(seed, 1))
	start := window.Began.UnixMilli() + int64(seed%7)*3_600_000
	var out []Report
	for _, p := range drive.Drive(rng, start, n, 5, 48.1+0.02*rng.Float64(), 11.5+0.03*rng.Float64()) {
		out = append(out, scan(rng, p))
	}
	return out
}

func payload(t testing.TB, reports []Report) []byte {
	t.Helper()
	for i := range reports {
		p := &reports[i].Position
		p.Latitude, p.Longitude = math.Round(p.Latitude*1e4)/1e4, math.Round(p.Longitude*1e4)/1e4
	}
	raw, err := json.Marshal(body{reports})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func device(t testing.TB, seed int, owner string, reports []Report) sensing.Station {
	s := sensing.Station{Device: vertical.Device{Owner: owner, ID: [32]byte{byte(seed / 256), byte(seed)}}}
	var batches []*sensing.Batch
	for chunk := range slices.Chunk(reports, 500) {
		batches = append(batches, &sensing.Batch{Content: Content, Payload: payload(t, chunk)})
	}
	s.Batches = slices.Values(batches)
	return s
}

// town are six honest phones.
func town(t testing.TB, n int) []sensing.Station {
	var out []sensing.Station
	for i := range 6 {
		out = append(out, device(t, i, fmt.Sprintf("honest %d", i), drove(uint64(i), n)))
	}
	return out
}

func weights(t testing.TB, stations []sensing.Station) []uint64 {
	t.Helper()
	parts, err := Kind{}.Weigh(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(parts))
	for i := range parts {
		if out[i], err = (vertical.Line{Parts: parts[i]}).Weight(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestConformance(t *testing.T) {
	full := func(seed uint64) []byte { return payload(t, drove(seed, 40)) }
	world := func(k int) []kindtest.Device {
		var out []kindtest.Device
		for i := range k {
			// The tricks: the same way again, from the start or from the middle.
			out = append(out, kindtest.Device{Signer: sensingtest.NewSigner(byte(1 + i)), Owner: "one", Payload: payload(t, drove(1, 40)[20*(i%2):])})
		}
		for i := range 4 {
			out = append(out, kindtest.Device{Signer: sensingtest.NewSigner(byte(100 + i)), Owner: fmt.Sprint("other ", i), Payload: full(uint64(2 + i))})
		}
		return out
	}
	kindtest.Conform(t, Kind{}, world, conformance.Decoder{Name: "scans", Valid: full(1), Decode: func(raw []byte) error {
		_, _, err := Format{}.Times(raw)
		return err
	}})
}

// cheat makes what keys of one cheater sign; the first owner is called cheat 0.
type cheat struct {
	name string
	most float64 // of what an honest phone gets, all keys together
	make func(rng *rand.Rand, honest [][]Report) [][]Report
}

// jittered is a drive a little beside another one: 5 m, 3 dB and a second.
func jittered(rng *rand.Rand, of []Report, later int64) []Report {
	out := slices.Clone(of)
	for i := range out {
		out[i].Timestamp += later + int64(rng.IntN(1000))
		out[i].Position.Latitude += 5e-5 * rng.NormFloat64()
		out[i].Position.Longitude += 5e-5 * rng.NormFloat64()
		out[i].Towers = slices.Clone(out[i].Towers)
		for k := range out[i].Towers {
			out[i].Towers[k].Strength = number(*out[i].Towers[k].Strength + math.Round(3*rng.NormFloat64()))
		}
	}
	return out
}

var cheats = []cheat{
	{"one phone, five accounts", 1.1, func(_ *rand.Rand, _ [][]Report) [][]Report {
		mine := drove(77, 400)
		return [][]Report{mine, mine, mine, mine, mine}
	}},
	{"one phone, five accounts, jittered", 1.2, func(rng *rand.Rand, _ [][]Report) [][]Report {
		var out [][]Report
		for range 5 {
			mine := drove(77, 400)
			for i := range mine {
				mine[i].Timestamp += int64(rng.IntN(2000))
				mine[i].Position.Latitude += 2e-5 * rng.NormFloat64()
				for k := range mine[i].Towers {
					mine[i].Towers[k].Strength = number(*mine[i].Towers[k].Strength + math.Round(rng.NormFloat64()))
				}
			}
			out = append(out, mine)
		}
		return out
	}},
	{"another's drive, again an hour later", 0.55, func(_ *rand.Rand, honest [][]Report) [][]Report {
		mine := slices.Clone(honest[3])
		for i := range mine {
			mine[i].Timestamp += 3_600_000
		}
		return [][]Report{mine}
	}},
	// What nothing here finds: scans that others published, a little changed.
	{"another's drive, an hour later, jittered", 1.05, func(rng *rand.Rand, honest [][]Report) [][]Report {
		return [][]Report{jittered(rng, honest[3], 3_600_000)}
	}},
	{"an open drive of another day, jittered", 1.3, func(rng *rand.Rand, _ [][]Report) [][]Report {
		return [][]Report{jittered(rng, drove(77, 400), 0)}
	}},
	{"teleports", 0.05, func(rng *rand.Rand, _ [][]Report) [][]Report {
		mine := drove(77, 400)
		for i := range mine {
			mine[i] = scan(rng, track.Point{Time: mine[i].Timestamp, Lat: 48 + 0.3*rng.Float64(), Lon: 11.3 + 0.4*rng.Float64()})
		}
		return [][]Report{mine}
	}},
	{"invented towers in a far place", 0.55, func(rng *rand.Rand, _ [][]Report) [][]Report {
		mine := drove(77, 400)
		for i := range mine {
			mine[i].Position.Latitude += 3
			mine[i].Points = nil
			for k := range mine[i].Towers {
				mine[i].Towers[k].Cell = int64(rng.IntN(1 << 20))
			}
		}
		return [][]Report{mine}
	}},
	{"this town's towers, said to be elsewhere", 0.4, func(_ *rand.Rand, _ [][]Report) [][]Report {
		mine := drove(77, 400)
		for i := range mine {
			mine[i].Position.Latitude += 3
		}
		return [][]Report{mine}
	}},
	{"a phone in a drawer", 0.05, func(rng *rand.Rand, _ [][]Report) [][]Report {
		mine := drove(77, 400)
		for i := range mine {
			mine[i] = scan(rng, track.Point{Time: mine[i].Timestamp, Lat: 48.11, Lon: 11.52})
		}
		return [][]Report{mine}
	}},
}

func TestCheats(t *testing.T) {
	honest := weights(t, append(town(t, 400), device(t, 999, "cheat 0", drove(77, 400))))
	fair := float64(honest[6])
	for _, c := range cheats {
		rng := rand.New(rand.NewPCG(5, 6))
		var ways [][]Report
		for i := range 6 {
			ways = append(ways, drove(uint64(i), 400))
		}
		stations := town(t, 400)
		for i, r := range c.make(rng, ways) {
			stations = append(stations, device(t, 900+i, fmt.Sprint("cheat ", i), r))
		}
		got := weights(t, stations)
		var sum, others uint64
		for i, w := range got {
			if i >= 6 {
				sum += w
			} else {
				others += w
			}
		}
		t.Logf("%s: earns %.2f of an honest phone", c.name, float64(sum)/fair)
		if float64(sum) > c.most*fair {
			t.Errorf("%s: earns %d, an honest phone %.0f", c.name, sum, fair)
		}
	}
	// Honest phones lose nothing to the checks.
	refused := 0
	parts, err := Kind{}.Weigh(t.Context(), window, town(t, 400))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		refused += len(p) - 1
	}
	if refused > 0 {
		t.Errorf("of six honest phones %d had scans refused: %+v", refused, parts)
	}
}

func TestCoverage(t *testing.T) {
	var scans []Scan
	for i := range 4 {
		for _, r := range drove(uint64(i), 400) {
			scans = append(scans, Scan{[32]byte{byte(i)}, r})
		}
	}
	got := Coverage(scans, 6)
	if len(got) == 0 {
		t.Fatal("no cell is covered")
	}
	for _, s := range got {
		if len(s.Devices) == 0 || s.Tenth > s.Half || s.Half > s.Ninety || s.Cell.Resolution() != 6 {
			t.Errorf("%+v", s)
		}
	}
	for _, alone := range Coverage(scans[:400], 6) {
		if len(alone.Devices) != 1 {
			t.Errorf("one phone's way: %+v", alone)
		}
	}
}
