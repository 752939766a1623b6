package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/grange-network/grange/internal/peerlimit"
)

func TestServeHTTPLimitsAndLetsRequestsFinish(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop() // the request under way is answered all the same
		w.WriteHeader(http.StatusTeapot)
	})}
	served := make(chan error, 1)
	go func() { served <- ServeHTTP(ctx, l, srv, peerlimit.Rate{PerSecond: 1, Burst: 1, Loopback: true}) }()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot {
		t.Errorf("first request: %s", resp.Status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeHTTPRefusesABusyAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ServeHTTP(ctx, l, &http.Server{Handler: http.NotFoundHandler()}, peerlimit.Rate{PerSecond: 1, Burst: 1, Loopback: true})
	}()
	var got []int
	for range 3 {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got = append(got, resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got[0] != http.StatusNotFound || got[1] != http.StatusTooManyRequests && got[2] != http.StatusTooManyRequests {
		t.Errorf("three at once: %v, want the first answered and another refused", got)
	}
}

// Connections that ask for nothing are limited too.
func TestServeHTTPRefusesSilentConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ServeHTTP(ctx, l, &http.Server{Handler: http.NotFoundHandler()}, peerlimit.Rate{PerSecond: 1, Burst: 5, Loopback: true})
	}()
	var conns []net.Conn
	for range 300 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	refused := 0
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		var ne net.Error
		if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &ne) || !ne.Timeout() {
			refused++
		}
		_ = conn.Close()
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if refused == 0 {
		t.Errorf("none of %d is refused", len(conns))
	}
}
