package ntrip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// base serves a base that pushes its stream.
func (c *Caster) base(ctx context.Context, r *request) error {
	if !validMount(r.mount) {
		return r.refuse(http.StatusBadRequest, "Mount Point Taken or Invalid", fmt.Sprintf("mount point %q: want 1 to 100 letters, digits, - and _, not %s", r.mount, Near))
	}
	place, err := c.cfg.Gate.Base(ctx, r.mount, r.name, r.password)
	if err != nil {
		return r.denied(err)
	}
	m := newMount(r.mount, time.Now())
	if place != nil {
		m.place, m.placed = *place, true
	}
	if !c.put(m) {
		return r.refuse(http.StatusConflict, "Mount Point Taken or Invalid", fmt.Sprintf("mount point %s is taken by another base", r.mount))
	}
	defer c.drop(m)
	if err := r.accept(); err != nil {
		return err
	}
	c.log.Info("base connected", "mount", m.name, "from", r.conn.RemoteAddr())
	var w Watcher
	if c.cfg.Watch != nil {
		if w = c.cfg.Watch(m.name); w != nil {
			defer w.Close()
		}
	}
	return c.pump(m, &idleReader{r, c.cfg.Idle}, w)
}

func validMount(name string) bool {
	if name == "" || len(name) > 100 || strings.EqualFold(name, Near) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
}

// idleReader ends a base that sends nothing, be it half-open or asleep.
type idleReader struct {
	r    *request
	idle time.Duration
}

func (i *idleReader) Read(p []byte) (int, error) {
	if err := i.r.conn.SetReadDeadline(time.Now().Add(i.idle)); err != nil {
		return 0, err
	}
	return i.r.in.Read(p)
}

const (
	largePiece = 16 << 10
	noFrames   = 64 << 10
)

// window holds the bytes since the last piece. It refuses a stream that goes on
// without frames.
type window struct{ bytes.Buffer }

func (w *window) Write(p []byte) (int, error) {
	if w.Len()+len(p) > noFrames {
		return 0, fmt.Errorf("%d bytes without an RTCM 3 frame", w.Len())
	}
	return w.Buffer.Write(p)
}

// pump cuts a base's stream into pieces between frames and publishes them. All
// bytes go on, also those that are no frames.
func (c *Caster) pump(m *mount, in io.Reader, w Watcher) error {
	var held window // read, not published
	var sent int64
	s := rtcm.NewScanner(io.TeeReader(in, &held))
	for {
		f, err := s.Next()
		if err != nil {
			if rest := held.Len(); rest > 0 {
				m.publish(&piece{data: slices.Clone(held.Bytes()), border: true, arrived: time.Now()})
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read base: %w", err)
		}
		placed := m.placed
		border := m.note(f)
		if w != nil {
			w.Frame(f, time.Now())
		}
		n := int(s.Offset() - sent)
		if border || s.Buffered() == 0 || n > largePiece {
			sent += int64(n)
			m.publish(&piece{data: bytes.Clone(held.Next(n)), border: border, arrived: time.Now()})
		}
		if m.placed && !placed {
			c.mu.Lock()
			c.notify()
			c.mu.Unlock()
		}
	}
}
