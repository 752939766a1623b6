package mqttx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errFull = errors.New("the disk is full")
	forEver = 3 * time.Minute // only a failure takes so long
)

// keeper keeps what everybody publishes, once it may: a value received from gate
// lets one call go on. A payload that begins with "bad" is refused, and one that
// begins with "full" fails.
type keeper struct {
	gate    chan struct{} // nil: always
	entered chan struct{} // nil, or told of each call

	mu   sync.Mutex
	kept map[string][]string // by identity
}

func (*keeper) Connect(name string, _ []byte) (string, error) { return name, nil }
func (*keeper) MayPublish(identity, topic string) bool        { return topic == "of/"+identity }
func (*keeper) MaySubscribe(string, string) bool              { return true }
func (*keeper) ErrorTopic(identity, _ string) string          { return "error/" + identity }
func (k *keeper) Publish(_ context.Context, messages []Message) {
	if k.entered != nil {
		k.entered <- struct{}{}
	}
	if k.gate != nil {
		<-k.gate
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range messages {
		switch m := &messages[i]; {
		case string(m.Payload[:3]) == "bad":
			m.Err = fmt.Errorf("%w: bad", ErrRefused)
		case string(m.Payload[:4]) == "full":
			m.Err = errFull
		default:
			k.kept[m.Identity] = append(k.kept[m.Identity], string(m.Payload))
			m.Deliver = true
		}
	}
}

func (k *keeper) of(identity string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.kept[identity])
}

// narrow is a listener whose connections buffer little of what is written to them.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(1)
	}
	return c, err
}

func serve(t *testing.T, k *keeper) string {
	t.Helper()
	addr, _ := serveUntil(t, k)
	return addr
}

func serveUntil(t *testing.T, k *keeper) (addr string, b *Broker) {
	t.Helper()
	return serveWithin(t, k, Limits{})
}

func serveWithin(t *testing.T, k *keeper, limits Limits) (addr string, b *Broker) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.kept = map[string][]string{}
	b, err = New(t.Context(), narrow{l}, k, limits, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return l.Addr().String(), b
}

// client speaks MQTT byte by byte.
type client struct {
	t       *testing.T
	conn    net.Conn
	name    string
	version byte
}

func dial(t *testing.T, addr, name string, version byte) *client {
	t.Helper()
	return dialWith(t, addr, name, version, "")
}

