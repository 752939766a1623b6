package tunnel

import (
	"io"
	"net"
	"sync"
	"testing"
)

// testLink is a TCP proxy that can stop passing bytes without closing anything: a
// connection whose other end has lost power.
type testLink struct {
	base   net.Listener
	target string
	wg     sync.WaitGroup

	mu     sync.Mutex
	frozen bool
	conns  []net.Conn
}

func newLink(t testing.TB, target string) *testLink {
	l := &testLink{base: loopback(t), target: target}
	l.wg.Go(l.run)
	t.Cleanup(func() {
		l.base.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

func (l *testLink) addr() string { return l.base.Addr().String() }

// freeze makes every connection there is a black hole.
func (l *testLink) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

// thaw lets new connections pass; frozen ones stay lost.
func (l *testLink) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = false
}

func (l *testLink) isFrozen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frozen
}

func (l *testLink) run() {
	for {
		in, err := l.base.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil {
			in.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, in, out)
		l.mu.Unlock()
		l.wg.Go(func() { l.pass(in, out) })
		l.wg.Go(func() { l.pass(out, in) })
	}
}

func (l *testLink) pass(dst, src net.Conn) {
	buf := make([]byte, 32<<10)
	lost := false
	for {
		n, err := src.Read(buf)
		if err != nil {
			if !lost {
				dst.Close()
			}
			return
		}
		if lost = lost || l.isFrozen(); lost {
			continue
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			_, _ = io.Copy(io.Discard, src)
			return
		}
	}
}
