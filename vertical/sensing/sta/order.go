package sta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

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

// merged finds the observations of many streams by time: a day of all of them, then
// the day that follows. Of one moment they are by their streams' numbers.
func (q *request) merged(ctx context.Context, streams []*store.Stream, o *options, desc bool) (page, error) {
	out := page{option: "$skiptoken"}
	number, at, err := parseCursor(o.cursor)
	if err != nil {
		return out, bad(err)
	}
	scopes, all := make([]scope, len(streams)), scope{}
	for i, x := range streams {
		s := scope{x.First, x.Time + 1}
		s.narrow(o.filter)
		if o.cursor != "" {
			s.behind(x.Number > number, at, desc)
		}
		if scopes[i] = s; s.from < s.to {
			if all.from == all.to {
				all = s
			}
			all = scope{min(all.from, s.from), max(all.to, s.to)}
		}
	}
	skip := o.skip
	for part := range all.days(desc) {
		var found []*entity
		for i, x := range streams {
			s := scope{max(scopes[i].from, part.from), min(scopes[i].to, part.to)}
			if err := q.matching(ctx, x, s, o.filter, func(e *entity) error {
				if found = append(found, e); len(found) > maxSorted {
					return bad(errSorted)
				}
				return nil
			}); err != nil {
				return out, err
			}
		}
		slices.SortFunc(found, func(a, b *entity) int {
			c := cmp.Compare(a.row.Time, b.row.Time)
			if desc {
				c = -c
			}
			return cmp.Or(c, cmp.Compare(a.streams[0].Number, b.streams[0].Number))
		})
		rest := found[min(skip, len(found)):]
		skip -= len(found) - len(rest)
		room := o.top - len(out.entities)
		out.entities = append(out.entities, rest[:min(room, len(rest))]...)
		if len(rest) > room {
			if n := len(out.entities); n > 0 {
				last := out.entities[n-1]
				out.next = fmt.Sprintf("%d,%d", last.streams[0].Number, last.row.Time)
			}
			break
		}
	}
	return out, nil
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

// days yields the days of a scope, the newest first with desc.
func (s scope) days(desc bool) func(yield func(scope) bool) {
	const ms = int64(day / time.Millisecond)
	return func(yield func(scope) bool) {
		if s.from >= s.to {
			return
		}
		first, last := s.from/ms, (s.to-1)/ms
		for i := range last - first + 1 {
			n := first + i
			if desc {
				n = last - i
			}
			if !yield(scope{n * ms, (n + 1) * ms}) {
				return
			}
		}
	}
}

// matching yields the observations of a stream in a scope that a filter selects.
func (q *request) matching(ctx context.Context, x *store.Stream, s scope, filter node, yield func(*entity) error) error {
	return q.walk(ctx, x, s, true, func(r *store.Row) (bool, error) {
		e := observation(x, r)
		if filter != nil {
			if ok, err := holds(filter, q.lookup(e)); err != nil {
				return false, bad(fmt.Errorf("$filter: %w", err))
			} else if !ok {
				return true, nil
			}
		}
		return true, yield(e)
	})
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
		if err := q.matching(ctx, x, s, o.filter, func(e *entity) error {
			if all = append(all, e); len(all) > maxSorted {
				return bad(errSorted)
			}
			return nil
		}); err != nil {
			return page{}, err
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
