package tunnel

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"github.com/grange-network/grange/internal/peerlimit"
)

// Options bounds what a tunnel end spends. The zero value of a field is its
// default.
type Options struct {
	// HandshakeTimeout bounds dial, TLS and hello together. Default 10 s.
	HandshakeTimeout time.Duration
	// KeepAlive is the interval of pings on a silent session; a peer that does
	// not answer within WriteTimeout is closed. Default 15 s.
	KeepAlive time.Duration
	// WriteTimeout is how long the connection below may take no bytes, or a
	// ping no answer, before the session is closed. Default 10 s.
	WriteTimeout time.Duration
	// MaxSessions bounds the sessions of a Listener or a Router. Default 4096.
	MaxSessions int
	// MaxHandshakes bounds the handshakes under way at a time. Default 256.
	MaxHandshakes int
	// MaxStreams bounds the streams of one session that the peer opened.
	// Default 256.
	MaxStreams int
	// MaxWindow is the most bytes one stream may have under way to us. It
	// starts at 1 MiB and grows while the round trip asks for it. Default
	// 16 MiB.
	MaxWindow uint32
	// MaxBuffer bounds Σ of grown windows of one session. Default 128 MiB.
	MaxBuffer int64
	// MinBackoff and MaxBackoff bound the jittered wait between dials to a peer
	// that does not answer. Defaults 100 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration
	// Limit is how many connections one address may open to a Listener or a
	// Router; those beyond it are closed unanswered. Default 50 a second, 200 at
	// once, loopback free. A negative PerSecond lifts it.
	Limit peerlimit.Rate
	// Log receives session events. Default: none.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.HandshakeTimeout, 10*time.Second)
	setDefault(&o.KeepAlive, 15*time.Second)
	setDefault(&o.WriteTimeout, 10*time.Second)
	setDefault(&o.MaxSessions, 4096)
	setDefault(&o.MaxHandshakes, 256)
	setDefault(&o.MaxStreams, 256)
	setDefault(&o.MaxWindow, 16<<20)
	setDefault(&o.MaxBuffer, 128<<20)
	setDefault(&o.MinBackoff, 100*time.Millisecond)
	setDefault(&o.MaxBackoff, 10*time.Second)
	if o.Limit.PerSecond == 0 {
		o.Limit.PerSecond, o.Limit.Burst = 50, 200
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// initialWindow is what a stream may send before the window grows.
const initialWindow = 1 << 20

// newSession puts yamux on conn. The dialling side is the client.
func newSession(conn net.Conn, client bool, o Options) (*yamux.Session, error) {
	conf := &yamux.Config{
		AcceptBacklog:           max(o.MaxStreams, 1),
		PingBacklog:             32,
		EnableKeepAlive:         true,
		KeepAliveInterval:       o.KeepAlive,
		MeasureRTTInterval:      30 * time.Second,
		ConnectionWriteTimeout:  o.WriteTimeout,
		MaxIncomingStreams:      uint32(o.MaxStreams),
		InitialStreamWindowSize: min(initialWindow, o.MaxWindow),
		MaxStreamWindowSize:     o.MaxWindow,
		LogOutput:               logWriter{o.Log},
		ReadBufSize:             64 << 10,
		MaxMessageSize:          64 << 10,
	}
	budget := &windowBudget{limit: o.MaxBuffer}
	newSpan := func() (yamux.MemoryManager, error) { return &span{budget: budget}, nil }
	if client {
		return yamux.Client(conn, conf, newSpan)
	}
	return yamux.Server(conn, conf, newSpan)
}

// windowBudget is the memory that the grown windows of one session share.
type windowBudget struct {
	limit int64
	used  atomic.Int64
}

// span is one stream's part of a windowBudget.
type span struct {
	budget *windowBudget
	held   atomic.Int64
}

// ReserveMemory refuses growth beyond the budget. The first window of a stream
// (priority 255) is always granted: yamux ends the session otherwise, and the
// number of streams is bounded already.
func (s *span) ReserveMemory(size int, priority uint8) error {
	used := s.budget.used.Add(int64(size))
	if used > s.budget.limit && priority != 255 {
		s.budget.used.Add(-int64(size))
		return errWindowBudget
	}
	s.held.Add(int64(size))
	return nil
}

// ReleaseMemory gives size bytes back.
func (s *span) ReleaseMemory(size int) {
	s.held.Add(-int64(size))
	s.budget.used.Add(-int64(size))
}

// Done gives back all that is held.
func (s *span) Done() { s.budget.used.Add(-s.held.Swap(0)) }

var errWindowBudget = &yamux.Error{}

// logWriter turns yamux's log lines into debug records.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Debug("yamux", "line", string(bytes.TrimSpace(line)))
	return len(line), nil
}

// Conn is one stream: a net.Conn that knows the key its peer has proved.
type Conn struct {
	*yamux.Stream
	peer PublicKey
}

// PeerKey returns the ed25519 public key that the peer has proved.
func (c *Conn) PeerKey() PublicKey { return c.peer }

// Close ends both directions. What was written is still delivered; a peer that
// goes on writing gets an error instead of waiting for a window for ever, which
// is what a plain yamux close would leave it with.
func (c *Conn) Close() error {
	err := c.Stream.CloseWrite()
	_ = c.Stream.Reset()
	return err
}

type peerKey struct{}

// ConnContext is for http.Server.ConnContext: it makes the peer's key of a
// tunnel stream available to handlers through PeerKey.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*Conn); ok {
		return context.WithValue(ctx, peerKey{}, c.peer)
	}
	return ctx
}

// PeerKey returns the key of the peer whose request ctx belongs to, and false
// when the request did not come through a tunnel.
func PeerKey(ctx context.Context) (PublicKey, bool) {
	key, ok := ctx.Value(peerKey{}).(PublicKey)
	return key, ok
}
