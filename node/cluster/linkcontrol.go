package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/grange-network/grange/node"
)

// linkDir holds the socket on which links are controlled.
func linkDir(home string) string { return filepath.Join(home, "links") }

// LinkOrder is what to do with the links between two validators; the JSON body
// of POST /v1/links.
type LinkOrder struct {
	Verb   string `json:"verb"` // cut, heal or delay
	A      string `json:"a"`    // empty: every validator
	B      string `json:"b"`
	OneWay bool   `json:"one_way,omitempty"` // only what A sends to B
	// DelayMillis is for the verb delay.
	DelayMillis int64 `json:"delay_ms,omitempty"`
}

// Do carries out an order.
func (s *Links) Do(o LinkOrder) error {
	switch o.Verb {
	case "cut":
		return s.Cut(o.A, o.B, o.OneWay)
	case "heal":
		return s.Heal(o.A, o.B, o.OneWay)
	case "delay":
		if o.DelayMillis < 0 || o.DelayMillis > MaxDelay.Milliseconds() {
			return &PlanError{fmt.Sprintf("delay link by %d ms: want 0 to %d", o.DelayMillis, MaxDelay.Milliseconds())}
		}
		return s.Delay(o.A, o.B, o.OneWay, time.Duration(o.DelayMillis)*time.Millisecond)
	}
	return &PlanError{fmt.Sprintf("change link: unknown verb %q: want cut, heal or delay", o.Verb)}
}

// maxBody bounds an order and an answer, in bytes.
const maxBody = 1 << 20

// control serves the links on a socket until ctx ends. It closes l.
func (s *Links) control(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/links", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.List()) })
	mux.HandleFunc("POST /v1/links", func(w http.ResponseWriter, r *http.Request) {
		var o LinkOrder
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
			reply(w, http.StatusBadRequest, fmt.Sprintf("read order: %v", err))
			return
		}
		switch err := s.Do(o); {
		case errors.Is(err, ErrUnknownValidator):
			reply(w, http.StatusNotFound, err.Error())
		case err != nil:
			reply(w, http.StatusBadRequest, err.Error())
		default:
			reply(w, http.StatusOK, s.List())
		}
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	_ = srv.Serve(l) // only ends when it is closed
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client left: nothing to tell it
}

// OrderLinks sends an order to the cluster that runs at home and returns the
// links' state after it; an empty verb only asks. It returns
// node.ErrNotRunning, ErrUnknownValidator or *PlanError.
func OrderLinks(ctx context.Context, home string, o LinkOrder) ([]LinkState, error) {
	method, body := http.MethodGet, []byte(nil)
	if o.Verb != "" {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(o); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://links/v1/links", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return node.DialControl(ctx, linkDir(home)) }
	c := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", node.ErrNotRunning, home, err)
	}
	defer resp.Body.Close()
	d := json.NewDecoder(io.LimitReader(resp.Body, maxBody))
	if resp.StatusCode == http.StatusOK {
		var out []LinkState
		return out, d.Decode(&out)
	}
	var what string
	if err := d.Decode(&what); err != nil {
		return nil, fmt.Errorf("change link: answered %s: %w", resp.Status, err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("change link between %q and %q: %w", o.A, o.B, ErrUnknownValidator)
	}
	return nil, &PlanError{what}
}
