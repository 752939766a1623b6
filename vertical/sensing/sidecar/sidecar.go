package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/hidden"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/wal"
)

// Config is what a sidecar needs.
type Config struct {
	Dir     string // of its log
	ChainID string
	Signer  sensing.Signer
	Gateway string // URL of the gateway, to which /v1/observations is added
	Logger  *slog.Logger
	Height  *float64         // metres above the sea of the barometer; nil: not known
	Hidden  hidden.Places    // what was observed there is taken in and not signed
	Now     func() time.Time // nil: the clock
}

// Sidecar signs reports and hands them on.
type Sidecar struct {
	cfg   Config
	http  *http.Client
	ready chan struct{} // something is in the log

	places  Places      // of a sidecar that moves
	stale   atomic.Bool // the newest reading was old when it came
	senders senders
	rain    rain

	mu       sync.Mutex
	log      *wal.Log // another after the disk failed
	counter  uint64
	previous sensing.Hash
	failed   bool      // the log took no batch: where the chain stands is what a new look says
	arrivals []arrival // one an hour
}

const (
	retryMin = time.Second
	retryMax = time.Minute
	kept     = 1 // records at the end of the log that say where the chain stands
)

// Open opens the log in cfg.Dir and finds where the device's chain stands.
func Open(cfg Config) (*Sidecar, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(cfg.Gateway); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("gateway %q is no URL, want http://HOST:PORT", cfg.Gateway)
	}
	s := &Sidecar{cfg: cfg, http: &http.Client{Timeout: 30 * time.Second}, ready: make(chan struct{}, 1)}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	s.noteArrival()
	return s, nil
}

// openLog opens the log and finds where the chain stands; s.mu is held, or nobody
// else has s.
func (s *Sidecar) openLog() error {
	l, err := wal.Open(s.cfg.Dir, wal.Options{MaxRecord: sensing.MaxBatch, FileBytes: 1 << 20})
	if errors.Is(err, wal.ErrLocked) {
		return fmt.Errorf("open log of the sidecar: %w; a station program runs with this --dir already, and a second one needs a --dir of its own: %s", err, s.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("open log of the sidecar: %w", err)
	}
	if next := l.Next(); next > 1 {
		for r, err := range l.Records(next - 1) {
			var b *sensing.Batch
			if err == nil {
				b, err = sensing.Open(r.Data, s.cfg.Signer.PublicKey(), s.cfg.ChainID)
			}
			if err != nil {
				_ = l.Close()
				return fmt.Errorf("read the newest batch of %s: %w; it may be of another network or key, give another --dir", s.cfg.Dir, err)
			}
			s.counter, s.previous = b.Counter, b.Hash
			s.rain.resume(b.Records)
		}
	}
	s.log = l
	return nil
}

// wal is the log that is open.
func (s *Sidecar) wal() *wal.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// Close closes the log.
func (s *Sidecar) Close() error { return s.wal().Close() }

// Report signs readings and returns when they are durable here.
func (s *Sidecar) Report(ctx context.Context, records []senml.Record) (*sensing.Batch, error) {
	return s.keep(ctx, func(counter uint64, previous sensing.Hash) (*sensing.Batch, error) {
		return sensing.Seal(s.cfg.Signer, s.cfg.ChainID, counter, previous, records)
	})
}

// ReportPayload signs observations in a format of their kind's own.
func (s *Sidecar) ReportPayload(ctx context.Context, content string, payload []byte) (*sensing.Batch, error) {
	return s.keep(ctx, func(counter uint64, previous sensing.Hash) (*sensing.Batch, error) {
		return sensing.SealPayload(s.cfg.Signer, s.cfg.ChainID, counter, previous, content, payload)
	})
}

func (s *Sidecar) keep(ctx context.Context, seal func(uint64, sensing.Hash) (*sensing.Batch, error)) (*sensing.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		// A disk that was full may have room again.
		if err := s.reopen(); err != nil {
			return nil, err
		}
	}
	b, err := seal(s.counter+1, s.previous)
	if err != nil {
		return nil, err
	}
	s.noteArrival()
	// A console that hangs up ends ctx. Were the batch on the disk then and its number
	// not counted, the next batch would have it too, and the device look like two.
	if _, err := s.log.Append(context.WithoutCancel(ctx), b.Raw); err != nil {
		s.failed = !errors.Is(err, wal.ErrClosed)
		return nil, fmt.Errorf("store batch %d: %w", b.Counter, err)
	}
	s.counter, s.previous = b.Counter, b.Hash
	select {
	case s.ready <- struct{}{}:
	default:
	}
	return b, nil
}

