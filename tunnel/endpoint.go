package tunnel

import (
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// PublicKey is an ed25519 public key: the identity of a peer.
type PublicKey = [32]byte

// MaxEndpoint is the longest endpoint text accepted, in bytes.
const MaxEndpoint = 255

// Schemes of an endpoint.
const (
	SchemeTCP    = "tcp"
	SchemeRouter = "router"
)

// Endpoint is where a peer is reached: "tcp://host:port" directly, or
// "router://host:port/<key>" through a Router that the peer with that ed25519
// public key (64 hex digits) has registered with.
type Endpoint struct {
	Scheme string    // SchemeTCP or SchemeRouter
	Addr   string    // host:port of the peer or of the router
	Key    PublicKey // asked of the router; zero with SchemeTCP
}

// ParseEndpoint reads the text form. The error names the text and the reason.
func ParseEndpoint(text string) (Endpoint, error) {
	fail := func(why string) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("parse endpoint %.*q: %s", MaxEndpoint, text, why)
	}
	if len(text) > MaxEndpoint {
		return fail(fmt.Sprintf("%d bytes, at most %d", len(text), MaxEndpoint))
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || (scheme != SchemeTCP && scheme != SchemeRouter) {
		return fail("want tcp://host:port or router://host:port/<key>")
	}
	addr, keyText, slash := strings.Cut(rest, "/")
	e := Endpoint{Scheme: scheme, Addr: addr}
	if err := checkAddr(addr); err != nil {
		return fail(err.Error())
	}
	if scheme == SchemeTCP {
		if slash {
			return fail("a tcp endpoint has no path")
		}
		return e, nil
	}
	if len(keyText) != 2*len(e.Key) || keyText != strings.ToLower(keyText) {
		return fail("the router path is a key of 64 lower-case hex digits")
	}
	if _, err := hex.Decode(e.Key[:], []byte(keyText)); err != nil {
		return fail("the router path is a key of 64 lower-case hex digits")
	}
	return e, nil
}

func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" {
		return fmt.Errorf("the host is empty")
	}
	if strings.ContainsAny(host, "/?#@ \t\r\n%\x00") {
		return fmt.Errorf("the host %q has a character that is not allowed", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("the port %q is not a number from 1 to 65535", port)
	}
	return nil
}

// String is the text form that ParseEndpoint reads.
func (e Endpoint) String() string {
	if e.Scheme == SchemeRouter {
		return SchemeRouter + "://" + e.Addr + "/" + hex.EncodeToString(e.Key[:])
	}
	return e.Scheme + "://" + e.Addr
}
