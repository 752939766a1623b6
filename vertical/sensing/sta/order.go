package sta

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/grange-network/grange/vertical/sensing/store"
)

// maxSorted is how many observations are put in an order that they are not kept in.
const maxSorted = 100_000

var errSorted = fmt.Errorf("more than %d observations to order: give $filter a range of phenomenonTime, or order by phenomenonTime", maxSorted)

// byTime reports whether an order is that of time and nothing else, and its
// direction; the newest comes first where nothing is said.
func byTime(o *options) (only, desc bool) {
	if len(o.order) == 0 {
		return true, true
	}
	first := o.order[0]
	return len(o.order) == 1 && (first.path == "phenomenonTime" || first.path == "resultTime"), first.desc
}

// merged finds the observations of many streams by time; of one moment they are by
// their streams' numbers. A stream is read no further than its part of the page.
func (q *request) merged(ctx context.Context, streams []*store.Stream, o *options, desc bool) (page, error) {
	out := page{option: "$skiptoken"}
	number, at, err := parseCursor(o.cursor)
	if err != nil {
		return out, bad(err)
	}
	m := merge{desc: desc}
	defer m.stop()
	for _, x := range streams {
		s := scope{x.First, x.Time + 1}
		s.narrow(o.filter)
		if o.cursor != "" {
			s.behind(x.Number > number, at, desc)
		}
		if s.from >= s.to {
			continue
		}
		f := &front{number: x.Number, bound: s.from}
		if desc {
			f.bound = s.to - 1
		}
		f.next, f.stop = iter.Pull2(q.matching(ctx, x, s, o.filter, desc))
		m.fronts = append(m.fronts, f)
	}
	heap.Init(&m)
	for skip := o.skip; ; {
		e, err := m.take()
		switch {
		case err != nil || e == nil:
			return out, err
		case skip > 0:
			skip--
		case len(out.entities) < o.top:
			out.entities = append(out.entities, e)
		default:
			out.goesOn()
			return out, nil
		}
	}
}

// merge is streams that are read side by side; a heap.
type merge struct {
	desc   bool
	fronts []*front
}

// front is how far a stream is read.
type front struct {
	number uint32
	bound  int64   // time of first, or where it may be
	first  *entity // nil: not read yet
	next   func() (*entity, error, bool)
	stop   func()
}

func (m *merge) Len() int      { return len(m.fronts) }
func (m *merge) Swap(i, j int) { m.fronts[i], m.fronts[j] = m.fronts[j], m.fronts[i] }
func (m *merge) Less(i, j int) bool {
	a, b := m.fronts[i], m.fronts[j]
	c := cmp.Compare(a.bound, b.bound)
	if m.desc {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(a.number, b.number)) < 0
}

// Push implements heap.Interface.
func (m *merge) Push(x any) { m.fronts = append(m.fronts, x.(*front)) } //nolint:forcetypeassert // only fronts are

// Pop implements heap.Interface.
func (m *merge) Pop() any {
	last := m.fronts[len(m.fronts)-1]
	m.fronts = m.fronts[:len(m.fronts)-1]
	return last
}

// take returns the next observation of all, nil at the end.
func (m *merge) take() (*entity, error) {
	for len(m.fronts) > 0 {
		f := m.fronts[0]
		if e := f.first; e != nil {
			// What follows is not read before it is its turn.
			if f.first = nil; m.desc {
				f.bound--
			} else {
				f.bound++
			}
			heap.Fix(m, 0)
			return e, nil
		}
		e, err, ok := f.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			f.stop()
			heap.Remove(m, 0)
			continue
		}
		f.first, f.bound = e, e.row.Time
		heap.Fix(m, 0)
	}
	return nil, nil //nolint:nilnil // there is no more
}

func (m *merge) stop() {
	for _, f := range m.fronts {
		f.stop()
	}
}

// behind leaves what comes behind a cursor's time; of its own moment what is of a
// later stream.
func (s *scope) behind(later bool, at int64, desc bool) {
	switch {
	case desc && later:
		s.to = min(s.to, at+1)
	case desc:
		s.to = min(s.to, at)
	case later:
		s.from = max(s.from, at)
	default:
		s.from = max(s.from, at+1)
	}
}

// matching yields the observations of a stream in a scope that a filter selects.
func (q *request) matching(ctx context.Context, x *store.Stream, s scope, filter node, desc bool) iter.Seq2[*entity, error] {
	return func(yield func(*entity, error) bool) {
		err := q.walk(ctx, x, s, desc, func(r *store.Row) (bool, error) {
			e := observation(x, r)
			if filter != nil {
				if ok, err := holds(filter, q.lookup(e)); err != nil {
					return false, bad(fmt.Errorf("$filter: %w", err))
				} else if !ok {
					return true, nil
				}
			}
			return yield(e, nil), nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// sorted finds the observations of streams by another property than time: all are
// read and put in order, so that a page is found by counting.
func (q *request) sorted(ctx context.Context, streams []*store.Stream, o *options) (page, error) {
	if o.cursor != "" {
		return page{}, bad(errors.New("$skiptoken goes with the order of phenomenonTime: take $skip from @iot.nextLink"))
	}
	var all []*entity
	for _, x := range streams {
		s := scope{x.First, x.Time + 1}
		s.narrow(o.filter)
		for e, err := range q.matching(ctx, x, s, o.filter, true) {
			if err != nil {
				return page{}, err
			}
			if all = append(all, e); len(all) > maxSorted {
				return page{}, bad(errSorted)
			}
		}
	}
	if err := q.sort(all, o.order); err != nil {
		return page{}, bad(err)
	}
	out := page{option: "$skip", entities: all[min(o.skip, len(all)):]}
	if len(out.entities) > o.top {
		out.entities = out.entities[:o.top]
		if o.top > 0 {
			out.next = strconv.Itoa(o.skip + o.top)
		}
	}
	return out, nil
}
