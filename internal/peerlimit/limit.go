// Package peerlimit bounds how much one network address may ask of a public
// listener: HTTP requests, gRPC calls, new connections.
//
// It does not bound the sum over all addresses, and knows no users: what is behind
// one address, a proxy or a carrier's translation, shares one allowance. Loopback
// is free unless the limit says otherwise: what runs on this machine is its
// owner's.
package peerlimit

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxPeers bounds the addresses that are remembered. Beyond it those that wait
// for nothing are forgotten, and if there is none, strangers share one allowance.
const maxPeers = 1 << 14

// Rate is what one address may do. The zero Rate allows everything.
type Rate struct {
	PerSecond int  // sustained
	Burst     int  // at once
	Loopback  bool // bound this machine's own addresses too
}

// Limiter counts by address: IPv4 whole, IPv6 by its /64, which one customer has.
// It is safe for concurrent use; nil allows everything.
type Limiter struct {
	rate   Rate
	mu     sync.Mutex
	peers  map[netip.Prefix]*rate.Limiter
	others *rate.Limiter
	forgot time.Time
}

// New returns a limiter, or nil for a rate that allows everything.
func New(r Rate) *Limiter {
	if r.PerSecond <= 0 {
		return nil
	}
	r.Burst = max(r.Burst, 1)
	return &Limiter{rate: r, peers: map[netip.Prefix]*rate.Limiter{}, others: rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
}

// Allow says whether remote, a host:port, may do one thing more now. Addresses
// that are not IP, of sockets in a file system or in memory, may.
func (l *Limiter) Allow(remote string) bool {
	if l == nil {
		return true
	}
	p, err := netip.ParseAddrPort(remote)
	if err != nil {
		return true
	}
	addr := p.Addr().Unmap().WithZone("")
	if addr.IsLoopback() && !l.rate.Loopback {
		return true
	}
	return l.of(addr).Allow()
}

func (l *Limiter) of(addr netip.Addr) *rate.Limiter {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	peer := netip.PrefixFrom(addr, bits).Masked()
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.peers[peer]; known != nil {
		return known
	}
	if len(l.peers) >= maxPeers {
		l.forget()
	}
	if len(l.peers) >= maxPeers {
		return l.others
	}
	fresh := rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
	l.peers[peer] = fresh
	return fresh
}

// forget drops who has his whole allowance: a new one is the same. It looks at
// most once a second.
func (l *Limiter) forget() {
	if time.Since(l.forgot) < time.Second {
		return
	}
	l.forgot = time.Now()
	for peer, r := range l.peers {
		if r.Tokens() >= float64(l.rate.Burst) {
			delete(l.peers, peer)
		}
	}
}

// Handler answers requests beyond the limit with 429 and the seconds to wait.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Allow(r.RemoteAddr) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests from your address: at most "+strconv.Itoa(l.rate.PerSecond)+" a second, wait and ask again", http.StatusTooManyRequests)
	})
}

// Listener closes new connections beyond the limit at once.
func (l *Limiter) Listener(base net.Listener) net.Listener {
	if l == nil {
		return base
	}
	return &listener{Listener: base, limit: l}
}

type listener struct {
	net.Listener
	limit *Limiter
}

// Accept returns the next connection that is within the limit.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.limit.Allow(c.RemoteAddr().String()) {
			return c, err
		}
		c.Close()
	}
}
