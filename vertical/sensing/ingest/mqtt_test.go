package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

var secret = []byte("the gateway's secret")

func broker(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := mqttx.New(t.Context(), l, &Doors{Server: s, Secret: secret}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return l.Addr().String()
}

func connect(t testing.TB, addr, name, password string) (paho.Client, error) {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("station").SetUsername(name).SetPassword(password).
		SetAutoReconnect(false).SetConnectRetry(false).SetProtocolVersion(4)
	c := paho.NewClient(o)
	if err := wait(c.Connect()); err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, nil
}

func wait(token paho.Token) error {
	token.WaitTimeout(time.Minute)
	return token.Error()
}

// A device signs in with a token or its key, publishes, and is told what was wrong.
func TestMQTT(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	addr := broker(t, s)
	id := a.PublicKey().ID()
	c, err := connect(t, addr, id.String(), Token(secret, id))
	if err != nil {
		t.Fatal(err)
	}
	topic := "v1/obs/" + id.String()
	reasons := make(chan string, 10)
	if err := wait(c.Subscribe(topic+"/error", 0, func(_ paho.Client, m paho.Message) { reasons <- string(m.Payload()) })); err != nil {
		t.Fatal(err)
	}
	for _, b := range series(t, a, 3) {
		if err := wait(c.Publish(topic, 1, false, b.Raw)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Counts(); got.Accepted != 3 {
		t.Errorf("counts %+v when the third was acknowledged, want 3 accepted", got)
	}
	if err := wait(c.Publish(topic, 1, false, []byte("noise"))); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-reasons:
		if !strings.Contains(got, "malformed batch") {
			t.Errorf("reason %q", got)
		}
	case <-time.After(time.Minute):
		t.Error("no reason for the refused message")
	}
	password, err := Password(a, chainID, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, addr, id.String(), password); err != nil {
		t.Errorf("sign in with the key: %v", err)
	}
}

func TestMQTTRefuses(t *testing.T) {
	a, b := sensingtest.NewSigner(1), sensingtest.NewSigner(2)
	s := open(t, t.TempDir(), nil, a, b)
	addr := broker(t, s)
	idA, idB := a.PublicKey().ID(), b.PublicKey().ID()
	old, err := Password(a, chainID, clock.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{
		"wrong": "x", "another device's token": Token(secret, idB), "an old signature": old, "none": "",
	} {
		if _, err := connect(t, addr, idA.String(), password); err == nil {
			t.Errorf("%s password: connected", name)
		}
	}
	c, err := connect(t, addr, idA.String(), Token(secret, idA))
	if err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{"#", "v1/obs/#", "v1/obs/" + idB.String() + "/error", "$share/g/v1/obs/#", "+/obs/+"} {
		token := c.Subscribe(filter, 0, nil).(*paho.SubscribeToken)
		if err := wait(token); err != nil {
			continue // refused by the client or the broker
		}
		for _, code := range token.Result() {
			if code < 0x80 {
				t.Errorf("subscribed to %s", filter)
			}
		}
	}
	// Another's topic: a 3.1.1 client is disconnected, and nothing is stored.
	_ = wait(c.Publish("v1/obs/"+idB.String(), 1, false, series(t, b, 1)[0].Raw))
	if got := s.Counts(); got != (Counts{}) {
		t.Errorf("counts %+v, want nothing", got)
	}
}

// mosquitto_pub, version 5, with QoS 1.
func TestMosquitto(t *testing.T) {
	bin, err := exec.LookPath("mosquitto_pub")
	if err != nil {
		t.Skip("mosquitto_pub is not installed (Debian package mosquitto-clients)")
	}
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	host, port, err := net.SplitHostPort(broker(t, s))
	if err != nil {
		t.Fatal(err)
	}
	id := a.PublicKey().ID()
	publish := func(raw []byte) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin, "-V", "5", "-h", host, "-p", port, "-u", id.String(), "-P", Token(secret, id), "-q", "1", "-t", "v1/obs/"+id.String(), "-s")
		cmd.Stdin = strings.NewReader(string(raw))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	first := seal(t, a, 1, sensing.Hash{}, 20, clock)
	if out, err := publish(first.Raw); err != nil || s.Counts().Accepted != 1 {
		t.Errorf("%v: %s; counts %+v", err, out, s.Counts())
	}
	if out, _ := publish([]byte("noise")); !strings.Contains(out, "Payload format invalid") || s.Counts().Malformed != 0 && s.Counts().Accepted != 1 {
		t.Errorf("noise: %s", out)
	}
}

// serveForever is the other process of TestKillMQTT: a broker that prints where it
// listens.
func serveForever(dir string) {
	s, err := Open(Config{Dir: dir, ChainID: chainID, Registry: registered(killed()...), Now: func() time.Time { return clock }})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		_, err = mqttx.New(context.Background(), l, &Doors{Server: s, Secret: secret}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		fmt.Println("serve:", err)
		return
	}
	fmt.Println(l.Addr())
	select {}
}

// dial signs a device in, on a connection that ends when the broker does.
func dial(t *testing.T, addr string, id device.ID) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * time.Minute)) // only a failure takes so long
	hello := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 4}
	hello.Connect = packets.ConnectParams{
		ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: "station",
		UsernameFlag: true, Username: []byte(id.String()), PasswordFlag: true, Password: []byte(Token(secret, id)),
	}
	welcome := make([]byte, 4)
	if err = send(conn, hello); err == nil {
		_, err = io.ReadFull(conn, welcome)
	}
	if err != nil || welcome[0] != packets.Connack<<4 || welcome[3] != 0 {
		t.Fatalf("%x, %v, want CONNACK", welcome, err)
	}
	return conn
}

