package events

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

// ways are the drives of n cars in one town in one day, an hour each, that meet now
// and then.
func ways(n int) [][]track.Point {
	out := make([][]track.Point, n)
	for i := range out {
		rnd := rand.New(rand.NewPCG(uint64(i), 5))
		out[i] = drive.Drive(rnd, began.Add(time.Duration(i)*20*time.Minute).UnixMilli(), 1200, 3, 48.14+rnd.NormFloat64()/50, 11.57+rnd.NormFloat64()/50)
	}
	return out
}

const cars = 20

// honest are the stations of a day without cheats.
func honest(t testing.TB) []sensing.Station {
	var out []sensing.Station
	for i, way := range ways(cars) {
		out = append(out, station(t, byte(i+1), fmt.Sprint("owner-", i), seen(rand.New(rand.NewPCG(uint64(i), 6)), way)))
	}
	return out
}

// Each cheat beside twenty honest cars: what it earns, in percent of an honest
// car's mean. The numbers are in docs/sensing.md.
func TestCheats(t *testing.T) {
	clean := honest(t)
	refusedEvents, all := 0, 0
	for _, s := range clean {
		good, _ := sightings(window, s)
		refusedEvents, all = refusedEvents+len(eventsOf(window, s))-len(good), all+len(eventsOf(window, s))
	}
	t.Logf("clean: %d of %d events refused (%.2f %%)", refusedEvents, all, 100*float64(refusedEvents)/float64(all))
	if refusedEvents*50 > all {
		t.Errorf("%d of %d clean events are refused, want at most 2 %%", refusedEvents, all)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	home := func() []Event { // a desk: events in each hour of the day
		way := make([]track.Point, 24*120)
		for i := range way {
			way[i] = track.Point{Time: began.UnixMilli() + int64(i)*30_000, Lat: 48.14 + rnd.NormFloat64()*1e-5, Lon: 11.57 + rnd.NormFloat64()*1e-5, Heading: 90}
		}
		return seen(rnd, way)
	}
	for _, tt := range []struct {
		name    string
		devices [][]Event
		owners  bool // each device has an owner of its own
		most    uint64
	}{
		{"a clean car", [][]Event{seen(rnd, ways(cars + 1)[cars])}, false, 200},
		{"invented at a desk", [][]Event{home()}, false, 45},
		{"twenty keys at one desk", slices.Repeat([][]Event{home()}, 20), false, 45},
		{"cell farming: twenty desks of one owner in a rich cell", func() (all [][]Event) {
			for range 20 {
				all = append(all, home())
			}
			return all
		}(), false, 45},
		{"in two cities at once", [][]Event{func() []Event {
			way := ways(1)[0]
			for i := range way {
				if i%2 == 1 {
					way[i].Lat += 4
				}
			}
			return seen(rnd, way)
		}()}, false, 100},
		{"hopping between cities by the minute", [][]Event{func() []Event {
			way := ways(1)[0]
			for i := range way {
				way[i].Lat += float64(i / 20 % 3)
			}
			return seen(rnd, way)
		}()}, false, 0},
		{"a line drawn on the map", [][]Event{func() []Event {
			way := make([]track.Point, 24*120)
			for i := range way {
				way[i] = track.Point{Time: began.UnixMilli() + int64(i)*30_000, Lat: 48 + float64(i)*2e-3, Lon: 11.57, Heading: 0}
			}
			return seen(rnd, way)
		}()}, false, 0},
		{"another's stream a little changed", [][]Event{func() []Event {
			way := ways(cars)[3]
			for i := range way {
				way[i].Lat += rnd.NormFloat64() * 2e-5
				way[i].Time += 1500
			}
			return seen(rand.New(rand.NewPCG(3, 6)), way)
		}()}, true, 130}, // not found
		{"another's stream under an own key", [][]Event{seen(rand.New(rand.NewPCG(3, 6)), ways(cars)[3])}, true, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stations := slices.Clone(clean)
			for i, events := range tt.devices {
				owner := "cheat"
				if tt.owners {
					owner = fmt.Sprint("cheat-", i)
				}
				stations = append(stations, station(t, byte(200+i), owner, events))
			}
			parts, err := Kind{}.Weigh(t.Context(), window, stations)
			if err != nil {
				t.Fatal(err)
			}
			sum := func(from, to int) (n uint64) {
				for _, p := range parts[from:to] {
					for _, x := range p {
						v, err := x.Value()
						if err != nil {
							t.Fatal(err)
						}
						n += v
					}
				}
				return n
			}
			mean, got := sum(0, len(clean))/uint64(len(clean)), sum(len(clean), len(stations))
			t.Logf("earns %d, an honest car %d: %d %%", got, mean, 100*got/mean)
			if 100*got > tt.most*mean {
				t.Errorf("earns %d, an honest car %d, want at most %d %%", got, mean, tt.most)
			}
		})
	}
}
