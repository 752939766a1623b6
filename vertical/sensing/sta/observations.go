package sta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/store"
)

const (
	day        = 24 * time.Hour
	maxScanned = 500_000 // rows that one answer looks at
)

var errNoConstant = errors.New("depends on the entity")

var errScanned = errors.New("too many readings to look through: give $filter a range of phenomenonTime")

// scope is the part of a stream's time that a filter leaves.
type scope struct{ from, to int64 } // Unix milliseconds, from inclusive, to exclusive

// narrow reads the bounds of phenomenonTime that all of a filter depends on.
func (s *scope) narrow(n node) {
	b, ok := n.(binary)
	if !ok {
		return
	}
	if b.op == "and" {
		s.narrow(b.a)
		s.narrow(b.b)
		return
	}
	p, ok1 := b.a.(property)
	v, err := b.b.eval(func(string) (any, error) { return nil, errNoConstant })
	at, ok2 := v.(time.Time)
	if !ok1 || err != nil || !ok2 || p.path != "phenomenonTime" && p.path != "resultTime" {
		return
	}
	switch ms := at.UnixMilli(); b.op {
	case "ge", "gt":
		s.from = max(s.from, ms)
	case "le", "lt":
		s.to = min(s.to, ms+1)
	case "eq":
		s.from, s.to = max(s.from, ms), min(s.to, ms+1)
	}
}

// page is what was found of observations.
type page struct {
	entities []*entity
	next     string // value of option that leads on, empty at the end
	option   string // of the next link: $skip or $skiptoken
	count    int
}

// goesOn leads on behind the last entity of a page.
func (p *page) goesOn() {
	if n := len(p.entities); n > 0 {
		last := p.entities[n-1]
		p.next = fmt.Sprintf("%d,%d", last.streams[0].Number, last.row.Time)
	}
}

// read finds the observations of streams: without an order, and of a single stream,
// one stream behind the other, each by time. scanned counts what was looked at.
func (q *request) read(ctx context.Context, streams []*store.Stream, o *options) (out page, err error) {
	if o.filter != nil || o.top > 0 {
		if _, err := q.Till.Buyer(ctx, q.token); err != nil {
			return out, err // before any work
		}
	}
	switch only, desc := byTime(o); {
	case !only:
		out, err = q.sorted(ctx, streams, o)
	case len(o.order) > 0 && len(streams) > 1:
		out, err = q.merged(ctx, streams, o, desc)
	default:
		out, err = q.inTurn(ctx, streams, o, desc)
	}
	if err == nil && o.count {
		out.count, err = q.count(ctx, streams, o)
	}
	return out, err
}

func (q *request) inTurn(ctx context.Context, streams []*store.Stream, o *options, desc bool) (page, error) {
	out := page{option: "$skiptoken"}
	begin, after, err := parseCursor(o.cursor)
	if err != nil {
		return out, bad(err)
	}
	skip := o.skip
	for _, x := range streams {
		if x.Number < begin {
			continue
		}
		s := scope{x.First, x.Time + 1}
		s.narrow(o.filter)
		if x.Number == begin {
			s.behind(false, after, desc)
		}
		for e, err := range q.matching(ctx, x, s, o.filter, desc) {
			switch {
			case err != nil:
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
	return out, nil
}

func parseCursor(text string) (stream uint32, at int64, err error) {
	if text == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(text, ",")
	n, err1 := strconv.ParseUint(a, 10, 32)
	at, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("$skiptoken=%.40q: take it from @iot.nextLink", text)
	}
	return uint32(n), at, nil
}

// count is how many there are: known without a filter, looked for with one, which
// is sold like an aggregate, a unit for each device that has a part in it.
func (q *request) count(ctx context.Context, streams []*store.Stream, o *options) (n int, err error) {
	for _, x := range streams {
		if o.filter == nil {
			n += int(x.Rows)
			continue
		}
		s := scope{x.First, x.Time + 1}
		s.narrow(o.filter)
		before := n
		for _, err := range q.matching(ctx, x, s, o.filter, true) {
			if err != nil {
				return n, err
			}
			n++
		}
		if n > before {
			q.sellOf(x.Device)
		}
	}
	return n, nil
}

// walk yields the rows of a stream in a scope by time, day by day, until yield
// says no. Of readings of one moment the one of the newest batch counts.
func (q *request) walk(ctx context.Context, x *store.Stream, s scope, desc bool, yield func(*store.Row) (bool, error)) error {
	if s.from >= s.to {
		return nil
	}
	from, to := time.UnixMilli(s.from).UTC(), time.UnixMilli(s.to).UTC()
	// The newest reading is known: most requests want no more.
	if desc && s.to > x.Time && s.from <= x.Time {
		r := x.Row
		if more, err := yield(&r); err != nil || !more {
			return err
		}
		to = time.UnixMilli(x.Time).UTC()
	}
	for first, last := from.Truncate(day), to.Add(-time.Millisecond).Truncate(day); !first.After(last); {
		at := first
		if desc {
			at = last
		}
		rows, err := q.rows(ctx, x, maxTime(at, from), minTime(at.Add(day), to))
		if err != nil {
			return err
		}
		if desc {
			slices.Reverse(rows)
			last = last.Add(-day)
		} else {
			first = first.Add(day)
		}
		for _, r := range rows {
			if more, err := yield(r); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// rows are those of a stream in a part of a day, by time.
func (q *request) rows(ctx context.Context, x *store.Stream, from, to time.Time) ([]*store.Row, error) {
	var out []*store.Row
	cell := h3.Cell(x.Cell)
	for f, err := range q.Store.Scan(ctx, store.Query{Kind: x.Kind, Cell: cell, Variables: []string{x.Variable}, From: from, To: to, Device: x.Device}) {
		if err != nil {
			return nil, err
		}
		if q.scanned++; q.scanned > maxScanned {
			return nil, bad(errScanned)
		}
		r := *f.Row
		out = append(out, &r)
	}
	slices.SortFunc(out, func(a, b *store.Row) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(b.Counter, a.Counter))
	})
	return slices.CompactFunc(out, func(a, b *store.Row) bool { return a.Time == b.Time }), nil
}

// observation finds one by its id, STREAM-MILLISECONDS.
func (q *request) observation(ctx context.Context, key string) (*entity, error) {
	a, b, ok := strings.Cut(strings.Trim(key, "'"), "-")
	n, err1 := strconv.ParseUint(a, 10, 32)
	at, err2 := strconv.ParseInt(b, 10, 64)
	x := q.view.byNum[uint32(n)]
	if !ok || err1 != nil || err2 != nil || x == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	t := time.UnixMilli(at)
	rows, err := q.rows(ctx, x, t, t.Add(time.Millisecond))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return observation(x, rows[0]), nil
}

// sell counts an observation that the answer holds.
func (q *request) sell(e *entity) {
	if e.row != nil {
		q.sellOf(e.row.ID())
	}
}

// sellOf counts a unit of a device.
func (q *request) sellOf(id device.ID) {
	if q.sold == nil {
		q.sold = query.Rows{}
	}
	q.sold[id]++
}
