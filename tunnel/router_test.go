package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func TestRouterRestart(t *testing.T) {
	serverKey := newKey(t)
	o := Options{MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond}
	l := listen(t, nil, serverKey, o)
	echo(t, l)
	base := loopback(t)
	addr := base.Addr().String()
	r, err := NewRouter(base, newKey(t), o)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Register(addr)
	if err := l.Registered(bounded(t), addr); err != nil {
		t.Fatal(err)
	}
	d := dialer(t, newKey(t), o)
	if err := exchange(bounded(t), d, routed(addr, serverKey), 100_000); err != nil {
		t.Fatal(err)
	}
	r.Close()
	waitFor(t, "loss noticed by the peer", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		return l.Registered(ctx, addr) != nil
	})
	if err := exchange(bounded(t), d, routed(addr, serverKey), 10); err == nil {
		t.Fatal("exchange through a closed router succeeded")
	}
	base, err = net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	router2, err := NewRouter(base, newKey(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer router2.Close()
	if err := l.Registered(bounded(t), addr); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "exchange after the restart", func() bool {
		return exchange(bounded(t), d, routed(addr, serverKey), 100_000) == nil
	})
}

func TestRouterLimitsAndImpostors(t *testing.T) {
	serverKey := newKey(t)
	r := router(t, loopback(t), Options{MaxSessions: 2})
	l := listen(t, nil, serverKey, Options{})
	echo(t, l)
	_ = l.Register(r.Addr().String())
	if err := l.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	d1, d2 := dialer(t, newKey(t), Options{}), dialer(t, newKey(t), Options{})
	to := routed(r.Addr().String(), serverKey)
	if err := exchange(bounded(t), d1, to, 10); err != nil {
		t.Fatal(err)
	}
	if err := exchange(bounded(t), d2, to, 10); !errors.Is(err, ErrRouterFull) {
		t.Errorf("third connection: %v, want ErrRouterFull", err)
	}

	// An impostor may not register a key that it does not hold.
	r2 := router(t, loopback(t), Options{})
	cert, err := certificate(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Dial("tcp", r2.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := handshake(bounded(t), raw, true, tlsConfig(cert, nil), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := askRouter(conn, hello{kind: helloRegister, key: KeyOf(serverKey)}); err == nil {
		t.Error("router registered a key that was not proved")
	}
	if r2.Peers() != 0 {
		t.Errorf("%d peers, want 0", r2.Peers())
	}
}

// TestRouterSeesOnlyCiphertext taps both connections below the router's own TLS
// by playing the router's role by hand.
func TestRouterSeesOnlyCiphertext(t *testing.T) {
	secret := bytes.Repeat([]byte("plaintext that no router may see "), 64)
	serverKey := newKey(t)
	l := listen(t, nil, serverKey, Options{})
	echo(t, l)
	near, far := net.Pipe()
	tap := &tapConn{Conn: far}
	l.serve(near)
	cert, err := certificate(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	want := KeyOf(serverKey)
	conn, _, err := handshake(bounded(t), tap, true, tlsConfig(cert, &want), patience)
	if err != nil {
		t.Fatal(err)
	}
	session, err := newSession(conn, true, Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	s, err := session.OpenStream(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write(secret)
	_ = s.CloseWrite()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("echo: %d bytes, %v", len(got), err)
	}
	if seen := tap.bytes(); len(seen) < 2*len(secret) || bytes.Contains(seen, secret[:16]) {
		t.Fatalf("tap saw %d bytes, plaintext among them: %v", len(seen), bytes.Contains(seen, secret[:16]))
	}
}

type tapConn struct {
	net.Conn
	mu   sync.Mutex
	seen []byte
}

func (c *tapConn) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.seen)
}

func (c *tapConn) note(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, p...)
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(p[:n])
	return n, err
}

func (c *tapConn) Write(p []byte) (int, error) {
	c.note(p)
	return c.Conn.Write(p)
}

func TestNewerRegistrationReplacesOlder(t *testing.T) {
	key := newKey(t)
	r := router(t, loopback(t), Options{})
	first := listen(t, nil, key, Options{MinBackoff: time.Hour, MaxBackoff: time.Hour})
	echo(t, first)
	_ = first.Register(r.Addr().String())
	if err := first.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	second := listen(t, nil, key, Options{})
	echo(t, second)
	_ = second.Register(r.Addr().String())
	if err := second.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	d := dialer(t, newKey(t), Options{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
	waitFor(t, "exchange with the newer", func() bool {
		return exchange(bounded(t), d, routed(r.Addr().String(), key), 10) == nil
	})
	if first.Sessions() != 0 || second.Sessions() != 1 {
		t.Errorf("sessions: first %d, second %d; want 0 and 1", first.Sessions(), second.Sessions())
	}
	if r.Peers() != 1 {
		t.Errorf("%d peers, want 1", r.Peers())
	}
}
