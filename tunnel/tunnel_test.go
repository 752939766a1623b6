package tunnel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listen(t testing.TB, base net.Listener, key ed25519.PrivateKey, o Options) *Listener {
	t.Helper()
	l, err := Listen(base, key, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialer(t testing.TB, key ed25519.PrivateKey, o Options) *Dialer {
	t.Helper()
	d, err := NewDialer(key, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func router(t testing.TB, base net.Listener, o Options) *Router {
	t.Helper()
	r, err := NewRouter(base, newKey(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func direct(l net.Listener, key ed25519.PrivateKey) Target {
	return Target{Endpoint: Endpoint{Scheme: SchemeTCP, Addr: l.Addr().String()}, Peer: KeyOf(key)}
}

func routed(addr string, key ed25519.PrivateKey) Target {
	return Target{Endpoint: Endpoint{Scheme: SchemeRouter, Addr: addr, Key: KeyOf(key)}, Peer: KeyOf(key)}
}

// echo answers every stream with what it receives until l closes.
func echo(t testing.TB, l *Listener) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
}

// patience is how long a test waits for what must happen: only a failure takes so
// long.
const patience = 3 * time.Minute

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// exchange sends size bytes through a new stream and checks that they return.
func exchange(ctx context.Context, d *Dialer, to Target, size int) error {
	c, err := d.Dial(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	sent := make([]byte, size)
	rand.Read(sent)
	writeErr := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		_ = c.CloseWrite()
		writeErr <- err
	}()
	got, err := io.ReadAll(c)
	if werr := <-writeErr; werr != nil {
		return fmt.Errorf("write: %w", werr)
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("sent %d bytes, got %d others back", len(sent), len(got))
	}
	return nil
}

func TestStreamsDirectAndRouted(t *testing.T) {
	serverKey := newKey(t)
	base := loopback(t)
	l := listen(t, base, serverKey, Options{})
	echo(t, l)
	r := router(t, loopback(t), Options{})
	if err := l.Register(r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := l.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]Target{
		"direct": direct(base, serverKey),
		"routed": routed(r.Addr().String(), serverKey),
	} {
		t.Run(name, func(t *testing.T) {
			d := dialer(t, newKey(t), Options{})
			for _, size := range []int{0, 1, 70_000, 3 << 20} {
				if err := exchange(bounded(t), d, to, size); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
			}
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					if err := exchange(bounded(t), d, to, 200_000); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
	if n := l.Sessions(); n > 2 {
		t.Errorf("%d sessions for two dialers, want at most 2", n)
	}
}

func TestWrongKeyIsRefused(t *testing.T) {
	serverKey, other := newKey(t), newKey(t)
	base := loopback(t)
	l := listen(t, base, serverKey, Options{})
	echo(t, l)
	r := router(t, loopback(t), Options{})
	_ = l.Register(r.Addr().String())
	if err := l.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	d := dialer(t, newKey(t), Options{})
	to := direct(base, serverKey)
	to.Peer = KeyOf(other)
	if _, err := d.Dial(bounded(t), to); !errors.Is(err, ErrPeerKey) {
		t.Errorf("direct dial of another key: %v, want ErrPeerKey", err)
	}
	to = routed(r.Addr().String(), serverKey)
	to.Peer = KeyOf(other)
	if _, err := d.Dial(bounded(t), to); !errors.Is(err, ErrPeerKey) {
		t.Errorf("routed dial of another key: %v, want ErrPeerKey", err)
	}
	if _, err := d.Dial(bounded(t), routed(r.Addr().String(), other)); !errors.Is(err, ErrNotRegistered) {
		t.Errorf("dial of an unregistered key: %v, want ErrNotRegistered", err)
	}
	if _, err := d.Dial(bounded(t), routed(r.Addr().String(), other)); !errors.Is(err, ErrBackoff) || !errors.Is(err, ErrNotRegistered) {
		t.Errorf("second dial at once: %v, want ErrBackoff with the reason", err)
	}
}

// TestStrangersAreRefused has clients without ALPN, without a certificate, with
// an old TLS and with plain bytes.
func TestStrangersAreRefused(t *testing.T) {
	base := loopback(t)
	l := listen(t, base, newKey(t), Options{HandshakeTimeout: 300 * time.Millisecond})
	cert, err := certificate(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]*tls.Config{
		"no alpn":        {Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true},
		"no certificate": {NextProtos: []string{alpn}, InsecureSkipVerify: true},
		"tls 1.2":        {Certificates: []tls.Certificate{cert}, NextProtos: []string{alpn}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
	}
	for name, conf := range cases {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", base.Addr().String(), conf)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 || isTimeout(err) {
				t.Fatalf("read %d bytes, %v: the stranger was let in", n, err)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		c, err := net.Dial("tcp", base.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(c); isTimeout(err) {
			t.Fatal("a silent connection outlives the handshake timeout")
		}
	})
	if n := l.Sessions(); n != 0 {
		t.Fatalf("%d sessions, want 0", n)
	}
}

func TestHTTPOverTunnelKnowsThePeer(t *testing.T) {
	serverKey, clientKey := newKey(t), newKey(t)
	base := loopback(t)
	l := listen(t, base, serverKey, Options{})
	srv := &http.Server{
		ConnContext: ConnContext,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key, ok := PeerKey(r.Context())
			sum := sha256.New()
			n, _ := io.Copy(sum, r.Body)
			fmt.Fprintf(w, "%x %v %d %x", key, ok, n, sum.Sum(nil))
		}),
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	defer wg.Wait()
	defer srv.Close()
	d := dialer(t, clientKey, Options{})
	tr := &http.Transport{DialContext: d.DialContext(direct(base, serverKey))}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	body := make([]byte, 2<<20)
	rand.Read(body)
	for range 3 {
		res, err := client.Post("http://provider/v1/x", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%x true %d %x", KeyOf(clientKey), len(body), sha256.Sum256(body))
		if string(got) != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
	if _, ok := PeerKey(context.Background()); ok {
		t.Error("PeerKey of a bare context says ok")
	}
}

// TestAbandonedReadFreesTheServer: a client that stops reading a long response
// must not leave the handler waiting for a window for ever.
func TestAbandonedReadFreesTheServer(t *testing.T) {
	serverKey := newKey(t)
	base := loopback(t)
	l := listen(t, base, serverKey, Options{MaxWindow: 256 << 10})
	done := make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.CopyN(w, neverEnding{}, 1<<30)
		done <- err
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	defer wg.Wait()
	defer srv.Close()
	d := dialer(t, newKey(t), Options{MaxWindow: 256 << 10})
	tr := &http.Transport{DialContext: d.DialContext(direct(base, serverKey))}
	res, err := (&http.Client{Transport: tr}).Get("http://provider/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(res.Body, make([]byte, 1000))
	res.Body.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("handler wrote 1 GiB to nobody")
		}
	case <-bounded(t).Done():
		t.Fatal("handler still blocked")
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// TestBackpressure: what a stream's reader does not take, the writer cannot
// push beyond the window, directly and through a router.
func TestBackpressure(t *testing.T) {
	serverKey := newKey(t)
	base := loopback(t)
	o := Options{MaxWindow: 512 << 10}
	l := listen(t, base, serverKey, o)
	r := router(t, loopback(t), o)
	_ = l.Register(r.Addr().String())
	if err := l.Registered(bounded(t), r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to    Target
		limit int64
	}{
		"direct": {direct(base, serverKey), 1 << 20},
		// inner window, splice buffers, two windows of the router leg, kernel
		"routed": {routed(r.Addr().String(), serverKey), 24 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			d := dialer(t, newKey(t), o)
			s, err := d.Dial(bounded(t), c.to)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var written atomic.Int64
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				buf := make([]byte, 64<<10)
				for {
					_ = s.SetWriteDeadline(time.Now().Add(time.Second))
					n, err := s.Write(buf)
					written.Add(int64(n))
					if err != nil {
						return
					}
				}
			}()
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			<-stopped
			if n := written.Load(); n > c.limit || n == 0 {
				t.Errorf("writer pushed %d bytes into an idle reader, limit %d", n, c.limit)
			}
			if got, err := io.CopyN(io.Discard, far, written.Load()); err != nil {
				t.Errorf("reader got %d of %d bytes: %v", got, written.Load(), err)
			}
			far.Close()
		})
	}
}

// TestHalfOpenIsNoticed: the link dies without a FIN; keepalive ends the
// session on both sides and the dialer makes a new one.
func TestHalfOpenIsNoticed(t *testing.T) {
	serverKey := newKey(t)
	base := loopback(t)
	o := Options{KeepAlive: 250 * time.Millisecond, WriteTimeout: time.Second, MinBackoff: time.Millisecond}
	l := listen(t, base, serverKey, o)
	echo(t, l)
	link := newLink(t, base.Addr().String())
	d := dialer(t, newKey(t), o)
	to := Target{Endpoint: Endpoint{Scheme: SchemeTCP, Addr: link.addr()}, Peer: KeyOf(serverKey)}
	if err := exchange(bounded(t), d, to, 1000); err != nil {
		t.Fatal(err)
	}
	s, err := d.Dial(bounded(t), to)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	link.freeze()
	_ = s.SetReadDeadline(time.Now().Add(patience))
	if _, err := s.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Fatalf("read on a dead link: %v, want the session to end", err)
	}
	waitFor(t, "server to drop the dead session", func() bool { return l.Sessions() == 0 })
	link.thaw()
	waitFor(t, "a new session", func() bool { return exchange(bounded(t), d, to, 1000) == nil })
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestSessionLimit(t *testing.T) {
	serverKey := newKey(t)
	base := loopback(t)
	l := listen(t, base, serverKey, Options{MaxSessions: 1})
	echo(t, l)
	d1, d2 := dialer(t, newKey(t), Options{}), dialer(t, newKey(t), Options{})
	if err := exchange(bounded(t), d1, direct(base, serverKey), 10); err != nil {
		t.Fatal(err)
	}
	if err := exchange(bounded(t), d2, direct(base, serverKey), 10); err == nil {
		t.Fatal("a second session was let in")
	}
}

func TestParseEndpoint(t *testing.T) {
	key := strings.Repeat("ab", 32)
	good := []string{"tcp://127.0.0.1:1", "tcp://host.example:65535", "tcp://[::1]:80", "router://h:7000/" + key}
	for _, text := range good {
		e, err := ParseEndpoint(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if e.String() != text {
			t.Errorf("%s: prints as %s", text, e)
		}
		if e.Scheme == SchemeRouter && hex.EncodeToString(e.Key[:]) != key {
			t.Errorf("%s: key %x", text, e.Key)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no scheme": "h:1", "other scheme": "http://h:1", "no port": "tcp://h",
		"port 0": "tcp://h:0", "port too high": "tcp://h:65536", "port padded": "tcp://h:01",
		"no host": "tcp://:1", "tcp with path": "tcp://h:1/", "router without key": "router://h:1",
		"short key": "router://h:1/ab", "upper key": "router://h:1/" + strings.ToUpper(key),
		"key with tail": "router://h:1/" + key + "/", "not hex": "router://h:1/" + strings.Repeat("zz", 32),
		"space": "tcp://a b:1", "too long": "tcp://" + strings.Repeat("h", 300) + ":1",
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := ParseEndpoint(text); err == nil {
				t.Errorf("%q parsed as %v", text, e)
			}
		})
	}
}

func TestBackoffStaysInBounds(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: 2 * time.Second}
	var last time.Duration
	for i := range 100 {
		last = b.next()
		if last < 50*time.Millisecond || last > 2*time.Second {
			t.Fatalf("wait %d is %s", i, last)
		}
	}
	if last < time.Second {
		t.Errorf("wait 100 is %s, want at least half of the maximum", last)
	}
}
