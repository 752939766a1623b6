package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/grange-network/grange/internal/peerlimit"
)

// TestBusyAddressIsDropped: connections beyond the limit end without a handshake.
func TestBusyAddressIsDropped(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(base net.Listener, o Options)
	}{
		{"listener", func(base net.Listener, o Options) { listen(t, base, newKey(t), o) }},
		{"router", func(base net.Listener, o Options) {
			r, err := NewRouter(base, newKey(t), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := loopback(t)
			c.serve(base, Options{Limit: peerlimit.Rate{PerSecond: 1, Burst: 2, Loopback: true}})
			for range 100 {
				conn, err := net.Dial("tcp", base.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
				if _, err := conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
					return // closed by the other side
				}
			}
			t.Fatal("100 connections and none was dropped")
		})
	}
}

// TestGarbageIsDropped: what is no TLS ends its connection, and the next peer is
// served.
func TestGarbageIsDropped(t *testing.T) {
	base, key := loopback(t), newKey(t)
	l := listen(t, base, key, Options{})
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			c.Close()
		}
	}()
	random := make([]byte, 64<<10)
	_, _ = rand.Read(random)
	for _, message := range [][]byte{random, bytes.Repeat([]byte{0}, 1<<10), {22, 3, 1, 0xff, 0xff}, []byte("GET / HTTP/1.1\r\n\r\n")} {
		conn, err := net.Dial("tcp", base.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(message)
		conn.Close()
	}
	d := dialer(t, newKey(t), Options{})
	conn, err := d.Dial(t.Context(), Target{
		Endpoint: Endpoint{Scheme: SchemeTCP, Addr: base.Addr().String()}, Peer: PublicKey(key.Public().(ed25519.PublicKey)),
	})
	if err != nil {
		t.Fatal("an honest peer after the garbage:", err)
	}
	conn.Close()
}
