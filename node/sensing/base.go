package sensing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// Base hands a GNSS receiver's stream to a caster and signs its minutes.
type Base struct {
	Dir     string // of its log
	Key     Key
	ChainID string
	Gateway string // URL, where the minutes go
	Source  Source
	Caster  string // host:port; empty: the stream goes nowhere
	Mount   string
	Old     bool // NTRIP version 1
	Logger  *slog.Logger
}

// Source opens a receiver's stream.
type Source func(ctx context.Context) (io.ReadCloser, error)

// ErrSource says that a text is no source.
var ErrSource = errors.New("want a file, a serial device, -, tcp://HOST:PORT or ntrip://USER:PASSWORD@HOST:PORT/MOUNT")

// ParseSource reads where a stream comes from. The speed of a serial device is set
// outside, with stty.
func ParseSource(text string, stdin io.Reader) (Source, error) {
	switch {
	case text == "":
		return nil, ErrSource
	case text == "-":
		return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(stdin), nil }, nil
	case !strings.Contains(text, "://"):
		return func(context.Context) (io.ReadCloser, error) { return os.Open(text) }, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Port() == "" {
		return nil, fmt.Errorf("source %q: %w", text, ErrSource)
	}
	switch u.Scheme {
	case "tcp":
		return func(ctx context.Context) (io.ReadCloser, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", u.Host)
		}, nil
	case "ntrip":
		password, _ := u.User.Password()
		t := ntrip.Target{Addr: u.Host, Mount: strings.TrimPrefix(u.Path, "/"), Name: u.User.Username(), Password: password}
		return func(ctx context.Context) (io.ReadCloser, error) { return ntrip.Pull(ctx, t) }, nil
	}
	return nil, fmt.Errorf("source %q: %w", text, ErrSource)
}

const (
	retryFirst = time.Second
	retryLast  = time.Minute
	// idle is how long a receiver may say nothing before it is opened again.
	idle = time.Minute
)

// Run hands the stream on until ctx ends, or until a source without an end of its
// own, a file, is read.
func (b Base) Run(ctx context.Context) error {
	s, err := sidecar.Open(sidecar.Config{Dir: b.Dir, ChainID: b.ChainID, Signer: b.Key, Gateway: b.Gateway, Logger: b.Logger})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	given := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handed := make(chan error, 1)
	go func() {
		handed <- s.Run(ctx)
		cancel()
	}()
	x := &basing{Base: b, sidecar: s, recorder: gnss.Recorder{Mount: b.Mount}}
	err = x.run(ctx)
	x.hangUp()
	cancel()
	err = errors.Join(err, <-handed)
	if err == nil && given.Err() == nil { // the source has ended: so must what was signed of it
		err = s.Flush(given)
	}
	return err
}

// basing is a base at work.
type basing struct {
	Base
	sidecar  *sidecar.Sidecar
	recorder gnss.Recorder
	out      io.WriteCloser
	next     time.Time // when the caster is tried again
	retry    time.Duration
}

func (x *basing) run(ctx context.Context) error {
	for retry := retryFirst; ; {
		in, err := x.Source(ctx)
		if err == nil {
			began := time.Now()
			err = x.stream(ctx, in)
			_ = in.Close()
			if time.Since(began) > idle {
				retry = retryFirst
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return x.report(ctx, x.recorder.Tick(time.Now().Add(time.Minute)))
		}
		x.Logger.Warn("receiver's stream ended", "retry", retry, "err", err)
		wait(ctx, retry)
		retry = min(2*retry, retryLast)
	}
}

// stream hands frames on until the source ends: io.EOF for a file.
func (x *basing) stream(ctx context.Context, in io.ReadCloser) error {
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	conn, live := in.(net.Conn)
	scan := rtcm.NewScanner(in)
	for {
		if live {
			_ = conn.SetReadDeadline(time.Now().Add(idle))
		}
		f, err := scan.Next()
		if errors.Is(err, io.EOF) && live {
			return errors.New("the receiver hung up")
		}
		if err != nil {
			return err
		}
		x.push(ctx, f.Raw)
		if err := x.report(ctx, x.recorder.Frame(f, time.Now())); err != nil {
			return err
		}
	}
}

func (x *basing) report(ctx context.Context, m *gnss.Minute) error {
	if m == nil {
		return nil
	}
	p, err := m.Encode()
	if err != nil {
		x.Logger.Error("a minute cannot be written", "err", err)
		return nil
	}
	_, err = x.sidecar.ReportPayload(ctx, gnss.Content, p)
	return err
}

// push sends a frame to the caster. One that is away holds nothing up: what it
// misses is lost, as every stream is.
func (x *basing) push(ctx context.Context, raw []byte) {
	if x.Caster == "" {
		return
	}
	if x.out == nil && !time.Now().Before(x.next) {
		x.dial(ctx)
	}
	if x.out == nil {
		return
	}
	if _, err := x.out.Write(raw); err != nil {
		x.Logger.Warn("caster hung up", "caster", x.Caster, "err", err)
		x.hangUp()
	}
}

func (x *basing) dial(ctx context.Context) {
	password, err := ingest.Password(x.Key, x.ChainID, time.Now())
	if err == nil {
		t := ntrip.Target{Addr: x.Caster, Mount: x.Mount, Name: x.Key.PublicKey().ID().String(), Password: password, Old: x.Old}
		if x.Old {
			t.Password = t.Name + "." + password
		}
		x.out, err = ntrip.Push(ctx, t)
	}
	if err == nil {
		x.retry = 0
		return
	}
	x.retry = min(max(2*x.retry, retryFirst), retryLast)
	x.next = time.Now().Add(x.retry)
	x.Logger.Warn("caster does not take the stream", "retry", x.retry, "err", err)
}

func (x *basing) hangUp() {
	if x.out != nil {
		_ = x.out.Close()
		x.out = nil
	}
}
