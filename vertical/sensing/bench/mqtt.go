package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/wal"
)

// shape is a load: so many connections, each with so many publishes under way, of
// reports of so many readings.
type shape struct {
	connections, underWay, publishes, readings int
}

// wanted is the target of signed readings in batches of 50, per second.
const wanted = 100_000

// published sends reports, signed batches of readings, with QoS 1 to the gateway's
// broker, which verifies and stores each before it answers, and to mosquitto with
// persistence, which does neither, by the same generator in the same process.
func published(ctx context.Context, set benchtable.Settings, dir string) ([]benchtable.Row, error) {
	var rows []benchtable.Row
	for i, l := range []shape{{512, 4, set.Of(100), 7}, {32, 64, set.Of(1600), 7}, {512, 4, set.Of(50), 50}} {
		r, err := l.compare(ctx, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return rows, fmt.Errorf("%d connections: %w", l.connections, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

const theirs = "mosquitto with persistence under the same load: one thread, it checks no signature and writes its file every 30 minutes, not before it answers"

// compare measures three brokers under one load.
func (l shape) compare(ctx context.Context, dir string) ([]benchtable.Row, error) {
	all, err := senders(l.connections, l.publishes, l.readings)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("MQTT, QoS 1, %d readings each, %d connections with %d under way: ", l.readings, l.connections, l.underWay)
	ours, err := l.verified(ctx, filepath.Join(dir, "log"), all)
	if err != nil {
		return nil, err
	}
	plain, err := l.unchecked(ctx, filepath.Join(dir, "plain"), all)
	if err != nil {
		return nil, err
	}
	rows := []benchtable.Row{
		{What: what + "publishes verified and durable", Unit: "/s", Ours: ours, Bound: together(all), BoundIs: "their signatures alone, 256 together, on all cores and without a generator"},
		{What: what + "publishes durable but not verified", Unit: "/s", Ours: plain},
	}
	other, err := l.mosquitto(ctx, dir, all)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		rows[1].BoundIs = "mosquitto, which is not installed here"
	case err != nil:
		return nil, err
	default:
		rows[0].Target, rows[1].Target = other, other
		rows[1].Bound, rows[1].BoundIs = other, theirs
	}
	if l.readings < 50 {
		return rows, nil
	}
	readings := float64(l.readings)
	return append(rows, benchtable.Row{
		What: what + "signed readings durable", Unit: "/s", Ours: ours * readings, Target: wanted, Bound: other * readings, BoundIs: "the same publishes to mosquitto",
	}), nil
}

// verified measures the gateway's broker.
func (l shape) verified(ctx context.Context, dir string, all []*sender) (rate float64, err error) {
	s, err := server(dir, all)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	secret := []byte("the secret of this measurement only")
	return l.serve(ctx, &ingest.Doors{Server: s, Secret: secret}, all, secret)
}

// serve measures our broker with rules.
func (l shape) serve(ctx context.Context, rules mqttx.Rules, all []*sender, secret []byte) (float64, error) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	b, err := mqttx.New(ctx, door, rules, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	rate, err := l.load(ctx, door.Addr().String(), all, secret)
	return rate, errors.Join(err, b.Close())
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
func (l shape) unchecked(ctx context.Context, dir string, all []*sender) (rate float64, err error) {
	w, err := wal.Open(dir, wal.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return l.serve(ctx, log{w}, all, nil)
}

func (l shape) mosquitto(ctx context.Context, dir string, all []*sender) (float64, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		return 0, exec.ErrNotFound
	}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr := door.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	if err := door.Close(); err != nil {
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
	return l.load(ctx, addr, all, nil)
}
