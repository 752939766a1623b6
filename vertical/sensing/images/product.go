package images

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
)

// ImageCost is the price of the newest image of a cell in units of a millionth of a
// USD: half a cent, as a week of imagery of a cell is sold for elsewhere.
const ImageCost = 5000

var (
	_ sensing.Producer = Kind{}
	_ sensing.Located  = Format{}
)

// Products implements sensing.Producer: the hex-week that imagery is sold in.
// Images were made to be shown, so a single owner's are told, and a week from its
// first day on.
func (Kind) Products() []sensing.Product {
	return []sensing.Product{{
		Name: "coverage", About: "which pieces of street there are images of in a week, how many, how new, and the newest one",
		Values: []sensing.Measure{
			{Name: "images", Unit: "1"}, {Name: "owners", Unit: "1"}, {Name: "first", Unit: "s"}, {Name: "newest", Unit: "s"},
		},
		Resolution: Resolution, Step: span, Period: span, Derive: derive, Release: release, Cost: ImageCost,
	}}
}

// hex is what is known of a cell in a week.
type hex struct {
	first, newest *shot
	images        int
	owners        map[string]bool
	devices       map[[32]byte]bool
}

// derive lists the cells of pictures that are believed, each picture once. The
// times of values are in Unix seconds.
func derive(ctx context.Context, period sensing.Window, stations []sensing.Station) ([]sensing.Fact, error) {
	var all []shot
	for i, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		good, _ := believed(period, i, s)
		all = append(all, good...)
	}
	slices.SortFunc(all, compare)
	groups, _ := duplicates(all)
	cells := map[h3.Cell]*hex{}
	for _, g := range groups { // in the order of time
		if len(g.shots) > 1 {
			continue // of several owners: nobody knows whose it is
		}
		s := &all[g.shots[0]]
		c := s.cell()
		if cells[c] == nil {
			cells[c] = &hex{first: s, owners: map[string]bool{}, devices: map[[32]byte]bool{}}
		}
		h := cells[c]
		h.newest = s
		h.images++
		h.owners[s.owner], h.devices[s.device] = true, true
	}
	out := make([]sensing.Fact, 0, len(cells))
	for c, h := range cells { // facts are sorted afterwards
		object, err := h.newest.object()
		if err != nil {
			return nil, err
		}
		f := sensing.Fact{Cell: c, Time: period.Began, Object: object, Values: []float64{
			float64(h.images), float64(len(h.owners)), seconds(h.first), seconds(h.newest),
		}}
		for d := range h.devices {
			f.Devices = append(f.Devices, d)
		}
		out = append(out, f)
	}
	return out, nil
}

func seconds(s *shot) float64 { return math.Floor(float64(s.Time.UnixMilli()) / 1000) }

func (s *shot) object() (*sensing.Object, error) {
	record, err := Encode([]Frame{s.Frame})
	if err != nil {
		return nil, fmt.Errorf("record of %s: %w", s.Key, err)
	}
	return &sensing.Object{Key: s.Key, Size: s.Size, Record: record, Device: s.device, Time: s.Time}, nil
}

// release lets an image go that is what its device said of it.
func release(record, stored []byte) (media string, err error) {
	frames, err := Decode(record)
	if err != nil {
		return "", err
	}
	return "image/jpeg", Audit(frames[0], stored)
}

// Points implements sensing.Located.
func (Format) Points(payload []byte) ([]sensing.Point, error) {
	frames, err := Decode(payload)
	if err != nil {
		return nil, err
	}
	out := make([]sensing.Point, len(frames))
	for i, f := range frames {
		out[i] = sensing.Point{Lat: float64(f.Lat) / 1e7, Lon: float64(f.Lon) / 1e7}
	}
	return out, nil
}
