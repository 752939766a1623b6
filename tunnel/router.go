package tunnel

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"github.com/grange-network/grange/internal/peerlimit"
)

// Router joins peers that dial it to peers that registered with it. It sees who
// talks to whom and how much, and none of the content: the two ends run their
// own TLS inside the bytes it splices.
type Router struct {
	opts    Options
	cert    tls.Certificate
	base    net.Listener
	shaking chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	peers map[PublicKey]*registration
	conns int // registered sessions and splices
}

// registration is a peer that is reached through the router. It is known from
// before the peer is told so; session is set, or nil for good, when ready closes.
type registration struct {
	ready   chan struct{}
	session *yamux.Session
}

// NewRouter serves base with the identity key until Close. Options.MaxSessions
// bounds registrations and splices together, Options.MaxStreams the splices to
// one registered peer.
func NewRouter(base net.Listener, key ed25519.PrivateKey, opts Options) (*Router, error) {
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	base = peerlimit.New(opts.Limit).Listener(base)
	ctx, cancel := context.WithCancel(context.Background())
	r := &Router{
		opts: opts, cert: cert, base: base, ctx: ctx, cancel: cancel,
		shaking: make(chan struct{}, opts.MaxHandshakes),
		peers:   map[PublicKey]*registration{},
	}
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is the address the router listens on.
func (r *Router) Addr() net.Addr { return r.base.Addr() }

// Peers returns how many peers are registered.
func (r *Router) Peers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.peers)
}

// Close ends every registration and splice and waits for their goroutines.
func (r *Router) Close() error {
	r.cancel()
	err := r.base.Close()
	r.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *Router) accept() {
	var wait time.Duration
	for {
		raw, err := r.base.Accept()
		if err != nil {
			if r.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			r.opts.Log.Warn("accept failed", "err", err, "wait", wait)
			if !sleep(r.ctx, wait) {
				return
			}
			continue
		}
		wait = 0
		select {
		case r.shaking <- struct{}{}:
			r.wg.Go(func() { r.serve(raw) })
		default:
			raw.Close()
		}
	}
}

// serve reads the hello of one connection and does what it asks.
func (r *Router) serve(raw net.Conn) {
	conn, peer, h, err := r.greet(raw)
	<-r.shaking
	if err != nil {
		r.opts.Log.Debug("connection refused", "remote", raw.RemoteAddr(), "err", err)
		return
	}
	stop := context.AfterFunc(r.ctx, func() { raw.Close() })
	defer stop()
	defer conn.Close()
	if !r.take() {
		_ = r.answer(conn, statusFull)
		return
	}
	defer r.give()
	switch {
	case h.kind == helloDial:
		r.splice(conn, h.key)
	case h.key == peer:
		r.register(conn, peer)
	default:
		_ = r.answer(conn, statusRefused)
	}
}

func (r *Router) greet(raw net.Conn) (*tls.Conn, PublicKey, hello, error) {
	conn, peer, err := handshake(r.ctx, raw, false, tlsConfig(r.cert, nil), r.opts.HandshakeTimeout)
	if err != nil {
		return nil, peer, hello{}, err
	}
	_ = conn.SetDeadline(time.Now().Add(r.opts.HandshakeTimeout))
	h, err := readHello(conn)
	if err != nil {
		conn.Close()
		return nil, peer, hello{}, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, peer, h, nil
}

func (r *Router) answer(conn net.Conn, status byte) error {
	frame := encodeAnswer(status)
	_ = conn.SetWriteDeadline(time.Now().Add(r.opts.WriteTimeout))
	if _, err := conn.Write(frame[:]); err != nil {
		return fmt.Errorf("answer peer: %w", err)
	}
	return conn.SetWriteDeadline(time.Time{})
}

func (r *Router) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns >= r.opts.MaxSessions {
		return false
	}
	r.conns++
	return true
}

func (r *Router) give() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns--
}

// register keeps peer's session until it ends. A newer registration of the same
// key replaces an older one: the older is most likely a dead connection that
// has not been noticed yet.
func (r *Router) register(conn *tls.Conn, peer PublicKey) {
	reg := &registration{ready: make(chan struct{})}
	r.mu.Lock()
	old := r.peers[peer]
	r.peers[peer] = reg
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.peers[peer] == reg {
			delete(r.peers, peer)
		}
	}()
	err := r.answer(conn, statusOK)
	if err == nil {
		reg.session, err = newSession(conn, true, r.opts)
	}
	close(reg.ready)
	if old != nil {
		<-old.ready
		if old.session != nil {
			old.session.Close()
		}
	}
	if err != nil {
		return
	}
	defer reg.session.Close()
	r.opts.Log.Info("peer registered", "peer", fmt.Sprintf("%x", peer), "remote", conn.RemoteAddr())
	select {
	case <-reg.session.CloseChan():
	case <-r.ctx.Done():
	}
}

// registered returns the session of a registered peer, nil when there is none.
func (r *Router) registered(key PublicKey) *yamux.Session {
	r.mu.Lock()
	reg := r.peers[key]
	r.mu.Unlock()
	if reg == nil {
		return nil
	}
	select {
	case <-reg.ready:
		return reg.session
	case <-r.ctx.Done():
		return nil
	}
}

// splice joins conn with a new stream to the peer registered as key.
func (r *Router) splice(conn *tls.Conn, key PublicKey) {
	session := r.registered(key)
	if session == nil {
		_ = r.answer(conn, statusUnknown)
		return
	}
	if session.NumStreams() >= r.opts.MaxStreams {
		_ = r.answer(conn, statusFull)
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.HandshakeTimeout)
	stream, err := session.OpenStream(ctx)
	cancel()
	if err != nil {
		_ = r.answer(conn, statusUnknown)
		return
	}
	far := &Conn{Stream: stream}
	defer far.Close()
	if r.answer(conn, statusOK) != nil {
		return
	}
	join(conn, far)
}

// join copies both ways until either direction ends. The ends speak TLS with
// its own close, so half-closed splices have no use and are not kept.
func join(a, b net.Conn) {
	var wg sync.WaitGroup
	copyAll := func(dst, src net.Conn) {
		buf := make([]byte, 64<<10)
		_, _ = io.CopyBuffer(writerOnly{dst}, readerOnly{src}, buf)
		a.Close()
		b.Close()
	}
	wg.Go(func() { copyAll(a, b) })
	wg.Go(func() { copyAll(b, a) })
	wg.Wait()
}

// writerOnly and readerOnly keep io.Copy on the buffer given to it.
type writerOnly struct{ io.Writer }
type readerOnly struct{ io.Reader }
