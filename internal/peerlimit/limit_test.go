package peerlimit_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/grange-network/grange/internal/peerlimit"
)

// allowed is how many of n tries at once get through.
func allowed(l *peerlimit.Limiter, n int, from func(i int) string) (ok int) {
	for i := range n {
		if l.Allow(from(i)) {
			ok++
		}
	}
	return ok
}

func TestAllow(t *testing.T) {
	same := func(addr string) func(int) string { return func(int) string { return addr } }
	slow := peerlimit.Rate{PerSecond: 1, Burst: 5}
	own := slow
	own.Loopback = true
	for _, c := range []struct {
		name     string
		rate     peerlimit.Rate
		from     func(int) string
		min, max int // of 1000
	}{
		{"one address", slow, same("192.0.2.1:1000"), 5, 50},
		{"other ports are the same peer", slow, func(i int) string { return fmt.Sprintf("192.0.2.1:%d", 1000+i) }, 5, 50},
		{"one IPv6 network", slow, func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) }, 5, 50},
		{"IPv4 written as IPv6", slow, func(i int) string { return [...]string{"192.0.2.1:1", "[::ffff:192.0.2.1]:1"}[i%2] }, 5, 50},
		{"many addresses", slow, func(i int) string { return fmt.Sprintf("192.0.%d.%d:1", i/250, i%250) }, 1000, 1000},
		{"loopback is free", slow, same("127.0.0.1:1"), 1000, 1000},
		{"loopback when asked", own, same("127.0.0.1:1"), 5, 50},
		{"no rate", peerlimit.Rate{}, same("192.0.2.1:1"), 1000, 1000},
		{"no IP", slow, same("@"), 1000, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := allowed(peerlimit.New(c.rate), 1000, c.from); got < c.min || got > c.max {
				t.Fatalf("%d of 1000 allowed, want %d to %d", got, c.min, c.max)
			}
		})
	}
}

func TestHandlerAnswers429(t *testing.T) {
	l := peerlimit.New(peerlimit.Rate{PerSecond: 1, Burst: 2, Loopback: true})
	s := httptest.NewServer(l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer s.Close()
	codes := map[int]int{}
	for range 20 {
		resp, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		codes[resp.StatusCode]++
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	if codes[200] < 2 || codes[429] == 0 {
		t.Fatalf("codes %v, want at least 2 of 200 and some of 429", codes)
	}
}

func TestListenerClosesAtOnce(t *testing.T) {
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := peerlimit.New(peerlimit.Rate{PerSecond: 1, Burst: 1, Loopback: true}).Listener(base)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	first, err := net.Dial("tcp", base.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	(<-accepted).Close()
	second, err := net.Dial("tcp", base.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if n, err := second.Read(make([]byte, 1)); err == nil {
		t.Fatalf("read %d bytes of a connection beyond the limit", n)
	}
	base.Close()
	<-accepted
}
