package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/store"
	"github.com/grange-network/grange/wal"
)

// Parameters of a subscription.
const (
	backlog   = 4096 // rows that a reader may be behind
	heartbeat = 15 * time.Second
	atOnce    = 256 // rows that are paid together

	// readers are how many subscriptions a buyer has at a time, and patience is how
	// long one may take to read what is sent together.
	readers  = 256
	patience = time.Minute
)

// subscribe sends rows as they come, as events of HTML (text/event-stream). The
// id of an event is where it is in the log: Last-Event-ID goes on behind it, after an
// event "gap" where that is no longer kept.
func (h *handler) subscribe(w http.ResponseWriter, r *http.Request) error {
	wants, err := h.wants(r)
	if err != nil {
		return err
	}
	last := r.Header.Get("Last-Event-ID")
	var behind store.Mark
	if last != "" {
		if behind, err = store.ParseMark(last); err != nil {
			return bad("Last-Event-ID: %v", err)
		}
	}
	buyer, err := h.Till.Buyer(r.Context(), Token(r))
	if err != nil {
		return err
	}
	leave, err := h.reads.enter(buyer)
	if err != nil {
		return err
	}
	defer leave()
	c := http.NewResponseController(w)
	s := stream{h: h, w: w, r: r, flush: func() error {
		return errors.Join(c.Flush(), allow(c))
	}, buyer: buyer}
	if err := allow(c); err != nil {
		return err
	}
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }() // of the connection's next request
	watcher, stop := h.Store.Watch(backlog, wants)
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	err = s.flush()
	if err == nil && last != "" && h.Log != nil {
		err = s.replay(behind, wants)
		if errors.Is(err, wal.ErrGone) {
			err = s.gap(behind)
		}
	}
	if err == nil {
		err = s.live(watcher)
	}
	if err != nil && r.Context().Err() == nil {
		text, _ := json.Marshal(map[string]string{"error": err.Error(), "code": code(Status(err))})
		_, _ = fmt.Fprintf(w, "event: end\ndata: %s\n\n", text) // the client may be gone
	}
	return nil
}

// allow gives a reader time for what is sent next, and for the heartbeat before it.
func allow(c *http.ResponseController) error {
	if err := c.SetWriteDeadline(time.Now().Add(heartbeat + patience)); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// audience counts subscriptions by buyer. The zero value has none.
type audience struct {
	mu sync.Mutex
	by map[string]int
}

// enter begins one, until leave is called.
func (x *audience) enter(buyer string) (leave func(), err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := x.by[buyer]; n >= readers {
		return nil, problem{http.StatusTooManyRequests, fmt.Errorf("%s has %d subscriptions at a time already: end one, or take a larger cell", buyer, n)}
	}
	if x.by == nil {
		x.by = map[string]int{}
	}
	x.by[buyer]++
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.by[buyer]--; x.by[buyer] == 0 {
			delete(x.by, buyer)
		}
	}, nil
}

// wants is what the parameters select.
func (h *handler) wants(r *http.Request) (func(*store.Event) bool, error) {
	v := r.URL.Query()
	kind, err := h.kind(v.Get("kind"))
	if err != nil {
		return nil, err
	}
	if h.Store.Moving(kind) {
		return nil, errMoving(kind)
	}
	q := store.Query{Kind: kind, From: time.Unix(0, 0), To: time.Unix(1<<34, 0)}
	if q.Cell, err = parseCell(v.Get("cell")); err != nil {
		return nil, err
	}
	if q.Variables, err = h.variables(v); err != nil {
		return nil, err
	}
	if q.Refuse, err = refused(v.Get("qc")); err != nil {
		return nil, err
	}
	return func(e *store.Event) bool {
		return !h.Store.Moving(e.Kind) && (kind == "" || kind == e.Kind) && q.Wants(&e.Row)
	}, nil
}

// stream is one subscription under way.
type stream struct {
	h     *handler
	w     http.ResponseWriter
	r     *http.Request
	flush func() error
	buyer string
	sent  store.Mark
	any   bool
}

func (s *stream) replay(behind store.Mark, wants func(*store.Event) bool) error {
	s.sent, s.any = behind, true
	var some []store.Event
	for e, err := range s.h.Store.Replay(s.r.Context(), s.h.Log, behind) {
		if err != nil {
			return err
		}
		if wants(&e) {
			some = append(some, e)
		}
		if len(some) == atOnce {
			if err := s.send(some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return s.send(some)
}

// gap says that what came behind a mark is not all there any more.
func (s *stream) gap(behind store.Mark) error {
	if _, err := fmt.Fprintf(s.w, "event: gap\ndata: {\"error\":\"what came behind %s is no longer kept as it came; ask /v1/cells for it\"}\n\n", behind); err != nil {
		return err
	}
	return s.flush()
}

func (s *stream) live(w *store.Watcher) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-s.r.Context().Done():
			return nil
		case <-beat.C:
			if _, err := fmt.Fprint(s.w, ": still here\n\n"); err != nil {
				return err
			}
			if err := s.flush(); err != nil {
				return err
			}
		case e, ok := <-w.Events:
			if !ok {
				return w.Err()
			}
			some := []store.Event{e}
			for len(some) < atOnce && len(w.Events) > 0 {
				if e, ok := <-w.Events; ok {
					some = append(some, e)
				}
			}
			if err := s.send(some); err != nil {
				return err
			}
		}
	}
}

// send charges rows and sends those that were not sent before.
func (s *stream) send(some []store.Event) error {
	sold := Rows{}
	fresh := some[:0:0]
	for _, e := range some {
		if !s.any || e.After(s.sent) {
			fresh = append(fresh, e)
			sold[e.ID()]++
			s.sent, s.any = e.Mark, true
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if _, err := s.h.Till.Charge(s.r.Context(), s.buyer, sold); err != nil {
		return err
	}
	for i := range fresh {
		text, err := json.Marshal(observation(fresh[i].Kind, &fresh[i].Row))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.w, "id: %s\nevent: observation\ndata: %s\n\n", fresh[i].Mark, text); err != nil {
			return err
		}
	}
	return s.flush()
}

// ring is a cell's outline, closed, counter-clockwise, as longitude and latitude.
func ring(c h3.Cell) [][2]float64 {
	corners := c.Boundary()
	out := make([][2]float64, 0, len(corners)+1)
	for _, p := range corners {
		lon := p.Longitude
		if len(out) > 0 { // a cell across the date line stays in one piece
			switch d := lon - out[0][0]; {
			case d > 180:
				lon -= 360
			case d < -180:
				lon += 360
			}
		}
		out = append(out, [2]float64{lon, p.Latitude})
	}
	return append(out, out[0])
}
