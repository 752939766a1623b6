package gateway

import (
	"slices"
	"sync"
	"time"
)

// pulse is what the engine has seen of one provider.
type pulse struct {
	mu      sync.Mutex
	fails   int           // in a row
	since   time.Time     // of the first of them
	used    time.Time     // last attempt that ended
	latency time.Duration // smoothed time of a request; 0 is unknown
}

// ok records an answer that took d.
func (p *pulse) ok(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails, p.used = 0, time.Now()
	if p.latency == 0 {
		p.latency = d
	}
	p.latency += (d - p.latency) / 8
}

// fail records that there was no answer, or a wrong one.
func (p *pulse) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
	if p.fails++; p.fails == 1 {
		p.since = p.used
	}
}

// score is 1 for a provider that answers and falls with failures in a row.
func (p *pulse) score() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := float64(1 + min(p.fails, 30))
	return 1 / (n * n)
}

// silent is how long the provider has failed without an answer in between.
func (p *pulse) silent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails == 0 {
		return 0
	}
	return time.Since(p.since)
}

func (p *pulse) idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.used)
}

// rank orders providers for reading: failures first, then latency.
func (p *pulse) rank() (fails int, latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fails, p.latency
}

// durations remembers the last samples of one kind of request and answers for
// quantiles, to know when a request is late.
type durations struct {
	mu   sync.Mutex
	ring [128]time.Duration
	n    int
}

func (d *durations) add(v time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ring[d.n%len(d.ring)] = v
	d.n++
}

// quantile returns the q-quantile (0..1) of the samples, or fallback while
// there are fewer than 16.
func (d *durations) quantile(q float64, fallback time.Duration) time.Duration {
	d.mu.Lock()
	n := min(d.n, len(d.ring))
	sorted := slices.Clone(d.ring[:n])
	d.mu.Unlock()
	if n < 16 {
		return fallback
	}
	slices.Sort(sorted)
	return sorted[min(int(q*float64(n)), n-1)]
}

// allowance keeps hedging a small part of all requests: under load everything is
// late, and asking twice would only add to it.
type allowance struct {
	mu   sync.Mutex
	left float64
}

const (
	hedgeShare = 0.05 // of requests may be asked of somebody else for lateness
	hedgeBurst = 8
)

// earn records a request that was answered.
func (a *allowance) earn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = min(a.left+hedgeShare, hedgeBurst)
}

// spend takes one hedge, or reports that there is none.
func (a *allowance) spend() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
