package mqttx

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// ended waits until the broker has ended a connection.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(forEver))
	var ne net.Error
	if _, err := io.Copy(io.Discard, conn); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the connection goes on")
	}
}

// Who does not say who he is has to leave, however slowly he begins to.
func TestSilentStranger(t *testing.T) {
	addr, _ := serveWithin(t, &keeper{}, Limits{SignIn: 200 * time.Millisecond})
	for name, first := range map[string]string{"nothing": "", "a byte": "\x10", "half a packet": "\x10\x20\x00\x04MQTT"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(first)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ended(t, conn)
	}
}

// Connections that nobody signed in on are not more than there is room for.
func TestFullOfStrangers(t *testing.T) {
	addr, _ := serveWithin(t, &keeper{}, Limits{Clients: 1, SignIn: forEver})
	for range strangers + 1 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended(t, conn)
}

// connectAs connects with a client id, with version 3.1.1 and a session that is
// kept, and says whether it may.
func connectAs(t *testing.T, addr, name, id string) (net.Conn, bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(forEver))
	body := text(text(append(text(nil, "MQTT"), 4, 0x80, 0, 60), id), name)
	var answer [4]byte
	if _, err = conn.Write(append([]byte{0x10, byte(len(body))}, body...)); err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn, answer[3] == 0
}

// One identity neither takes all connections nor fills the memory with sessions.
func TestManyOfOne(t *testing.T) {
	addr, b := serveUntil(t, &keeper{})
	var conns []net.Conn
	for i := range mostConnected + 1 {
		conn, ok := connectAs(t, addr, "a", fmt.Sprint("at once ", i))
		if ok != (i < mostConnected) {
			t.Fatalf("connection %d: %v", i, ok)
		}
		conns = append(conns, conn)
	}
	if _, ok := connectAs(t, addr, "b", "x"); !ok {
		t.Error("another is kept out")
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	for i := 0; i < 3*(mostConnected+mostKept); {
		conn, ok := connectAs(t, addr, "a", fmt.Sprint("one by one ", i))
		if ok { // those that were closed may not be gone yet
			i++
		}
		_ = conn.Close()
	}
	if n := b.server.Clients.Len(); n > 2*mostConnected+mostKept+2 {
		t.Errorf("%d sessions are kept", n)
	}
}