// Run hands batches to the gateway in order until ctx ends. What the gateway
// refuses for good is logged and left behind; everything else is tried again.
func (s *Sidecar) Run(ctx context.Context) error {
	retry, away, taken := retryMin, false, false
	next := s.sentUntil()
	for {
		refused := false
		sent, err := s.drain(ctx, next, func(err error) {
			refused = true
			s.cfg.Logger.Error("batch is left behind", "err", err)
		})
		some := sent > next && !refused
		next = sent
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			if some && (away || !taken) {
				s.cfg.Logger.Info("the gateway has what was reported; nothing waits", "gateway", s.cfg.Gateway)
				away, taken = false, true
			}
			retry = retryMin
			select {
			case <-ctx.Done():
				return nil
			case <-s.ready:
			}
			continue
		}
		away = true
		if old := s.tooLate(); old > next {
			s.cfg.Logger.Error("reports are lost: the gateway was away for 72 hours, and takes nothing that is older", "batches", old-next)
			next = old
			s.saveSent(next)
		}
		s.cfg.Logger.Warn("gateway has not taken the batch", "waiting", s.wal().Next()-next, "retry", retry, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
		retry = min(2*retry, retryMax)
	}
}

// Flush hands over what is in the log and returns, for programs that report and
// end; it is not for use beside Run. What the gateway refused for good is in the
// error as ErrRefused.
func (s *Sidecar) Flush(ctx context.Context) error {
	var refused error
	_, err := s.drain(ctx, s.sentUntil(), func(err error) { refused = errors.Join(refused, err) })
	return errors.Join(err, refused)
}

// drain sends what is in the log from a position on and returns the next one. It
// tells what was refused for good and goes on.
func (s *Sidecar) drain(ctx context.Context, from uint64, refused func(error)) (uint64, error) {
	l := s.wal()
	if from >= l.Next() {
		return from, nil
	}
	saved := from
	for r, err := range l.Records(from) {
		if err != nil {
			s.saveSent(from)
			return from, err
		}
		switch err := s.send(ctx, r.Data); {
		case errors.Is(err, ErrRefused):
			refused(err)
		case err != nil:
			s.saveSent(from)
			return from, err
		}
		from = r.Seq + 1
		if from-saved >= saveEvery {
			s.saveSent(from)
			saved = from
		}
	}
	s.saveSent(from)
	return from, nil
}

// ErrRefused says that the gateway will never take a batch.
var ErrRefused = errors.New("gateway refused a batch for good")

// send hands one batch over.
func (s *Sidecar) send(ctx context.Context, raw []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(s.cfg.Gateway, "/")+"/v1/observations", bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", `application/cose; cose-type="cose-sign1"`)
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach gateway: %w; reports wait on disk for 72 hours: see that it runs, and that --gateway is its URL", err)
	}
	defer func() { _ = res.Body.Close() }()
	var a struct{ Error, Code string }
	_ = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&a) // without it there is the status
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
		return fmt.Errorf("gateway says %s: %s", res.Status, a.Error)
	case a.Code == "":
		return fmt.Errorf("%s answers %s and is no gateway for observations", s.cfg.Gateway, res.Status)
	case a.Code == "unknown_device":
		return errors.New("gateway does not know the device: register it, then the readings follow")
	}
	if a.Code == "fork" || a.Code == "replay" {
		a.Error += "; if another program has the key of this --dir too, or its reports were removed or restored from a copy, give this one another --dir, where it gets a key of its own"
	}
	return fmt.Errorf("%w: %s: %s", ErrRefused, res.Status, a.Error)
}
