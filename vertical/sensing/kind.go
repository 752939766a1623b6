package sensing

import (
	"context"
	"iter"
	"time"

	"github.com/grange-network/grange/vertical"
)

// Kind is one kind of observation: weather, air, noise. Its methods are safe for
// concurrent use.
type Kind interface {
	// Info never changes.
	Info() KindInfo
	// Weigh judges what stations showed in a window. It returns the parts of each
	// one's weight, in the order of the stations; a station that earns nothing gets
	// a part with the term that is 0, which says why.
	//
	// It is as pure as vertical.Vertical's Score. It may compute in floating point,
	// as the published methods of a field do, when each product is rounded
	// (float64(a*b)+c, so that no machine fuses them) and what leaves it is an
	// integer: parts per million.
	Weigh(ctx context.Context, w Window, stations []Station) ([][]vertical.Part, error)
}

// KindInfo describes a kind.
type KindInfo struct {
	Name string // "weather"; offers are of the kind "sensing/weather"
	// Variables are the names of readings that make a batch in SenML the kind's. A
	// kind that has one batch of a device gets all of that device's.
	Variables []string
	// Format is of batches in a format of the kind's own; nil without one.
	Format Format
	// Span is how much of the past an epoch weighs, in whole hours.
	Span time.Duration
	// Cells says how many fixed stations count in a place. Zero for devices that
	// move, which the kind limits itself.
	Cells Cells
	// Hold is what a unit of a lease's capacity is: "station-hour"; Use is what is
	// sold: "row".
	Use, Hold string
}

// Cells are the places of fixed stations: H3 cells of a resolution, of which the
// best stations count.
type Cells struct {
	Resolution int // 0..15
	Seats      int // stations of a cell that count; 0: no limit
}

// Format is a payload that is not SenML.
type Format interface {
	// Content is the media type in the header of batches.
	Content() string
	// Times returns the first and the last time in a payload. It refuses one that
	// is malformed, with a reason for the sender.
	Times(payload []byte) (first, last time.Time, err error)
}

// Witness is a Format in which a device may also say what it saw of another.
type Witness interface {
	Format
	// About returns the device that a payload is about; witness is false when it is
	// about its signer.
	About(payload []byte) (id [32]byte, witness bool)
}

// Window is the time that an epoch weighs, whole hours in UTC.
type Window struct {
	Began, Ended time.Time
}

// Holds reports whether t is in the window.
func (w Window) Holds(t time.Time) bool { return !t.Before(w.Began) && t.Before(w.Ended) }

// Station is a device and what it signed, in the order of its counters.
type Station struct {
	vertical.Device
	// Batches are read anew each time they are ranged over, so that nobody need hold
	// all of them. They are good until Weigh returns; never nil.
	Batches iter.Seq[*Batch]
	// Seen is what other devices signed about it, by signer and counter; only of
	// kinds whose format is a Witness.
	Seen []*Batch
	// Files are those that anybody published because a record of one is not true, by
	// SHA-256. All stations share them: what a record does not name proves nothing.
	Files map[Hash][]byte
}

// Ages are the heights at which stations were registered.
func Ages(stations []Station) []int64 {
	out := make([]int64, len(stations))
	for i, s := range stations {
		out[i] = s.Registered
	}
	return out
}

// Formats are those of the kinds that have one.
func Formats(kinds []Kind) []Format {
	var out []Format
	for _, k := range kinds {
		if f := k.Info().Format; f != nil {
			out = append(out, f)
		}
	}
	return out
}
