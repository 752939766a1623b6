package images

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/sun"
	"github.com/grange-network/grange/vertical/sensing/track"
)

// Parameters of the kind.
const (
	// Rate is the weight of a cell with one fresh image that somebody else has too.
	// A weather station has 24,000 for its day; an hour's driving a day covers some
	// ten thousand cells in a week, and each is weighed on seven days.
	Rate = 2
	// Resolution of cells: about 300 m², fifty to a kilometre of road.
	Resolution = 12

	days      = 7
	span      = days * 24 * time.Hour
	maxFrames = 50_000 // of a device in the window
	whole     = 1_000_000
)

// Parameters of the comparison of a picture's light with the sun's.
const (
	day     = 10.0  // degrees above the horizon: it is day
	night   = -12.0 // end of nautical twilight: it is night
	darkDay = 25    // brightness that no street has by day
	litSky  = 130   // brightness that no sky has at night
)

// Kind is the kind of street images.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind.
func (Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "images", Format: Format{}, Span: span, Use: "hex-week", Hold: "hex-week"}
}

// Weigh implements sensing.Kind. Every cell that a device has an image of counts
// by how long nobody had one, min(1, age/7 d); half of it when no other owner had
// one in the window. A device of whose images one is published that is not as its
// record says has nothing, and is nobody's witness.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	out := make([][]vertical.Part, len(stations))
	looked := looks{}
	var all []shot
	for i, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if n := looked.lies(w, i, s); n > 0 {
			out[i] = []vertical.Part{refusal("as their records say", n)}
			continue
		}
		shots, why := believed(w, i, s)
		out[i] = why
		all = append(all, shots...)
	}
	slices.SortFunc(all, compare)
	groups, refused := duplicates(all)
	for i, n := range refused {
		out[i] = append(out[i], refusal("no picture used twice", n))
	}
	for i, sum := range settle(all, groups, len(stations)) {
		if sum.seen > 0 {
			out[i] = append(out[i], part("fresh cells that others have too", sum.seen, 0))
		}
		if sum.alone > 0 {
			out[i] = append(out[i], part("fresh cells that nobody else has", sum.alone, 2))
		}
		if len(out[i]) == 0 {
			out[i] = []vertical.Part{refusal("an image in the window", 1)}
		}
	}
	return out, nil
}

func part(name string, millionths uint64, of uint64) vertical.Part {
	p := vertical.Part{Name: "images", Terms: []vertical.Term{{Name: "rate", Value: Rate}, {Name: name, Value: millionths, Of: whole}}}
	if of > 1 {
		p.Terms = append(p.Terms, vertical.Term{Name: "no second owner's device was there", Value: 1, Of: of})
	}
	return p
}

func refusal(missing string, images int) vertical.Part {
	return vertical.Part{Name: "images refused", Terms: []vertical.Term{{Name: missing, Value: 0, Of: uint64(images)}}}
}

// shot is a frame of a station.
type shot struct {
	Frame
	station int
	device  [32]byte
	owner   string
}

// compare puts shots into an order that does not depend on who published them.
func compare(a, b shot) int {
	return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.device[:], b.device[:]), slices.Compare(a.SHA256[:], b.SHA256[:]),
		cmp.Compare(a.Lat, b.Lat), cmp.Compare(a.Lon, b.Lon), cmp.Compare(a.Key, b.Key))
}

func (f Frame) point() track.Point {
	p := track.Point{Time: f.Time.UnixMilli(), Lat: float64(f.Lat) / 1e7, Lon: float64(f.Lon) / 1e7, Heading: math.NaN()}
	if f.Heading != NoHeading {
		p.Heading = float64(f.Heading) / 10
	}
	return p
}

func (f Frame) cell() h3.Cell { return h3.At(float64(f.Lat)/1e7, float64(f.Lon)/1e7, Resolution) }

// believed are a device's frames of the window on a track that can be, in the
// light that can be; why says how many are not.
func believed(w sensing.Window, i int, s sensing.Station) (good []shot, why []vertical.Part) {
	all := shotsOf(w, i, s)
	if len(all) > maxFrames {
		return nil, []vertical.Part{refusal("not more than 50000 in a week", len(all))}
	}
	points := make([]track.Point, len(all))
	for k, f := range all {
		points[k] = f.point()
	}
	var count [track.Faults]int
	dark := 0
	for k, fault := range track.Check(points, track.Street) {
		switch {
		case fault != track.Fine:
			count[fault]++
		case !all[k].lit():
			dark++
		default:
			good = append(good, all[k])
		}
	}
	for f, n := range count {
		if n > 0 {
			why = append(why, refusal(track.Fault(f).String(), n))
		}
	}
	if dark > 0 {
		why = append(why, refusal("as light as the sun makes it", dark))
	}
	return good, why
}

// shotsOf lists a device's frames in the order of time, each once.
func shotsOf(w sensing.Window, i int, s sensing.Station) []shot {
	var all []shot
	for b := range s.Batches {
		if b.Content != Content {
			continue
		}
		frames, err := Decode(b.Payload)
		if err != nil {
			continue // published by somebody whose gateway does not check
		}
		for _, f := range frames {
			if w.Holds(f.Time) {
				all = append(all, shot{f, i, s.ID, s.Owner})
			}
		}
	}
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(a, b shot) bool { return compare(a, b) == 0 })
}

// lit reports whether a picture may be of its time of day.
func (f Frame) lit() bool {
	height := sun.Elevation(f.Time, float64(f.Lat)/1e7, float64(f.Lon)/1e7)
	return !(height > day && f.Seen.Light < darkDay) && !(height < night && f.Seen.Sky > litSky)
}
