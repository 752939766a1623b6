package weather

import (
	"crypto/ed25519"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/beijing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// began is when the series begin; an epoch that ends Settle after an hour weighs
// the 24 hours before it.
var began = time.Date(2026, 8, 17, 0, 0, 0, 0, time.UTC)

type signer struct {
	private ed25519.PrivateKey
	public  device.PublicKey
}

func newSigner(n int) signer {
	private := ed25519.NewKeyFromSeed(append(make([]byte, 28), byte(n>>24), byte(n>>16), byte(n>>8), byte(n)))
	public, err := device.NewPublicKey(device.Ed25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return signer{private, public}
}

func (s signer) PublicKey() device.PublicKey         { return s.public }
func (s signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.private, message), nil }

// actor is a device, where it says it is and what it sends.
type actor struct {
	key     signer
	owner   string
	cell    h3.Cell
	records []senml.Record
	late    int64 // blocks after the others it was registered
}

func (a actor) device() vertical.Device {
	return vertical.Device{ID: a.key.public.ID(), Owner: a.owner, Class: vertical.PRN, Cell: uint64(a.cell), Registered: 1 + a.late}
}

func (a actor) batches(t testing.TB) (out []*sensing.Batch) {
	var previous sensing.Hash
	for part := range slices.Chunk(a.records, 200) {
		b, err := sensing.Seal(a.key, conformance.ChainID, uint64(len(out)+1), previous, part)
		if err != nil {
			t.Fatal(err)
		}
		out, previous = append(out, b), b.Hash
	}
	return out
}

// distinct are the stations whose weather is their own: the authors of the data
// gave some the weather of one meteorological station.
func distinct(t testing.TB) (out []*beijing.Station) {
	all, err := beijing.Stations()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range all {
		var weather []beijing.Value
		for h := range 48 {
			for _, v := range s.Hours[h] {
				if v.Name == "temperature" || v.Name == "pressure" {
					weather = append(weather, v)
				}
			}
		}
		if text := fmt.Sprint(weather); !seen[text] {
			seen[text] = true
			out = append(out, s)
		}
	}
	return out
}

// series is what a station measured from hour first on.
func series(s *beijing.Station, first, hours int) (out []senml.Record) {
	for h := first; h < first+hours; h++ {
		for _, v := range s.Hours[h] {
			out = append(out, senml.Record{Name: v.Name, Unit: v.Unit, Time: began.Add(time.Duration(h) * time.Hour), Value: v.Value})
		}
	}
	return out
}

func actorOf(n int, s *beijing.Station, first int) actor {
	return actor{newSigner(n), fmt.Sprintf("owner-%d", n), h3.At(s.Lat, s.Lon, 8), series(s, first, 30), 0}
}

// weigh scores actors at the end of their 30 hours and returns weights by actor.
func weigh(t testing.TB, actors ...actor) []uint64 {
	t.Helper()
	var stations []sensing.Station
	var last time.Time
	for _, a := range actors {
		stations = append(stations, sensing.Station{Device: a.device(), Batches: slices.Values(a.batches(t))})
		for _, r := range a.records {
			if r.Time.After(last) {
				last = r.Time
			}
		}
	}
	end := last.Truncate(time.Hour).Add(time.Hour)
	parts, err := Kind{}.Weigh(t.Context(), sensing.Window{Began: end.Add(-24 * time.Hour), Ended: end}, stations)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(parts))
	for i, p := range parts {
		if out[i], err = (vertical.Line{Parts: p}).Weight(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// full is the weight of an hourly station without a flaw.
const full = Rate * hours / 2

// world is an epoch in which one owner, among others in Beijing, has k devices sign
// what one station measured, all in its cell.
func world(k int) conformance.World {
	t := &testing.T{}
	end := began.Add(30 * time.Hour).Add(sensing.Settle)
	w := conformance.World{Epoch: 9, Began: end.Add(-15 * time.Second).Unix(), Ended: end.Unix()}
	all := distinct(t)
	var rows []sensing.Row
	add := func(a actor) {
		w.Devices = append(w.Devices, a.device())
		for _, b := range a.batches(t) {
			rows = append(rows, sensing.RowOf(a.key.public, b.Raw))
		}
	}
	for i, s := range all[1:] {
		add(actorOf(100+i, s, 0))
	}
	for i := range k {
		a := actorOf(i, all[0], 0)
		a.owner = "splitter"
		add(a)
		w.Subject = append(w.Subject, a.key.public.ID())
	}
	w.Evidence = []conformance.Rows{conformance.Of(sensing.Batches, func(sensing.Row) segment.Name { return segment.Name{Day: 1} }, rows...)}
	return w
}

func TestConformance(t *testing.T) {
	batch := actorOf(1, distinct(t)[0], 0).batches(t)[0]
	decoder := conformance.Decoder{Name: "row", Valid: batch.Raw, Decode: func(raw []byte) error {
		_, err := sensing.RowOf(newSigner(1).public, raw).Open(conformance.ChainID)
		return err
	}}
	conformance.Run(t, sensing.Vertical{Kinds: []sensing.Kind{Kind{}}}, world, decoder)
}

// A cheat changes what the last actor sends, or adds actors.
type cheat struct {
	name   string
	change func(r *rand.Rand, actors []actor) []actor
	// worth is the most that the cheats' devices may earn together, in parts of a
	// whole station.
	worth float64
}

func cheats(all []*beijing.Station) []cheat {
	return []cheat{
		{"one series under five keys and owners", func(_ *rand.Rand, a []actor) []actor {
			last := a[len(a)-1]
			for i := range 4 {
				b := last
				b.key, b.owner = newSigner(500+i), fmt.Sprintf("shell-%d", i)
				a = append(a, b)
			}
			return a
		}, 1.001},
		{"one series under five keys with noise of 0.02 K", func(r *rand.Rand, a []actor) []actor {
			last := a[len(a)-1]
			for i := range 4 {
				b := last
				b.key, b.owner, b.records = newSigner(500+i), fmt.Sprintf("shell-%d", i), slices.Clone(last.records)
				for k := range b.records {
					if b.records[k].Name == "temperature" {
						b.records[k].Value += 0.02 * r.NormFloat64()
					}
				}
				a = append(a, b)
			}
			return a
		}, 1.001},
		{"another's series, six hours late", func(_ *rand.Rand, a []actor) []actor {
			last := &a[len(a)-1]
			last.records = slices.Clone(a[0].records)
			for k := range last.records {
				last.records[k].Time = last.records[k].Time.Add(6 * time.Hour)
			}
			last.records = slices.DeleteFunc(last.records, func(r senml.Record) bool {
				return !r.Time.Before(a[0].records[len(a[0].records)-1].Time.Add(time.Minute))
			})
			return a
		}, 0.5},
		{"a constant", func(_ *rand.Rand, a []actor) []actor {
			last := &a[len(a)-1]
			first := map[string]float64{}
			for k, x := range last.records {
				if _, ok := first[x.Name]; !ok {
					first[x.Name] = x.Value
				}
				last.records[k].Value = first[x.Name]
			}
			return a
		}, 0.5},
		{"white noise in range", func(r *rand.Rand, a []actor) []actor {
			last := &a[len(a)-1]
			for k := range last.records {
				if last.records[k].Name == "temperature" {
					last.records[k].Value = 10 + 20*r.Float64()
				}
			}
			return a
		}, 0.5},
		{"heated by 8 K", func(_ *rand.Rand, a []actor) []actor {
			last := &a[len(a)-1]
			for k := range last.records {
				if last.records[k].Name == "temperature" {
					last.records[k].Value += 8
				}
			}
			return a
		}, 0.3},
	}
}

// TestCheats injects each cheat into real data and prints what it earns; docs/
// sensing.md has the table.
func TestCheats(t *testing.T) {
	all := distinct(t)
	days := 10
	clean, stations := 0.0, 0
	for d := range days {
		for _, w := range weigh(t, honest(all, d)...) {
			clean += float64(w) / full
			stations++
		}
	}
	t.Logf("clean: %d station-days earn %.3f of a whole station each", stations, clean/float64(stations))
	if clean/float64(stations) < 0.9 {
		t.Errorf("clean data earns %.3f, want 0.9 or more", clean/float64(stations))
	}
	for _, c := range cheats(all) {
		r := rand.New(rand.NewPCG(1, 2))
		caught, worst := 0, 0.0
		for d := range days {
			n := len(honest(all, d))
			weights := weigh(t, c.change(r, honest(all, d))...)
			gain := 0.0
			for _, w := range weights[n-1:] {
				gain += float64(w) / full
			}
			worst = math.Max(worst, gain)
			if gain <= c.worth {
				caught++
			}
		}
		t.Logf("%-50s caught %d of %d days, earned at most %.2f", c.name, caught, days, worst)
		if caught < days-1 {
			t.Errorf("%s: caught %d of %d days", c.name, caught, days)
		}
	}
}

func honest(all []*beijing.Station, day int) (out []actor) {
	for i, s := range all {
		out = append(out, actorOf(i, s, day*48))
	}
	return out
}
