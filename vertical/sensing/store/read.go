package store

import (
	"fmt"
	"math"
	"slices"
	"unique"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Reader is a sensing.Format whose batches hold readings: it writes them as SenML
// does, the place of a device that moves included (see isPlace).
type Reader interface {
	Records(payload []byte) ([]senml.Record, error)
}

// kindOf is the kind that a variable of a batch belongs to: the first that names
// it, or else the last that has the batch, or else that of what the device sent
// before. Empty: none. Several kinds have a batch that holds what only some name;
// the temperature of a station that also counts particles is the weather's, which
// is the last by name.
func (s *Store) kindOf(b *sensing.Batch, variable string) string {
	for _, k := range s.kinds {
		for _, v := range k.Variables {
			if v == variable {
				return k.Name
			}
		}
	}
	for _, k := range slices.Backward(s.kinds) {
		if k.Holds(b) {
			return k.Name
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if of := s.things[b.Device].streams; len(of) > 0 {
		return s.streams[of[0]-1].Kind
	}
	return ""
}

// records are what a batch measured.
func (s *Store) records(b *sensing.Batch) ([]senml.Record, error) {
	if b.Content == "" {
		return b.Records, nil
	}
	for _, k := range s.kinds {
		if k.Format == nil || k.Format.Content() != b.Content {
			continue
		}
		if r, ok := k.Format.(Reader); ok {
			return r.Records(b.Payload)
		}
	}
	return nil, nil
}

// place is where a device was.
type place struct{ lat, lon, alt float64 }

// isPlace reports whether a record is a coordinate; an altitude is one by its name,
// in metres.
func isPlace(r senml.Record, at *place) bool {
	switch {
	case r.IsLatitude():
		at.lat = r.Value
	case r.IsLongitude():
		at.lon = r.Value
	case r.Name == "alt" || r.Name == "altitude":
		at.alt = r.Value
	default:
		return false
	}
	return true
}

// tracks are the places that a batch tells, by time in milliseconds.
func tracks(records []senml.Record) map[int64]place {
	var out map[int64]place
	for _, r := range records {
		t := r.Time.UnixMilli()
		at, ok := out[t]
		if !ok {
			at = place{math.NaN(), math.NaN(), math.NaN()}
		}
		if !isPlace(r, &at) {
			continue
		}
		if out == nil {
			out = map[int64]place{}
		}
		out[t] = at
	}
	return out
}

func (p place) valid() bool {
	return p.lat >= -90 && p.lat <= 90 && p.lon >= -180 && p.lon <= 180
}

// kinded is a row and its kind.
type kinded struct {
	kind string
	Row
}

// rows are the readings of a batch of a device that the ledger has in a cell.
func (s *Store) rows(b *sensing.Batch, cell h3.Cell) ([]kinded, error) {
	records, err := s.records(b)
	if err != nil {
		return nil, fmt.Errorf("read batch %d of %s: %w", b.Counter, b.Device, err)
	}
	at := tracks(records)
	fixed := place{math.NaN(), math.NaN(), math.NaN()}
	if cell != 0 {
		fixed.lat, fixed.lon = cell.Centre()
	}
	out := make([]kinded, 0, len(records))
	var skip place
	for _, r := range records {
		if isPlace(r, &skip) || len(r.Unit) > 255 {
			continue
		}
		kind := s.kindOf(b, r.Name)
		if kind == "" {
			continue
		}
		p, in := fixed, cell
		if s.moving[kind] {
			if there, ok := at[r.Time.UnixMilli()]; ok && there.valid() {
				in = h3.At(there.lat, there.lon, MovingResolution)
				p.lat, p.lon = in.Centre()
				p.alt = math.NaN()
			}
		} else if there, ok := at[r.Time.UnixMilli()]; ok && there.alt >= -500 && there.alt <= 9000 {
			p.alt = there.alt
		}
		if in == 0 {
			continue
		}
		out = append(out, kinded{kind, Row{
			Device: b.Device, Counter: b.Counter, Time: r.Time.UnixMilli(), Cell: uint64(in), Lat: p.lat, Lon: p.lon, Alt: p.alt,
			Variable: unique.Make(r.Name).Value(), Value: r.Value, Unit: unique.Make(r.Unit).Value(), Batch: b.Hash,
		}})
	}
	return out, nil
}
