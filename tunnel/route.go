package tunnel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// route is a registration with one router that the Listener keeps up.
type route struct {
	addr   string
	cancel context.CancelFunc

	mu  sync.Mutex
	up  bool
	err error
	ch  chan struct{} // closed and renewed at each change
}

func (r *route) set(up bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up, r.err = up, err
	close(r.ch)
	r.ch = make(chan struct{})
}

func (r *route) state() (up bool, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up, r.ch, r.err
}

// Register keeps this listener registered by its key with the router at addr
// (host:port): it dials out, serves the streams that come back, and dials again
// with jittered backoff when the router goes away, until Close. Registering the
// same address twice is one registration.
func (l *Listener) Register(addr string) error {
	if err := checkAddr(addr); err != nil {
		return fmt.Errorf("register with router %q: %w", addr, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return net.ErrClosed
	}
	if _, ok := l.routes[addr]; ok {
		return nil
	}
	ctx, cancel := context.WithCancel(l.ctx)
	r := &route{addr: addr, cancel: cancel, ch: make(chan struct{})}
	l.routes[addr] = r
	l.wg.Go(func() { l.keepRoute(ctx, r) })
	return nil
}

// Registered waits until the registration with the router at addr is up. It
// returns the last reason it was not when ctx ends first.
func (l *Listener) Registered(ctx context.Context, addr string) error {
	l.mu.Lock()
	r := l.routes[addr]
	l.mu.Unlock()
	if r == nil {
		return fmt.Errorf("wait for router %s: not registered with it", addr)
	}
	for {
		up, changed, err := r.state()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return net.ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("wait for router %s: %w", addr, errors.Join(ctx.Err(), err))
		}
	}
}

func (l *Listener) keepRoute(ctx context.Context, r *route) {
	defer r.cancel()
	wait := backoff{min: l.opts.MinBackoff, max: l.opts.MaxBackoff}
	for ctx.Err() == nil {
		began := time.Now()
		err := l.serveRoute(ctx, r)
		r.set(false, err)
		if time.Since(began) > l.opts.MaxBackoff {
			wait.reset()
		}
		pause := wait.next()
		l.opts.Log.Info("router lost", "router", r.addr, "err", err, "retry_in", pause)
		sleep(ctx, pause)
	}
}

// serveRoute registers once and serves until the session ends.
func (l *Listener) serveRoute(ctx context.Context, r *route) error {
	dialCtx, cancel := context.WithTimeout(ctx, l.opts.HandshakeTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(dialCtx, "tcp", r.addr)
	if err != nil {
		return err
	}
	conn, _, err := handshake(dialCtx, raw, true, tlsConfig(l.cert, nil), l.opts.HandshakeTimeout)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(l.opts.HandshakeTimeout))
	if err := askRouter(conn, hello{kind: helloRegister, key: l.key}); err != nil {
		conn.Close()
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	session, err := newSession(conn, false, l.opts)
	if err != nil {
		conn.Close()
		return err
	}
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer session.Close()
	defer stop()
	l.opts.Log.Info("router registered", "router", r.addr)
	r.set(true, nil)
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return err
		}
		l.serve(&Conn{Stream: stream})
	}
}

// backoff doubles from min to max and spreads each wait over its upper half, so
// that peers that lost the same router do not return together.
type backoff struct {
	min, max, cur time.Duration
}

func (b *backoff) reset() { b.cur = 0 }

func (b *backoff) next() time.Duration {
	b.cur = min(max(2*b.cur, b.min), b.max)
	return b.cur/2 + time.Duration(rand.Int64N(int64(b.cur/2)+1))
}

// KeyOf returns the identity that a private key proves.
func KeyOf(key ed25519.PrivateKey) PublicKey {
	return PublicKey(key.Public().(ed25519.PublicKey))
}
