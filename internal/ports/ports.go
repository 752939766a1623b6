// Package ports finds TCP ports to listen on that stay free until they are used:
// they come from below the range from which systems take the local ports of
// outgoing connections. It reserves nothing.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The range that ports are taken from, without Last.
const (
	First = 20_000
	Last  = 32_000
)

// tries is how often something free is looked for.
const tries = 1000

// Try returns why nobody can listen on a port of host now, nil if one can.
func Try(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return op.Err
		}
		return err
	}
	return l.Close()
}

// Free returns a port of host that is free now.
func Free(host string) (int, error) { return Block(host, 1) }

// FreeAddr returns an address of host, "host:port", whose port is free now.
func FreeAddr(host string) (string, error) {
	port, err := Free(host)
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// Block returns the first of n consecutive ports of host that are free now.
func Block(host string, n int) (int, error) {
	if n < 1 || n > Last-First {
		return 0, fmt.Errorf("find %d free ports in a row: want 1 to %d", n, Last-First)
	}
	var err error
	for range tries {
		first := First + rand.IntN(Last-First-n+1)
		if err = TryAll(host, first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("find %d free ports in a row: %d tried: %w", n, tries, err)
}

// TryAll returns a *TakenError for the first of n consecutive ports of host that
// nobody can listen on now.
func TryAll(host string, first, n int) error {
	for port := first; port < first+n; port++ {
		if err := Try(host, port); err != nil {
			return &TakenError{Port: port, Err: err}
		}
	}
	return nil
}

// TakenError says which port cannot be listened on.
type TakenError struct {
	Port int
	Err  error // the system's
}

// Error names the port.
func (e *TakenError) Error() string { return fmt.Sprintf("listen on port %d: %v", e.Port, e.Err) }

// Unwrap returns the system's error.
func (e *TakenError) Unwrap() error { return e.Err }
