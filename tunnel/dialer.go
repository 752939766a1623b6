package tunnel

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

// Errors a caller of Dial branches on.
var (
	// ErrNotRegistered: the router is up, the peer is not registered with it.
	ErrNotRegistered = errors.New("not registered with the router")
	// ErrRouterFull: the router has reached one of its limits.
	ErrRouterFull = errors.New("router is full")
	// ErrBackoff: the last dial failed and its wait is not over.
	ErrBackoff = errors.New("waiting before the next dial")
)

// Target is whom to reach: where, and the key that must be proved there.
type Target struct {
	Endpoint Endpoint
	Peer     PublicKey
}

// Dialer keeps one session per target and opens streams on it. It proves one
// identity; make one Dialer per identity.
type Dialer struct {
	opts Options
	cert tls.Certificate

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	links map[Target]*link
}

// link is the state of one target: at most one of session and dialing is set.
type link struct {
	session *yamux.Session
	dialing chan struct{} // closed when the dial under way has ended
	err     error         // of the last dial
	notTill time.Time     // no dial before
	wait    backoff
}

// NewDialer makes a Dialer that proves key.
func NewDialer(key ed25519.PrivateKey, opts Options) (*Dialer, error) {
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Dialer{opts: opts.withDefaults(), cert: cert, ctx: ctx, cancel: cancel, links: map[Target]*link{}}, nil
}

// Dial opens a stream to t, on the session there is or on a new one. While the
// target is in backoff it fails at once with ErrBackoff and the last reason, so
// that the caller can turn to another peer.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Conn, error) {
	for attempt := 0; ; attempt++ {
		session, err := d.session(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", t.Endpoint, err)
		}
		stream, err := session.OpenStream(ctx)
		if err == nil {
			return &Conn{Stream: stream, peer: t.Peer}, nil
		}
		if ctx.Err() != nil || attempt > 0 || !session.IsClosed() {
			return nil, fmt.Errorf("open stream to %s: %w", t.Endpoint, err)
		}
	}
}

// DialContext returns a function for http.Transport.DialContext that dials t
// whatever address the request names.
func (d *Dialer) DialContext(t Target) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := d.Dial(ctx, t)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// Close ends all sessions and waits for their goroutines.
func (d *Dialer) Close() error {
	d.cancel()
	d.mu.Lock()
	var open []*yamux.Session
	for _, l := range d.links {
		if l.session != nil {
			open = append(open, l.session)
		}
	}
	d.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	d.wg.Wait()
	return nil
}

// session returns the open session to t, joins the dial under way, or starts
// one. The dial outlives the caller that started it: others may wait for it.
func (d *Dialer) session(ctx context.Context, t Target) (*yamux.Session, error) {
	for {
		d.mu.Lock()
		if d.ctx.Err() != nil {
			d.mu.Unlock()
			return nil, net.ErrClosed
		}
		l := d.links[t]
		if l == nil {
			l = &link{wait: backoff{min: d.opts.MinBackoff, max: d.opts.MaxBackoff}}
			d.links[t] = l
		}
		if l.session != nil && !l.session.IsClosed() {
			session := l.session
			d.mu.Unlock()
			return session, nil
		}
		if l.dialing == nil {
			if pause := time.Until(l.notTill); pause > 0 {
				err := fmt.Errorf("%w (%s more): %w", ErrBackoff, pause.Round(time.Millisecond), l.err)
				d.mu.Unlock()
				return nil, err
			}
			l.session, l.dialing = nil, make(chan struct{})
			d.wg.Go(func() { d.connect(t, l) })
		}
		dialing := l.dialing
		d.mu.Unlock()

		select {
		case <-dialing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		d.mu.Lock()
		session, err := l.session, l.err
		d.mu.Unlock()
		if session != nil {
			return session, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// connect dials t once and records the outcome in l.
func (d *Dialer) connect(t Target, l *link) {
	session, err := d.open(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.ctx.Err() != nil {
		session.Close()
		session, err = nil, net.ErrClosed
	}
	l.session, l.err = session, err
	if err != nil {
		l.notTill = time.Now().Add(l.wait.next())
	} else {
		l.wait.reset()
	}
	close(l.dialing)
	l.dialing = nil
}

func (d *Dialer) open(t Target) (*yamux.Session, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.HandshakeTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.Endpoint.Addr)
	if err != nil {
		return nil, err
	}
	if t.Endpoint.Scheme == SchemeRouter {
		if raw, err = d.throughRouter(ctx, raw, t.Endpoint.Key); err != nil {
			return nil, err
		}
	}
	conn, _, err := handshake(ctx, raw, true, tlsConfig(d.cert, &t.Peer), d.opts.HandshakeTimeout)
	if err != nil {
		return nil, err
	}
	session, err := newSession(conn, true, d.opts)
	if err != nil {
		conn.Close()
	}
	return session, err
}

// throughRouter asks the router on raw for key; the connection it returns leads
// to that peer, who still has to prove its key in a handshake inside.
func (d *Dialer) throughRouter(ctx context.Context, raw net.Conn, key PublicKey) (net.Conn, error) {
	conn, _, err := handshake(ctx, raw, true, tlsConfig(d.cert, nil), d.opts.HandshakeTimeout)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(d.opts.HandshakeTimeout))
	if err := askRouter(conn, hello{kind: helloDial, key: key}); err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}
