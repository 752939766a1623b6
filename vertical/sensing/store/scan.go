package store

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
)

// Query selects rows.
type Query struct {
	Kind      string   // empty: all
	Cell      h3.Cell  // of ParentResolution or finer
	Variables []string // none: all
	From, To  time.Time
	Refuse    uint32    // QC bits that a row must not have
	Device    device.ID // zero: all
}

// Wants reports whether a row is selected, its kind aside.
func (q *Query) Wants(r *Row) bool {
	return r.Time >= q.From.UnixMilli() && r.Time < q.To.UnixMilli() && r.QC&q.Refuse == 0 &&
		(q.Device == device.ID{} || q.Device == r.Device) && q.of(h3.Cell(r.Cell), r.Variable)
}

func (q *Query) of(cell h3.Cell, variable string) bool {
	return q.covers(cell) && (len(q.Variables) == 0 || slices.Contains(q.Variables, variable))
}

// covers reports whether a cell lies in the query's.
func (q *Query) covers(cell h3.Cell) bool {
	low, high := q.Cell.Within()
	at := cell.Place()
	return at >= low && at <= high && cell.Resolution() >= q.Cell.Resolution()
}

// part is what a query reads of one kind, place and day.
type part struct {
	key
	files  []evidence.Segment
	memory []table
}

// parts are the places to look, by day and kind. Tables are shared with Append,
// so the rows of the cells in question are taken out under the lock.
func (s *Store) parts(q *Query) []part {
	parent := q.Cell.Parent(ParentResolution)
	first, last := segment.DayOf(q.From), segment.DayOf(q.To.Add(-time.Millisecond))
	s.mu.RLock()
	defer s.mu.RUnlock()
	byKey := map[key]*part{}
	at := func(k key) *part {
		if k.parent != parent || k.day < first || k.day > last || q.Kind != "" && k.kind != q.Kind {
			return nil
		}
		if byKey[k] == nil {
			byKey[k] = &part{key: k}
		}
		return byKey[k]
	}
	for _, kind := range s.kinds {
		for day := first; day <= last && last-first < 4000; day++ {
			k := key{kind.Name, parent, day}
			if of := s.files[k]; len(of) > 0 {
				if p := at(k); p != nil {
					p.files = of
				}
			}
		}
	}
	for _, from := range []map[key]table{s.leaving, s.memory} {
		for k, t := range from {
			p := at(k)
			if p == nil {
				continue
			}
			copied := table{}
			for cell, rows := range t {
				if q.covers(cell) {
					copied[cell] = rows
				}
			}
			p.memory = append(p.memory, copied)
		}
	}
	out := make([]part, 0, len(byKey))
	for _, p := range byKey {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b part) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.kind, b.kind)) })
	return out
}

// Found is a row and its kind. The row is valid until the next one.
type Found struct {
	Kind string
	*Row
}

// Scan yields the rows that a query selects, day by day, and within a file by
// cell, variable and time. The iteration ends with the first error.
func (s *Store) Scan(ctx context.Context, q Query) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		for _, p := range s.parts(&q) {
			on := true
			pass := func(r *Row) bool { on = yield(Found{p.kind, r}, nil); return on }
			for _, f := range p.files {
				err := s.scanFile(ctx, &q, p.kind, f, pass)
				if !on {
					return
				}
				if err != nil {
					yield(Found{}, err)
					return
				}
			}
			if !scanTables(&q, p, pass) {
				return
			}
		}
	}
}

func scanTables(q *Query, p part, yield func(*Row) bool) bool {
	for _, t := range p.memory {
		for _, cell := range slices.Sorted(maps.Keys(t)) {
			rows := t[cell]
			for i := range rows {
				if q.Wants(&rows[i]) {
					r := rows[i]
					if !yield(&r) {
						return false
					}
				}
			}
		}
	}
	return true
}

// scanFile yields what a query selects of one file.
func (s *Store) scanFile(ctx context.Context, q *Query, kind string, seg evidence.Segment, yield func(*Row) bool) error {
	f, err := s.open.file(ctx, kind, seg)
	if err != nil {
		return err
	}
	defer f.release()
	on := true
	for _, x := range f.spans(q) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f.rows(x, func(r *Row) bool {
			if q.Wants(r) {
				on = yield(r)
			}
			return on
		})
		if err != nil || !on {
			return err
		}
	}
	return nil
}

// spans are the runs that a query wants, those together that lie together.
func (f *file) spans(q *Query) (out []span) {
	for _, r := range f.runs {
		if !q.of(r.cell, r.variable) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].to == r.from {
			out[n-1].to = r.to
			continue
		}
		out = append(out, r.span)
	}
	return out
}

// Bulk is one file for download.
type Bulk struct {
	evidence.Segment
	Body  *os.File
	Rows  map[[32]byte]uint64 // of each device
	file  *file
	Parts int // files of this kind, place and day
}

// Close ends the use of a file.
func (b *Bulk) Close() { b.file.release() }

// Bulk opens a file of a kind, cell and day by its number from 0. It reports false
// when there is none. What is in memory yet is not in it.
func (s *Store) Bulk(ctx context.Context, kind string, day segment.Day, cell h3.Cell, number int) (*Bulk, bool, error) {
	s.mu.RLock()
	all := s.files[key{kind, cell, day}]
	s.mu.RUnlock()
	if number < 0 || number >= len(all) {
		return nil, false, nil
	}
	f, err := s.open.file(ctx, kind, all[number])
	if err != nil {
		return nil, false, err
	}
	return &Bulk{Segment: f.Segment, Body: f.body, Rows: f.sold, file: f, Parts: len(all)}, true, nil
}

// Parents are the cells of ParentResolution that have readings of a kind on the
// days from and to.
func (s *Store) Parents(kind string, from, to time.Time) []h3.Cell {
	first, last := segment.DayOf(from), segment.DayOf(to)
	found := map[h3.Cell]bool{}
	note := func(k key) {
		if k.kind == kind && k.day >= first && k.day <= last {
			found[k.parent] = true
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k := range s.files {
		note(k)
	}
	for k := range s.memory {
		note(k)
	}
	for k := range s.leaving {
		note(k)
	}
	return slices.Sorted(maps.Keys(found))
}