// send writes CONNECT or PUBLISH.
func send(conn net.Conn, pk packets.Packet) error {
	var b bytes.Buffer
	encode := pk.PublishEncode
	if pk.FixedHeader.Type == packets.Connect {
		encode = pk.ConnectEncode
	}
	if err := encode(&b); err != nil {
		return err
	}
	_, err := conn.Write(b.Bytes())
	return err
}

// killed are the devices of TestKillMQTT.
func killed() []sensingtest.Signer {
	return []sensingtest.Signer{sensingtest.NewSigner(1), sensingtest.NewSigner(2), sensingtest.NewSigner(3)}
}

// A broker that is killed while publishes of many clients are under way has lost
// nothing that it acknowledged.
func TestKillMQTT(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "GRANGE_TEST_INGEST_MQTT="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	enough := make(chan struct{}, 1)
	acknowledged := make([]atomic.Int64, len(killed()))
	for n, a := range killed() {
		id := a.PublicKey().ID()
		conn := dial(t, addr, id)
		batches := series(t, a, 2000)
		clients.Go(func() {
			for i, b := range batches {
				if send(conn, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "v1/obs/" + id.String(), PacketID: uint16(i + 1), Payload: b.Raw}) != nil {
					return
				}
			}
		})
		clients.Go(func() {
			for ack := make([]byte, 4); ; {
				if _, err := io.ReadFull(conn, ack); err != nil {
					return
				}
				if acknowledged[n].Add(1) == 100 {
					select {
					case enough <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-enough
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	clients.Wait()
	s := open(t, dir, nil, killed()...)
	newest := map[device.ID]uint64{}
	for e, err := range s.Entries(0) {
		if err != nil || e.Counter != newest[e.Device]+1 {
			t.Fatalf("entry %d of %s behind %d: %v", e.Counter, e.Device, newest[e.Device], err)
		}
		newest[e.Device] = e.Counter
	}
	for n, a := range killed() {
		if have, want := newest[a.PublicKey().ID()], acknowledged[n].Load(); have < uint64(want) {
			t.Errorf("device %d: %d batches in the log, %d were acknowledged", n, have, want)
		}
	}
}