// dialWith connects with properties, which are of version 5.
func dialWith(t *testing.T, addr, name string, version byte, properties string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(forEver))
	c := &client{t, conn, name, version}
	body := append(text(nil, "MQTT"), version, 0x82, 0, 60)
	if version == 5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	c.send(0x10, text(text(body, "client"), name))
	if kind, body := c.receive(); kind != 0x20 || body[1] != 0 {
		t.Fatalf("connected with %x %x", kind, body)
	}
	return c
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (c *client) send(kind byte, body []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(append([]byte{kind, byte(len(body))}, body...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) publish(topic string, qos byte, id uint16, payload string) {
	c.t.Helper()
	body := text(nil, topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	if c.version == 5 {
		body = append(body, 0)
	}
	c.send(0x30|qos<<1, append(body, payload...))
}

func (c *client) subscribe(filter string) {
	c.t.Helper()
	body := []byte{0, 1}
	if c.version == 5 {
		body = append(body, 0)
	}
	c.send(0x82, append(text(body, filter), 0))
	if kind, _ := c.receive(); kind != 0x90 {
		c.t.Fatalf("%x, want SUBACK", kind)
	}
}

func (c *client) receive() (kind byte, body []byte) {
	c.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		c.t.Fatal(err)
	}
	body = make([]byte, head[1])
	if _, err := io.ReadFull(c.conn, body); err != nil {
		c.t.Fatal(err)
	}
	return head[0], body
}

// acknowledged expects PUBACK for the publishes from first on, in order.
func (c *client) acknowledged(first, n int) {
	c.t.Helper()
	for i := range n {
		if kind, body := c.receive(); kind != 0x40 || int(binary.BigEndian.Uint16(body)) != first+i {
			c.t.Fatalf("%x %x, want PUBACK of %d", kind, body, first+i)
		}
	}
}

// Many publishes of one client are under way at once, in the order sent, and none
// is acknowledged before its turn.
func TestPipeline(t *testing.T) {
	for _, version := range []byte{4, 5} {
		k := &keeper{gate: make(chan struct{})}
		c := dial(t, serve(t, k), "a", version)
		const n = window
		for i := range n {
			c.publish("of/a", 1, uint16(i+1), fmt.Sprintf("message %d", i+1))
		}
		if got := k.of("a"); len(got) != 0 {
			t.Fatalf("kept %v before the gate is open", got)
		}
		close(k.gate)
		c.acknowledged(1, n)
		got := k.of("a")
		if len(got) != n || got[0] != "message 1" || got[n-1] != fmt.Sprintf("message %d", n) {
			t.Errorf("version %d: kept %d, %v", version, len(got), got)
		}
	}
}

// What is acknowledged says what became of each message.
func TestAnswers(t *testing.T) {
	for _, version := range []byte{4, 5} {
		k := &keeper{}
		addr := serve(t, k)
		c := dial(t, addr, "a", version)
		c.publish("of/a", 1, 1, "good")
		c.publish("of/a", 1, 2, "bad")
		c.publish("of/a", 1, 3, "good again")
		c.publish("of/a", 0, 0, "unanswered")
		c.acknowledged(1, 1)
		_, refused := c.receive()
		if want := map[byte]string{4: "\x00\x02", 5: "\x00\x02\x99" + reasonString("message refused: bad")}[version]; string(refused) != want {
			t.Errorf("version %d: refused with %q, want %q", version, refused, want)
		}
		c.acknowledged(3, 1)
		c.publish("of/a", 2, 4, "exactly once")
		if kind, body := c.receive(); kind != 0x50 || body[1] != 4 {
			t.Errorf("version %d: %x %x, want PUBREC", version, kind, body)
		}
		if got := k.of("a"); !slices.Equal(got, []string{"good", "good again", "unanswered", "exactly once"}) {
			t.Errorf("version %d: kept %q", version, got)
		}
		c.publish("of/a", 1, 5, "full")
		switch version {
		case 5:
			if _, body := c.receive(); string(body) != "\x00\x05\x83"+reasonString(errFull.Error()) {
				t.Errorf("failed with %q", body)
			}
		case 4:
			if n, err := io.Copy(io.Discard, c.conn); n > 0 || err != nil && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d bytes, %v, want the connection to end", n, err)
			}
		}
	}
}

// reasonString is a Reason String as the only property.
func reasonString(text string) string {
	return fmt.Sprintf("%c\x1f\x00%c%s", len(text)+3, len(text), text)
}

// A client of version 5 reads why its message is refused in the answer, unless it
// said that it wants no such thing or it takes only short packets.
func TestReasonString(t *testing.T) {
	addr := serve(t, &keeper{})
	why := reasonString("message refused: bad")
	full := len(why) + 5 // bytes of the packet with it
	for _, tt := range []struct{ name, properties, want string }{
		{"by default", "", why},
		{"asked for", "\x17\x01", why},
		{"not wanted", "\x17\x00", "\x00"},
		{"as long as it may be", fmt.Sprintf("\x27\x00\x00\x00%c", full), why},
		{"too long", fmt.Sprintf("\x27\x00\x00\x00%c", full-1), "\x00"},
	} {
		c := dialWith(t, addr, "a", 5, tt.properties)
		for qos, answer := range map[byte]byte{1: 0x40, 2: 0x50} {
			c.publish("of/a", qos, 7, "bad")
			if kind, body := c.receive(); kind != answer || string(body) != "\x00\x07\x99"+tt.want {
				t.Errorf("%s, QoS %d: %x %q, want %q", tt.name, qos, kind, body, tt.want)
			}
		}
	}
}

// The words are bounded, and text that a client can read.
func TestInWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "with \x00 and \xff": "with  and ", strings.Repeat("x", longest-1) + "ä": strings.Repeat("x", longest-1),
	} {
		if got := inWords(errors.New(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := encodeAck(0x4, 1, 0x99, make([]byte, 300)); len(got) != 3+5+300 || string(got[:8]) != "\x40\xb1\x02\x00\x01\x99\xac\x02" {
		t.Errorf("%d bytes, %x", len(got), got[:8])
	}
}

// A message that fails is neither delivered nor kept for later subscribers.
func TestFailedIsNotDelivered(t *testing.T) {
	for _, version := range []byte{4, 5} {
		addr := serve(t, &keeper{})
		c := dial(t, addr, "a", version)
		c.subscribe("of/a")
		for _, payload := range []string{"bad", "full"} {
			c.publish("of/a", 0, 0, payload)
		}
		c.publish("of/a", 0, 0, "good")
		kind, body := c.receive()
		if text := string(body[len(body)-4:]); kind != 0x30 || text != "good" {
			t.Errorf("version %d: %x %q, want the good one only", version, kind, body)
		}
	}
}

// Nothing is kept that a client sent behind a message that it must send again.
func TestAgain(t *testing.T) {
	k := &keeper{gate: make(chan struct{}), entered: make(chan struct{}, 10)}
	c := dial(t, serve(t, k), "a", 4)
	c.publish("of/a", 1, 1, "full")
	<-k.entered
	for i := range 20 {
		c.publish("of/a", 1, uint16(i+2), "behind it")
	}
	close(k.gate)
	_, _ = io.Copy(io.Discard, c.conn) // until the broker ends the connection
	again := dial(t, c.conn.RemoteAddr().String(), "a", 4)
	again.publish("of/a", 1, 1, "good")
	again.acknowledged(1, 1)
	if got := k.of("a"); !slices.Equal(got, []string{"good"}) {
		t.Errorf("kept %q", got)
	}
}

// What is delivered is delivered once, to others and in order.
func TestDelivers(t *testing.T) {
	k := &keeper{}
	addr := serve(t, k)
	reader := dial(t, addr, "reader", 4)
	reader.subscribe("of/a")
	c := dial(t, addr, "a", 4)
	for i := range 20 {
		c.publish("of/a", 1, uint16(i+1), fmt.Sprintf("message %02d", i))
	}
	for i := range 20 {
		if kind, body := reader.receive(); kind != 0x30 || string(body[6:]) != fmt.Sprintf("message %02d", i) {
			t.Fatalf("%x %q, want message %d", kind, body, i)
		}
	}
	c.acknowledged(1, 20)
}

// A topic is heard while somebody subscribes to it, by its name or by wildcards.
func TestHeard(t *testing.T) {
	addr, b := serveUntil(t, &keeper{})
	for i, filter := range []string{"of/a", "of/+", "of/#", "#"} {
		if b.Heard("of/a") {
			t.Fatalf("heard before anybody subscribed to %s", filter)
		}
		c := dial(t, addr, fmt.Sprint("reader ", i), 4)
		c.subscribe(filter)
		if !b.Heard("of/a") || filter != "#" && b.Heard("off/a") {
			t.Errorf("%s: heard of/a %v, off/a %v", filter, b.Heard("of/a"), b.Heard("off/a"))
		}
		_ = c.conn.Close()
		for end := time.Now().Add(forEver); b.Heard("of/a") && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // the broker tells nobody
		}
	}
}

// A broker closes while its clients leave, whatever they do.
func TestCloses(t *testing.T) {
	for range 10 {
		addr, b := serveUntil(t, &keeper{})
		var clients []*client
		for i := range 40 {
			clients = append(clients, dial(t, addr, fmt.Sprint("c", i), 5))
		}
		silent, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		var leaving sync.WaitGroup
		for _, c := range clients[1:] {
			leaving.Go(func() { _ = c.conn.Close() })
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		leaving.Wait()
		if kind, body := clients[0].receive(); kind != 0xe0 || body[0] != 0x8b {
			t.Errorf("%x %x, want DISCONNECT since the server shuts down", kind, body)
		}
		_ = silent.Close()
	}
}

// A client that reads none of its acknowledgements holds up nobody else.
func TestDeafClient(t *testing.T) {
	k := &keeper{}
	addr := serve(t, k)
	deaf := dial(t, addr, "deaf", 4)
	_ = deaf.conn.(*net.TCPConn).SetReadBuffer(1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packet := append(binary.BigEndian.AppendUint16(text(nil, "of/deaf"), 1), "bad"...)
		packet = append([]byte{0x32, byte(len(packet))}, packet...)
		for _, err := deaf.conn.Write(packet); err == nil; _, err = deaf.conn.Write(packet) {
		}
	}()
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		c := dial(t, addr, name, 4)
		for i := range 100 {
			c.publish("of/"+name, 1, uint16(i+1), "good")
			c.acknowledged(i+1, 1)
		}
	}
	_ = deaf.conn.Close()
	<-ended
}
