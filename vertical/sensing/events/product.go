package events

import (
	"context"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

// Quorum is how many owners must have seen a class in a cell and hour before its
// count is told. Devices of one owner count as one.
const Quorum = 3

// Products implements sensing.Producer. There is one resolution, one length of
// time and no total, and a day is told when it cannot change any more: sums for
// larger areas are sums of what is told. The part of each owner in a count is not
// bounded: two who know their own counts know the third's.
func (Kind) Products() []sensing.Product {
	return []sensing.Product{{
		Name: "counts", About: "how many cars, pedestrians, potholes and the like were seen on the road, by the hour", Of: "class",
		Values: []sensing.Measure{{Name: "count", Unit: "1"}}, Resolution: Resolution, Step: time.Hour, Period: hours * time.Hour, Crowd: Quorum, Derive: derive,
	}}
}

// tally is what was seen of a class in a place: every sight once, with the owners
// and devices that tell of it.
type tally map[sight]*tellers

type tellers struct {
	owner   string
	copied  bool // another owner tells the very same: it vouches for nobody
	devices [][32]byte
}

// derive counts what devices on tracks that can be saw in each cell and hour.
func derive(ctx context.Context, period sensing.Window, stations []sensing.Station) ([]sensing.Fact, error) {
	type key struct {
		place
		class Class
	}
	seen := map[key]tally{}
	for _, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		good, _ := sightings(period, s)
		for _, e := range good {
			k := key{placeOf(e), e.Class}
			if seen[k] == nil {
				seen[k] = tally{}
			}
			seen[k].add(sightOf(e), s)
		}
	}
	out := make([]sensing.Fact, 0, len(seen))
	for k, t := range seen { // facts are sorted afterwards
		out = append(out, sensing.Fact{
			Cell: k.cell, Time: time.Unix(k.hour*3600, 0).UTC(), Of: k.class.String(), Values: []float64{float64(len(t))}, Devices: t.devices(),
		})
	}
	return out, nil
}

func (t tally) add(what sight, s sensing.Station) {
	by := t[what]
	if by == nil {
		by = &tellers{owner: s.Owner}
		t[what] = by
	}
	by.copied = by.copied || by.owner != s.Owner
	by.devices = append(by.devices, s.ID)
}

// devices are those that told of something nobody else's did, each once.
func (t tally) devices() (out [][32]byte) {
	have := map[[32]byte]bool{}
	for _, by := range t {
		for _, id := range by.devices {
			if !by.copied && !have[id] {
				have[id] = true
				out = append(out, id)
			}
		}
	}
	return out
}

// Points implements sensing.Located.
func (Format) Points(payload []byte) ([]sensing.Point, error) {
	all, err := Decode(payload)
	if err != nil {
		return nil, err
	}
	out := make([]sensing.Point, len(all))
	for i, e := range all {
		out[i] = sensing.Point{Lat: degrees(e.Pose.Lat), Lon: degrees(e.Pose.Lon)}
	}
	return out, nil
}

var _ sensing.Producer = Kind{}
