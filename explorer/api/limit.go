package api

import (
	"net"
	"sync"
	"time"
)

// limiter lets each address ask at a rate, with a burst: a bucket that fills.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// maxBuckets bounds the addresses that are remembered; full buckets go first.
const maxBuckets = 50_000

func newLimiter(rate, burst int) *limiter {
	return &limiter{rate: float64(rate), burst: float64(burst), buckets: map[string]*bucket{}}
}

// take returns 0 if the address may ask now, or how long to wait. An IPv6 address
// counts with its whole /64.
func (l *limiter) take(remote string, now time.Time) time.Duration {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		host = ip.Mask(net.CIDRMask(64, 128)).String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[host]
	if !ok {
		l.forget(now)
		b = &bucket{l.burst, now}
		l.buckets[host] = b
	}
	b.left = min(l.burst, b.left+now.Sub(b.at).Seconds()*l.rate)
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / l.rate * float64(time.Second))
	}
	b.left--
	return 0
}

// forget drops addresses that have been quiet, and anybody when that is not
// enough.
func (l *limiter) forget(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for host, b := range l.buckets {
		if b.left+now.Sub(b.at).Seconds()*l.rate >= l.burst {
			delete(l.buckets, host)
		}
	}
	for host := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, host)
	}
}
