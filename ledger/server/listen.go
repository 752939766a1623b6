package server

import (
	"fmt"
	"net"
	"sync"

	"github.com/grange-network/grange/internal/ports"
)

// trackedListener remembers its connections so that closing it ends them too:
// websockets are hijacked from their HTTP server, which then forgets them.
type trackedListener struct {
	net.Listener
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func listen(addr string) (*trackedListener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return &trackedListener{Listener: l, conns: map[net.Conn]struct{}{}}, nil
}

func (l *trackedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	t := &trackedConn{Conn: c, from: l}
	l.conns[t] = struct{}{}
	return t, nil
}

// Close stops accepting and closes every open connection.
func (l *trackedListener) Close() error {
	l.mu.Lock()
	l.closed = true
	open := make([]net.Conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	err := l.Listener.Close()
	for _, c := range open {
		c.Close()
	}
	return err
}

type trackedConn struct {
	net.Conn
	from *trackedListener
}

func (c *trackedConn) Close() error {
	c.from.mu.Lock()
	delete(c.from.conns, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// freePort replaces port 0 in addr by one that is free now. Somebody else may
// take it before it is used; CometBFT opens its p2p socket itself.
func freePort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	return ports.FreeAddr(host)
}
