package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/grange-network/grange/internal/peerlimit"
)

// Limits of ServeHTTP where the server sets none.
const (
	headWithin  = 10 * time.Second
	maxHead     = 64 << 10 // bytes
	drainWithin = 3 * time.Second
)

// ServeHTTP serves on l until ctx ends, then lets requests finish for 3 s. Each
// address may ask as often as rate says, and connect four times as often. It owns and closes l.
func ServeHTTP(ctx context.Context, l net.Listener, srv *http.Server, rate peerlimit.Rate) error {
	srv.Handler = peerlimit.New(rate).Handler(srv.Handler)
	// Who never finishes a request asks for nothing: he may not connect much more often.
	l = peerlimit.New(peerlimit.Rate{PerSecond: 4 * rate.PerSecond, Burst: 4 * rate.Burst, Loopback: rate.Loopback}).Listener(l)
	if srv.ReadHeaderTimeout == 0 {
		srv.ReadHeaderTimeout = headWithin
	}
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = maxHead
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	if srv.Shutdown(last) != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
