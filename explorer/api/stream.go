package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/explorer/index"
)

// Limits of the stream.
const (
	// queued messages of a reader; one that is further behind is hung up on and
	// comes back with Last-Event-ID.
	queued = 64
	// replayed blocks of one step of catching up.
	replayed = 100
	// writeWithin is how long one write to a reader may take.
	writeWithin = 10 * time.Second
	// keepAlive is how often a silent stream says that it lives.
	keepAlive = 20 * time.Second
	// retry is when a browser comes back, in milliseconds.
	retry = 2000
)

// message is one block's events, encoded once for all readers.
type message struct {
	height int64
	events []encoded
}

type encoded struct {
	kind string
	text []byte
}

// hub sends what is indexed to every reader. Its goroutine is Server.Run.
type hub struct {
	index    *index.Store
	follower Follower
	log      *slog.Logger

	mu      sync.Mutex
	height  int64 // of the newest message
	readers map[chan *message]struct{}
	closed  bool
}

func newHub(i *index.Store, f Follower, log *slog.Logger) *hub {
	return &hub{index: i, follower: f, log: log, height: i.Height(), readers: map[chan *message]struct{}{}}
}

func (h *hub) run(ctx context.Context) {
	defer h.hangUp()
	for {
		moved := h.follower.Moved()
		if err := h.publish(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("read events for the stream failed", "error", err)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// publish sends the blocks that were indexed since.
func (h *hub) publish(ctx context.Context) error {
	for h.index.Height() != h.height {
		if h.skip() {
			return nil
		}
		batch, err := messages(ctx, h.index, h.height)
		if err != nil || len(batch) == 0 {
			return err
		}
		h.mu.Lock()
		for _, m := range batch {
			h.height = m.height
			for r := range h.readers {
				h.offer(r, m)
			}
		}
		h.mu.Unlock()
	}
	return nil
}

// skip goes to the newest block when nobody listens, and to the first when the
// index was made anew.
func (h *hub) skip() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.readers) == 0 {
		h.height = h.index.Height()
		return true
	}
	if h.index.Height() < h.height {
		h.height = 0
	}
	return false
}

// offer hands a message to a reader, or hangs up on one that is too slow. It is
// called with mu held.
func (h *hub) offer(r chan *message, m *message) {
	select {
	case r <- m:
	default:
		delete(h.readers, r)
		close(r)
	}
}

// messages encodes the blocks after a height, at most replayed of them.
func messages(ctx context.Context, i *index.Store, height int64) ([]*message, error) {
	events, blocks, err := i.EventsAfter(ctx, height, replayed)
	if err != nil {
		return nil, err
	}
	out := make([]*message, 0, len(blocks))
	for _, b := range blocks {
		m := &message{height: b.Height}
		for ; len(events) > 0 && events[0].Height == b.Height; events = events[1:] {
			e := events[0]
			if err := m.add(e.Type, e.Index, e); err != nil {
				return nil, err
			}
		}
		// The block comes last: whoever has seen it has seen all its events.
		err := m.add("block", int(b.Events), map[string]any{"height": b.Height, "time": b.Time, "txs": b.Txs, "epoch": b.Epoch})
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (m *message) add(kind string, index int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d:%d\nevent: %s\ndata: %s\n\n", m.height, index, kind, raw)
	m.events = append(m.events, encoded{kind, b.Bytes()})
	return nil
}

// join adds a reader; height is where what it will get begins. False when there
// are too many.
func (h *hub) join(limit int) (r chan *message, height int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.readers) >= limit || h.closed {
		return nil, 0, false
	}
	r = make(chan *message, queued)
	h.readers[r] = struct{}{}
	return r, h.height, true
}

func (h *hub) leave(r chan *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
}

func (h *hub) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		delete(h.readers, r)
		close(r)
	}
}

// place in the stream: everything up to and with index of height was seen.
type seen struct {
	height int64
	index  int
}

func parseSeen(id string) (seen, error) {
	a, b, ok := strings.Cut(id, ":")
	height, err1 := strconv.ParseInt(a, 10, 64)
	at, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || height < 0 || at < 0 {
		return seen{}, bad("last id %.40q: want height:index", id)
	}
	return seen{height, at}, nil
}

// events streams, or answers a page of the past.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := &request{r, r.URL.Query()}
	form, err := q.oneOf("as", "sse", "json", "csv", "ndjson")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if form != "" && form != "sse" {
		s.answer(w, r, func(q *request) (any, error) {
			p, err := q.page()
			if err != nil {
				return nil, err
			}
			l, err := s.Index.Events(q.Context(), q.text("type"), p)
			return page[index.Event]{l}, err
		})
		return
	}
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = q.text("last_id")
	}
	at := seen{height: -1}
	if last != "" {
		if at, err = parseSeen(last); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.stream(w, r, at, q.text("type"))
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, at seen, kind string) {
	reader, height, ok := s.hub.join(s.Streams)
	if !ok {
		w.Header().Set("Retry-After", "5")
		s.fail(w, r, &problem{http.StatusServiceUnavailable, "unavailable", "as many readers of events as this explorer serves are connected", "try again in a few seconds, or ask with as=json"})
		return
	}
	defer s.hub.leave(reader)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := &sender{w: w, control: http.NewResponseController(w), kind: kind, at: at}
	if out.text(fmt.Appendf(nil, "retry: %d\n\n", retry)) != nil {
		return
	}
	if at.height >= 0 && s.replay(r.Context(), out, height) != nil {
		return
	}
	s.forward(r.Context(), out, reader)
}

// replay sends what a returning reader has missed up to height.
func (s *Server) replay(ctx context.Context, out *sender, height int64) error {
	for from := out.at.height - 1; from < height; {
		batch, err := messages(ctx, s.Index, from)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, m := range batch {
			if m.height > height {
				return nil
			}
			if err := out.send(m); err != nil {
				return err
			}
			from = m.height
		}
	}
	return nil
}

func (s *Server) forward(ctx context.Context, out *sender, reader chan *message) {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		select {
		case m, ok := <-reader:
			if !ok || out.send(m) != nil {
				return
			}
		case <-alive.C:
			if out.text([]byte(": alive\n\n")) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// sender writes to one reader.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	kind    string
	at      seen
}

// send writes the events of a block that the reader has not seen.
func (o *sender) send(m *message) error {
	var b []byte
	for i, e := range m.events {
		old := m.height < o.at.height || m.height == o.at.height && i <= o.at.index
		if !old && strings.HasPrefix(e.kind, o.kind) {
			b = append(b, e.text...)
		}
	}
	if len(b) == 0 {
		return nil
	}
	return o.text(b)
}

func (o *sender) text(b []byte) error {
	if err := o.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.control.Flush()
}
