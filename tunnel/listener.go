package tunnel

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"github.com/grange-network/grange/internal/peerlimit"
)

// Listener accepts streams of any peer that proves a key. It is a net.Listener
// whose connections are *Conn. Who the peer may be is for the server to decide.
type Listener struct {
	opts    Options
	cert    tls.Certificate
	key     PublicKey
	base    net.Listener // nil when only routers are served
	streams chan net.Conn
	shaking chan struct{} // one token per handshake under way

	ctx    context.Context // done when the listener is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	sessions map[*yamux.Session]struct{}
	routes   map[string]*route
}

// Listen serves streams of sessions accepted from base with the identity key.
// base may be nil for a peer that is reached through routers only. Close closes
// base.
func Listen(base net.Listener, key ed25519.PrivateKey, opts Options) (*Listener, error) {
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	if base != nil {
		base = peerlimit.New(opts.Limit).Listener(base)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{
		opts: opts, cert: cert, base: base, ctx: ctx, cancel: cancel,
		key:      PublicKey(key.Public().(ed25519.PublicKey)),
		streams:  make(chan net.Conn),
		shaking:  make(chan struct{}, opts.MaxHandshakes),
		sessions: map[*yamux.Session]struct{}{},
		routes:   map[string]*route{},
	}
	if base != nil {
		l.wg.Go(l.acceptBase)
	}
	return l, nil
}

// Accept returns the next stream, or net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.streams:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr is the address of the base listener, or the key of a listener without.
func (l *Listener) Addr() net.Addr {
	if l.base != nil {
		return l.base.Addr()
	}
	return keyAddr(l.key)
}

// Close ends all sessions and registrations and waits for their goroutines.
func (l *Listener) Close() error {
	l.cancel()
	var err error
	if l.base != nil {
		err = l.base.Close()
	}
	l.mu.Lock()
	open := make([]*yamux.Session, 0, len(l.sessions))
	for s := range l.sessions {
		open = append(open, s)
	}
	l.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	l.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Sessions returns how many sessions are open.
func (l *Listener) Sessions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sessions)
}

func (l *Listener) acceptBase() {
	var wait time.Duration
	for {
		raw, err := l.base.Accept()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors and the like: pause, do not spin.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			l.opts.Log.Warn("accept failed", "err", err, "wait", wait)
			if !sleep(l.ctx, wait) {
				return
			}
			continue
		}
		wait = 0
		l.serve(raw)
	}
}

// serve takes raw over: handshake, then streams, in a goroutine of its own. It
// drops raw at once when too many handshakes are under way.
func (l *Listener) serve(raw net.Conn) {
	select {
	case l.shaking <- struct{}{}:
	default:
		l.opts.Log.Warn("too many handshakes under way", "remote", raw.RemoteAddr())
		raw.Close()
		return
	}
	l.wg.Go(func() {
		session, peer, err := l.open(raw)
		<-l.shaking
		if err != nil {
			l.opts.Log.Debug("session refused", "remote", raw.RemoteAddr(), "err", err)
			return
		}
		l.acceptStreams(session, peer)
		session.Close()
		l.mu.Lock()
		delete(l.sessions, session)
		l.mu.Unlock()
	})
}

// open makes raw a session that is in l.sessions, or closes raw.
func (l *Listener) open(raw net.Conn) (*yamux.Session, PublicKey, error) {
	conn, peer, err := handshake(l.ctx, raw, false, tlsConfig(l.cert, nil), l.opts.HandshakeTimeout)
	if err != nil {
		return nil, peer, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil || len(l.sessions) >= l.opts.MaxSessions {
		conn.Close()
		return nil, peer, errors.New("too many sessions")
	}
	session, err := newSession(conn, false, l.opts)
	if err != nil {
		conn.Close()
		return nil, peer, err
	}
	l.sessions[session] = struct{}{}
	return session, peer, nil
}

func (l *Listener) acceptStreams(session *yamux.Session, peer PublicKey) {
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		select {
		case l.streams <- &Conn{Stream: stream, peer: peer}:
		case <-l.ctx.Done():
			_ = stream.Reset()
			return
		}
	}
}

type keyAddr PublicKey

func (keyAddr) Network() string  { return SchemeRouter }
func (a keyAddr) String() string { return Endpoint{Scheme: SchemeRouter, Addr: "-", Key: a}.String() }

// sleep waits d, or returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
