package ntrip

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// seen counts frames; it is a Watcher.
type seen struct {
	mu     sync.Mutex
	frames int
	gone   chan struct{}
}

func (s *seen) Frame(rtcm.Frame, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames++
}

func (s *seen) Close() { close(s.gone) }

// What one client pushes another one pulls, byte for byte, and a watcher sees
// every frame.
func TestClients(t *testing.T) {
	for _, old := range []bool{false, true} {
		g := &gate{}
		g.budget.Store(1 << 40)
		w := &seen{gone: make(chan struct{})}
		_, addr := start(t, g, func(c *Config) { c.Watch = func(string) Watcher { return w } })
		raw := capture(t)[:20_000]
		base, err := Push(t.Context(), Target{Addr: addr, Mount: "ROOF", Name: "x", Password: "secret", Old: old})
		if err != nil {
			t.Fatal(err)
		}
		rover, err := Pull(t.Context(), Target{Addr: addr, Mount: "ROOF", Name: "rover", Password: "token"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := base.Write(raw); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(raw)-rtcm.MaxFrame) // the frame at the end is cut
		if _, err := io.ReadFull(rover, got); err != nil || !bytes.Equal(got, raw[:len(got)]) {
			t.Fatalf("old %v: other bytes came, %v", old, err)
		}
		_ = rover.Close()
		_ = base.Close()
		<-w.gone
		if w.frames < 10 {
			t.Errorf("old %v: the watcher saw %d frames", old, w.frames)
		}
	}
}

func TestClientReadsTheReason(t *testing.T) {
	_, addr := start(t, &gate{}, nil)
	for name, c := range map[string]struct {
		old  bool
		want string
	}{"version 2": {false, "401 Unauthorized: name or password is wrong"}, "version 1": {true, "Bad Password"}} {
		_, err := Push(t.Context(), Target{Addr: addr, Mount: "ROOF", Password: "wrong", Old: c.old})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Pull(t.Context(), Target{Addr: addr, Mount: "NOBODY", Name: "rover", Password: "token"}); err == nil || !strings.Contains(err.Error(), "no such mount point") {
		t.Errorf("a mount point that is not there: %v", err)
	}
}

// NEAR passes by a base that does not sell.
func TestNearSells(t *testing.T) {
	g := &gate{places: map[string]Position{"NEARBY": {48, 11}, "FAR": {48.1, 11}}}
	g.budget.Store(1 << 40)
	c, addr := start(t, g, func(c *Config) { c.Sells = func(mount string) bool { return mount == "FAR" } })
	for _, name := range []string{"NEARBY", "FAR"} {
		defer push(t, addr, name).Close()
	}
	for len(c.Bases()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if m, _ := c.closest(Position{48, 11}); m == nil || m.name != "FAR" {
		t.Errorf("NEAR picks %+v, want FAR", m)
	}
}
