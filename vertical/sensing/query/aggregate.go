package query

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// errMoving refuses what would show where a person was: also sums over an area and a
// time of the asker's choice would, by the difference of two.
func errMoving(kind string) error {
	return problem{http.StatusForbidden, fmt.Errorf("readings of %s are not told as they come, since its devices move: /v1/products lists what is told of them", kind)}
}

// how is what becomes of the readings of a bucket of time.
type how struct {
	name   string
	bucket time.Duration
}

var buckets = map[string]time.Duration{"5m": 5 * time.Minute, "10m": 10 * time.Minute, "1h": time.Hour, "6h": 6 * time.Hour, "1d": 24 * time.Hour}

// parseHow reads NAME:BUCKET; nil for none.
func parseHow(text string) (*how, error) {
	if text == "" {
		return nil, nil
	}
	name, bucket, _ := strings.Cut(text, ":")
	h := how{name, buckets[cmp.Or(bucket, "1h")]}
	if !slices.Contains([]string{"mean", "min", "max", "sum", "count"}, name) || h.bucket == 0 {
		return nil, bad("agg=%.20q: want mean, min, max, sum or count, and 5m, 10m, 1h, 6h or 1d: agg=mean:1h", text)
	}
	return &h, nil
}

// sum is a bucket of a kind's variable in the cell that was asked for.
type sum struct {
	Kind, Variable, Unit string
	Time                 int64 // Unix milliseconds of its begin
	Rows                 uint64
	Devices              map[device.ID]bool
	Min, Max, Sum        float64
	Sin, Cos             float64 // of directions
}

type sumKey struct {
	kind, variable, unit string
	time                 int64
}

func (s *sum) add(r *store.Row) {
	s.Rows++
	s.Devices[r.Device] = true
	s.Min, s.Max = min(s.Min, r.Value), max(s.Max, r.Value)
	s.Sum += r.Value
	sin, cos := math.Sincos(r.Value * math.Pi / 180)
	s.Sin += sin
	s.Cos += cos
}

// value is what was asked for. The mean of directions is that of vectors.
func (s *sum) value(name string) float64 {
	n := float64(s.Rows)
	switch name {
	case "min":
		return s.Min
	case "max":
		return s.Max
	case "sum":
		return s.Sum
	case "count":
		return n
	}
	if !strings.HasSuffix(s.Variable, "_direction") {
		return s.Sum / n
	}
	d := math.Atan2(s.Sin, s.Cos) * 180 / math.Pi
	if d < 0 {
		d += 360
	}
	return d
}

// unit is that of value: a count is of readings (SenML's unit "count").
func (s *sum) unit(name string) string {
	if name == "count" {
		return name
	}
	return s.Unit
}

// summed answers with aggregates. A device is paid a unit for each bucket it has a
// part in.
func (h *handler) summed(w http.ResponseWriter, r *http.Request, q store.Query, how *how, as string) error {
	if r.URL.Query().Get("proof") == "1" {
		return bad("proof=1: an aggregate is no device's word; ask for single rows")
	}
	by := map[sumKey]*sum{}
	scanned := 0
	for f, err := range h.Store.Scan(r.Context(), q) {
		if err != nil {
			return err
		}
		if h.Store.Moving(f.Kind) {
			continue
		}
		if scanned++; scanned > maxScanned {
			return tooMuch("more than %d readings to sum up: ask for a shorter time, a smaller cell or fewer variables", maxScanned)
		}
		k := sumKey{f.Kind, f.Variable, f.Unit, f.Time - f.Time%how.bucket.Milliseconds()}
		s := by[k]
		if s == nil {
			if len(by) == MaxRows {
				return tooMuch("more than %d buckets: ask for a shorter time or longer buckets", MaxRows)
			}
			s = &sum{Kind: k.kind, Variable: k.variable, Unit: k.unit, Time: k.time, Devices: map[device.ID]bool{}, Min: math.Inf(1), Max: math.Inf(-1)}
			by[k] = s
		}
		s.add(f.Row)
	}
	a := answer{Query: q, how: how}
	sold := Rows{}
	for _, s := range by {
		for d := range s.Devices {
			sold[d]++
		}
		a.sums = append(a.sums, s)
	}
	slices.SortFunc(a.sums, func(a, b *sum) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Unit, b.Unit))
	})
	if err := Pay(w, r, h.Till, sold); err != nil {
		return err
	}
	a.note = h.note(w, &q, len(a.sums))
	return a.write(w, as)
}
