package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/wal"
)

// Of the load: so many connections, each with so many publishes under way.
const (
	connections = 512
	underWay    = 4
)

// published sends station reports, signed batches of 7 readings, with QoS 1 to the
// gateway's broker, which verifies and stores each before it answers, and to
// mosquitto with persistence, which does neither, by the same generator.
func published(ctx context.Context, set benchtable.Settings, dir string) ([]benchtable.Row, error) {
	all, err := senders(connections, set.Of(200), 7)
	if err != nil {
		return nil, err
	}
	s, err := server(filepath.Join(dir, "log"), all)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secret := []byte("the secret of this measurement only")
	b, err := mqttx.New(ctx, l, &ingest.Doors{Server: s, Secret: secret}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	ours, err := load(ctx, l.Addr().String(), all, secret)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	plain, err := unchecked(ctx, filepath.Join(dir, "plain"), all)
	if err != nil {
		return nil, err
	}
	rows := []benchtable.Row{
		{What: "MQTT publishes with QoS 1 of reports of 7 readings, verified and durable", Unit: "/s", Ours: ours, Bound: signatures(all[0]), BoundIs: "their signatures alone, on all cores"},
		{What: "the same, durable but not verified", Unit: "/s", Ours: plain},
	}
	theirs, err := mosquitto(ctx, dir, all)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		rows[1].BoundIs = "mosquitto, which is not installed here"
	case err != nil:
		return nil, err
	default:
		rows[1].Target, rows[1].Bound, rows[1].BoundIs = theirs, theirs, "mosquitto with persistence under the same load; it syncs no file before it answers"
	}
	return rows, nil
}

// log stores every publish before it is acknowledged, whatever it is.
type log struct{ *wal.Log }

func (log) Connect(name string, _ []byte) (string, error) { return name, nil }
func (log) MayPublish(string, string) bool                { return true }
func (log) MaySubscribe(string, string) bool              { return false }
func (log) ErrorTopic(string, string) string              { return "" }

// Publish implements mqttx.Rules.
func (l log) Publish(ctx context.Context, messages []mqttx.Message) {
	pending := make([]wal.Pending, len(messages))
	for i := range messages {
		pending[i], messages[i].Err = l.Begin(ctx, messages[i].Payload)
	}
	for i := range messages {
		if messages[i].Err == nil {
			_, messages[i].Err = pending[i].Wait(ctx)
		}
	}
}

// unchecked measures the broker without the checks of observations.
func unchecked(ctx context.Context, dir string, all []*sender) (rate float64, err error) {
	w, err := wal.Open(dir, wal.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	b, err := mqttx.New(ctx, l, log{w}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	rate, err = load(ctx, l.Addr().String(), all, nil)
	return rate, errors.Join(err, b.Close())
}

func mosquitto(ctx context.Context, dir string, all []*sender) (float64, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		return 0, exec.ErrNotFound
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	if err := l.Close(); err != nil {
		return 0, err
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_inflight_messages 0\nmax_queued_messages 0\nuser %s\n", port, dir, "root")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, program, "-c", conf)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // another process
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Since(began) > time.Minute {
			return 0, fmt.Errorf("mosquitto on %s: %w", addr, err)
		}
	}
	return load(ctx, addr, all, nil)
}

// load publishes all batches and returns the rate of acknowledgements.
func load(ctx context.Context, addr string, all []*sender, secret []byte) (float64, error) {
	var g errgroup.Group
	n := 0
	began := time.Now()
	for i, s := range all {
		n += len(s.batches)
		g.Go(func() error {
			if err := publish(ctx, addr, s, i, secret); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			return nil
		})
	}
	err := g.Wait()
	return float64(n) / time.Since(began).Seconds(), err
}

// publish is one MQTT 3.1.1 client.
func publish(ctx context.Context, addr string, s *sender, number int, secret []byte) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	id := s.public.ID()
	if _, err := w.Write(connect("bench-"+strconv.Itoa(number), id.String(), ingest.Token(secret, id))); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := expect(r, 0x20); err != nil {
		return err
	}
	slots := make(chan struct{}, underWay)
	answered := make(chan error, 1)
	go func() {
		for range s.batches {
			if err := expect(r, 0x40); err != nil {
				answered <- err
				close(slots)
				return
			}
			<-slots
		}
		answered <- nil
	}()
	topic := "v1/obs/" + id.String()
	for i, raw := range s.batches {
		select {
		case slots <- struct{}{}:
		case err := <-answered:
			return err
		}
		if _, err := w.Write(message(topic, uint16(i%60_000+1), raw)); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return <-answered
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// packet puts the fixed header in front (MQTT 3.1.1 section 2.2).
func packet(kind byte, body []byte) []byte {
	out := []byte{kind}
	for n := len(body); ; {
		digit := byte(n % 128)
		if n /= 128; n > 0 {
			digit |= 128
		}
		out = append(out, digit)
		if n == 0 {
			return append(out, body...)
		}
	}
}

func connect(client, user, password string) []byte {
	body := append(text(nil, "MQTT"), 4, 0xc2, 0, 60) // version, name and password and a clean session, a minute
	return packet(0x10, text(text(text(body, client), user), password))
}

func message(topic string, id uint16, payload []byte) []byte {
	return packet(0x32, append(binary.BigEndian.AppendUint16(text(nil, topic), id), payload...))
}

// expect reads one short packet.
func expect(r *bufio.Reader, kind byte) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != kind || head[1] != 2 || kind == 0x20 && head[3] != 0 {
		return fmt.Errorf("the broker answers %x, want %x02", head, kind)
	}
	return nil
}
