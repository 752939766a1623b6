package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Mark is the place of a row in the log: its record, and its number in it.
type Mark struct {
	Seq   uint64
	Index uint32
}

// String is "seq-index".
func (m Mark) String() string { return fmt.Sprintf("%d-%d", m.Seq, m.Index) }

// ParseMark reads what String wrote.
func ParseMark(text string) (Mark, error) {
	seq, index, _ := strings.Cut(text, "-")
	a, err1 := strconv.ParseUint(seq, 10, 64)
	b, err2 := strconv.ParseUint(index, 10, 32)
	if err1 != nil || err2 != nil {
		return Mark{}, fmt.Errorf("read event id %.40q: want RECORD-NUMBER, as events have it", text)
	}
	return Mark{a, uint32(b)}, nil
}

// After reports whether m comes behind o.
func (m Mark) After(o Mark) bool { return m.Seq > o.Seq || m.Seq == o.Seq && m.Index > o.Index }

// Event is a row that came.
type Event struct {
	Mark
	Kind string
	Row
}

// Ends of a watcher.
var (
	ErrSlow   = errors.New("subscription is ended: its reader does not keep up")
	ErrClosed = errors.New("store is closed")
)

// Watcher gets rows as they come.
type Watcher struct {
	Events chan Event // closed at the end; see Err
	wants  func(*Event) bool
	err    error // set before Events is closed
}

// Err is why a watcher ended.
func (w *Watcher) Err() error { return w.err }

func (w *Watcher) end(why error) {
	if w.err == nil {
		w.err = why
		close(w.Events)
	}
}

// Watch begins to hand out rows that wants reports true for, which must be quick.
// A reader who falls behind by size rows is dropped. Call stop in the end.
func (s *Store) Watch(size int, wants func(*Event) bool) (w *Watcher, stop func()) {
	w = &Watcher{Events: make(chan Event, size), wants: wants}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	return w, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
		w.end(context.Canceled)
	}
}

// tell hands a row to those who wait for it. s.mu is held.
func (s *Store) tell(e Event) {
	for w := range s.watchers {
		if !w.wants(&e) {
			continue
		}
		select {
		case w.Events <- e:
		default:
			w.end(ErrSlow)
			delete(s.watchers, w)
		}
	}
}

// Replay yields the rows of the log behind a mark, up to where the store is now.
// Their QC bits are what a reading shows by itself.
func (s *Store) Replay(ctx context.Context, log Source, behind Mark) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		next := s.Next()
		for e, err := range log.Entries(behind.Seq) {
			if err == nil && e.Seq >= next {
				return
			}
			var rows []kinded
			if err = errors.Join(err, ctx.Err()); err == nil {
				rows, err = s.decode(ctx, e)
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for i := range rows {
				at := Mark{e.Seq, uint32(i)}
				if !at.After(behind) {
					continue
				}
				rows[i].QC = flag(&rows[i].Row, nil)
				if !yield(Event{at, rows[i].kind, rows[i].Row}, nil) {
					return
				}
			}
		}
	}
}
