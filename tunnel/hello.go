package tunnel

import (
	"fmt"
	"io"
)

// What a peer asks of a router.
const (
	helloRegister = 1 // "streams for my key go to me": key is the peer's own
	helloDial     = 2 // "connect me to the peer with this key"
)

// What a router answers.
const (
	statusOK      = 0
	statusUnknown = 1 // no such key is registered
	statusFull    = 2 // a limit of the router is reached
	statusRefused = 3 // the request makes no sense, or not with this key
)

// helloSize and answerSize are the exact wire sizes, in bytes.
const (
	helloSize  = 40
	answerSize = 8
)

var magic = [4]byte{'G', 'R', 'T', '1'}

// hello is the first frame to a router: magic 4 | kind 1 | zero 3 | key 32.
type hello struct {
	kind byte
	key  PublicKey
}

func (h hello) encode() [helloSize]byte {
	var b [helloSize]byte
	copy(b[:4], magic[:])
	b[4] = h.kind
	copy(b[8:], h.key[:])
	return b
}

func decodeHello(b [helloSize]byte) (hello, error) {
	if [4]byte(b[:4]) != magic {
		return hello{}, fmt.Errorf("read hello: magic %x, want %x", b[:4], magic)
	}
	h := hello{kind: b[4], key: PublicKey(b[8:])}
	if h.kind != helloRegister && h.kind != helloDial {
		return hello{}, fmt.Errorf("read hello: kind %d, want %d or %d", h.kind, helloRegister, helloDial)
	}
	if b[5]|b[6]|b[7] != 0 {
		return hello{}, fmt.Errorf("read hello: reserved bytes %x, want zero", b[5:8])
	}
	return h, nil
}

func readHello(r io.Reader) (hello, error) {
	var b [helloSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return hello{}, fmt.Errorf("read hello: %w", err)
	}
	return decodeHello(b)
}

// encodeAnswer is magic 4 | status 1 | zero 3.
func encodeAnswer(status byte) [answerSize]byte {
	var b [answerSize]byte
	copy(b[:4], magic[:])
	b[4] = status
	return b
}

func readAnswer(r io.Reader) (byte, error) {
	var b [answerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("read router answer: %w", err)
	}
	if [4]byte(b[:4]) != magic || b[5]|b[6]|b[7] != 0 {
		return 0, fmt.Errorf("read router answer: %x is no answer", b)
	}
	return b[4], nil
}

// askRouter sends h and returns nil when the router agrees.
func askRouter(rw io.ReadWriter, h hello) error {
	frame := h.encode()
	if _, err := rw.Write(frame[:]); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	status, err := readAnswer(rw)
	if err != nil {
		return err
	}
	switch status {
	case statusOK:
		return nil
	case statusUnknown:
		return fmt.Errorf("key %x: %w", h.key, ErrNotRegistered)
	case statusFull:
		return ErrRouterFull
	default:
		return fmt.Errorf("router refused the request with status %d", status)
	}
}
