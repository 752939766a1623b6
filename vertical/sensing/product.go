package sensing

import (
	"context"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Producer is a Kind that tells more than its devices' single readings, or never
// those: maps, counts, indices.
type Producer interface {
	Kind
	// Products never change.
	Products() []Product
}

// Product is what is told of a kind's observations taken together, in facts. A
// fact is of one cell of one resolution and of one whole step of time, so that no
// answer is cut out of another.
type Product struct {
	Name       string // in its kind: "coverage"
	About      string // a phrase for who might buy it
	Of         string // what a fact is of in its cell: "network", "device"; empty: of all of it
	Values     []Measure
	Resolution int           // of H3
	Step       time.Duration // that a fact is of
	// Period is what is derived at a time, whole steps: a day, or a week, which
	// begins on Monday in UTC.
	Period time.Duration
	// Before is how much earlier than the period the observations begin that Derive
	// gets.
	Before time.Duration
	// Crowd is how many owners' devices must have a part in a fact that is told.
	// Where it is not 0 a period is told when no observation of it can arrive any
	// more, so that no two answers differ by what one device showed.
	Crowd int
	// Derive makes the facts of a period from what stations showed in it and before
	// it. It is as pure as Kind's Weigh. Facts of fewer than Crowd owners are left
	// out afterwards.
	Derive func(ctx context.Context, period Window, stations []Station) ([]Fact, error)
	// Release checks what is stored of a fact's object against the record of it, and
	// returns its media type; nil where facts have no objects. Cost is what an
	// object costs in units.
	Release func(record, stored []byte) (media string, err error)
	Cost    uint64
}

// Measure is one of the numbers of a fact.
type Measure struct{ Name, Unit string }

// Fact is what is told of a cell in a step.
type Fact struct {
	Cell    h3.Cell
	Time    time.Time // at which the step began
	Of      string
	Values  []float64  // as Product.Values lists them; NaN: not known
	Devices [][32]byte // that have a part in it, each once
	Object  *Object    // that it describes; nil for none
}

// Object is a file that is stored elsewhere.
type Object struct {
	Key    string   // BUCKET/KEY in the network's storage
	Size   uint32   // bytes
	Record []byte   // what its device said of it, for Product.Release
	Device [32]byte // whose it is
	Time   time.Time
}

// PeriodOf is the period of a product that a time is in.
func (p *Product) PeriodOf(t time.Time) Window {
	began := t.UTC().Truncate(p.Period)
	return Window{Began: began, Ended: began.Add(p.Period)}
}

// Told reports whether a period is told at a time: from its begin on, or where
// there must be a crowd, when nothing can be added to it.
func (p *Product) Told(period Window, now time.Time) bool {
	if p.Crowd == 0 {
		return !now.Before(period.Began)
	}
	return !now.Before(period.Ended.Add(Late + Settle))
}

// Point is a place on earth, in degrees.
type Point struct{ Lat, Lon float64 }

func (p Point) valid() bool {
	return p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180
}

// Located is a Format that says where a payload was observed.
type Located interface {
	Format
	Points(payload []byte) ([]Point, error)
}

// Points are where a batch was observed: what it says itself, or else the middle
// of its device's cell, which may be 0.
func (b *Batch) Points(formats []Format, cell h3.Cell) ([]Point, error) {
	var out []Point
	for _, f := range formats {
		if l, ok := f.(Located); ok && b.Content != "" && f.Content() == b.Content {
			all, err := l.Points(b.Payload)
			if err != nil {
				return nil, err
			}
			out = all
		}
	}
	if b.Content == "" {
		out = pointsOf(b.Records)
	}
	if len(out) == 0 && cell != 0 {
		lat, lon := cell.Centre()
		out = []Point{{lat, lon}}
	}
	return out, nil
}

// pointsOf puts the coordinates of each time together.
func pointsOf(records []senml.Record) (out []Point) {
	lats := map[int64]float64{}
	for _, r := range records {
		if r.IsLatitude() {
			lats[r.Time.UnixMilli()] = r.Value
		}
	}
	for _, r := range records {
		if lat, ok := lats[r.Time.UnixMilli()]; ok && r.IsLongitude() {
			if p := (Point{lat, r.Value}); p.valid() {
				out = append(out, p)
			}
		}
	}
	return out
}
