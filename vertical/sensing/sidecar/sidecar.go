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
	"time"

	"github.com/grange-network/grange/vertical/sensing"
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
	Now     func() time.Time // nil: the clock
}

// Sidecar signs reports and hands them on.
type Sidecar struct {
	cfg   Config
	log   *wal.Log
	http  *http.Client
	ready chan struct{} // something is in the log

	places Places // of a sidecar that moves

	mu       sync.Mutex
	counter  uint64
	previous sensing.Hash
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
	l, err := wal.Open(cfg.Dir, wal.Options{MaxRecord: sensing.MaxBatch, FileBytes: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("open log of the sidecar: %w", err)
	}
	s := &Sidecar{cfg: cfg, log: l, http: &http.Client{Timeout: 30 * time.Second}, ready: make(chan struct{}, 1)}
	if next := l.Next(); next > 1 {
		for r, err := range l.Records(next - 1) {
			var b *sensing.Batch
			if err == nil {
				b, err = sensing.Open(r.Data, cfg.Signer.PublicKey(), cfg.ChainID)
			}
			if err != nil {
				_ = l.Close()
				return nil, fmt.Errorf("read the newest batch of %s: %w", cfg.Dir, err)
			}
			s.counter, s.previous = b.Counter, b.Hash
		}
	}
	return s, nil
}

// Close closes the log.
func (s *Sidecar) Close() error { return s.log.Close() }

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
	b, err := seal(s.counter+1, s.previous)
	if err != nil {
		return nil, err
	}
	if _, err := s.log.Append(ctx, b.Raw); err != nil {
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
	retry := retryMin
	next := s.log.First()
	for {
		sent, err := s.drain(ctx, next, func(err error) { s.cfg.Logger.Error("batch is left behind", "err", err) })
		next = sent
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			retry = retryMin
			select {
			case <-ctx.Done():
				return nil
			case <-s.ready:
			}
			continue
		}
		s.cfg.Logger.Warn("gateway has not taken the batch", "retry", retry, "err", err)
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
	_, err := s.drain(ctx, s.log.First(), func(err error) { refused = errors.Join(refused, err) })
	return errors.Join(err, refused)
}

// drain sends what is in the log from a position on and returns the next one. It
// tells what was refused for good and goes on.
func (s *Sidecar) drain(ctx context.Context, from uint64, refused func(error)) (uint64, error) {
	if from >= s.log.Next() {
		return from, nil
	}
	for r, err := range s.log.Records(from) {
		if err != nil {
			return from, err
		}
		switch err := s.send(ctx, r.Data); {
		case errors.Is(err, ErrRefused):
			refused(err)
		case err != nil:
			return from, err
		}
		from = r.Seq + 1
	}
	if from > kept {
		return from, s.log.TruncateBefore(from - kept)
	}
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
		return fmt.Errorf("reach gateway: %w", err)
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
	return fmt.Errorf("%w: %s: %s", ErrRefused, res.Status, a.Error)
}
