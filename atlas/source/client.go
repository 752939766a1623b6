package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Errors of asking.
var (
	ErrUnavailable = errors.New("source unavailable")       // no usable answer after every attempt
	ErrDrift       = errors.New("source changed its shape") // an answer that lacks what it must have
	ErrConfig      = errors.New("source configuration")
)

// The limits of asking.
const (
	MaxBody     = 8 << 20          // bytes of an answer
	Attempts    = 4                // requests for one answer
	MaxWait     = 90 * time.Second // longest pause between two of them
	Timeout     = 20 * time.Second // of one request
	baseBackoff = 500 * time.Millisecond
)

// Client asks politely: at most one request per Interval and host, pauses as
// long as a busy service asks for, follows no redirect (keys would travel with
// it), and asks again only whether something changed. It is for one goroutine.
type Client struct {
	HTTP     *http.Client
	Log      *slog.Logger
	Interval time.Duration // between requests to one host
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error

	next  map[string]time.Time // by host
	known map[string]answer    // by address
}

type answer struct {
	etag string
	body []byte
}

// NewClient returns a client that asks each host at most once a second.
func NewClient(log *slog.Logger) *Client {
	return &Client{
		HTTP: &http.Client{Timeout: Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Log:  log, Interval: time.Second, Now: time.Now, Sleep: sleep,
		next: map[string]time.Time{}, known: map[string]answer{},
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Get asks for address until it answers 200 or the attempts are used up. A 4xx
// other than 429 is final at once.
func (c *Client) Get(ctx context.Context, address string, header map[string]string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("ask: %w: %w", ErrConfig, err)
	}
	if u.Scheme != "https" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("ask %s: want https: %w", u.Redacted(), ErrConfig)
	}
	var last error
	for attempt := range Attempts {
		if err := c.turn(ctx, u.Host); err != nil {
			return nil, fmt.Errorf("ask %s: %w", u.Host, err)
		}
		body, wait, err := c.once(ctx, u, header)
		if err == nil {
			return body, nil
		}
		last = err
		if wait < 0 || ctx.Err() != nil {
			break
		}
		if wait == 0 {
			wait = baseBackoff << attempt
		}
		if attempt+1 == Attempts {
			break
		}
		c.Log.Debug("source is asked again", "host", u.Host, "attempt", attempt+1, "wait", wait, "error", err)
		if err := c.Sleep(ctx, min(wait, MaxWait)); err != nil {
			return nil, fmt.Errorf("ask %s: %w", u.Host, err)
		}
	}
	return nil, fmt.Errorf("ask %s%s: %w: %w", u.Host, u.Path, ErrUnavailable, last)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// turn waits until host may be asked again.
func (c *Client) turn(ctx context.Context, host string) error {
	now := c.Now()
	if wait := c.next[host].Sub(now); wait > 0 {
		if err := c.Sleep(ctx, wait); err != nil {
			return err
		}
		now = now.Add(wait)
	}
	c.next[host] = now.Add(c.Interval)
	return ctx.Err()
}

// once asks once. wait says how long to pause before asking again: 0 leaves it
// to the caller, below 0 there is no use in asking again.
func (c *Client) once(ctx context.Context, u *url.URL, header map[string]string) (body []byte, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, -1, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "grange-atlas")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	before, asked := c.known[u.String()]
	if asked && before.etag != "" {
		req.Header.Set("If-None-Match", before.etag)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && asked:
		return before.body, 0, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return nil, retryAfter(resp.Header.Get("Retry-After"), c.Now()), fmt.Errorf("status %d", resp.StatusCode)
	case resp.StatusCode >= 500:
		return nil, 0, fmt.Errorf("status %d", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, -1, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > MaxBody {
		return nil, -1, fmt.Errorf("answer longer than %d bytes", MaxBody)
	}
	c.known[u.String()] = answer{resp.Header.Get("ETag"), body}
	return body, 0, nil
}

// retryAfter reads seconds or a date; 0 when there is neither.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return max(time.Millisecond, time.Duration(min(n, 3600))*time.Second)
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(time.Millisecond, at.Sub(now))
	}
	return 0
}
