package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/grange-network/grange/internal/benchtable"
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
// persistence, which does neither. The generator is the same, each broker a process
// of its own.
func published(ctx context.Context, set benchtable.Settings, dir string) ([]benchtable.Row, error) {
	var rows []benchtable.Row
	for i, l := range []shape{{512, 4, set.Of(200), 7}, {32, 64, set.Of(3200), 7}, {512, 4, set.Of(100), 50}} {
		r, err := l.compare(ctx, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return rows, fmt.Errorf("%d connections: %w", l.connections, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

const theirs = "mosquitto with persistence under the same load: one thread, it checks no signature and writes its file every 30 minutes, not before it answers"

// rounds is how often each broker is measured, by turns; the best counts, since
// whatever else a machine does makes it slower.
const rounds = 3

// compare measures three brokers under one load.
func (l shape) compare(ctx context.Context, dir string) ([]benchtable.Row, error) {
	all, err := senders(l.connections, l.publishes, l.readings)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("MQTT, QoS 1, %d readings each, %d connections with %d under way: ", l.readings, l.connections, l.underWay)
	var ours, plain, other, bound float64
	for i := range rounds {
		at := filepath.Join(dir, strconv.Itoa(i))
		if err := l.round(ctx, at, all, &ours, &plain, &other); err != nil {
			return nil, err
		}
		bound = max(bound, together(all))
	}
	rows := []benchtable.Row{
		{What: what + "publishes verified and durable", Unit: "/s", Ours: ours, Bound: bound, BoundIs: "their signatures alone, 256 together, on all cores and without a generator"},
		{What: what + "publishes durable but not verified", Unit: "/s", Ours: plain},
	}
	if rows[1].BoundIs = "mosquitto, which is not installed here"; other > 0 {
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

// round measures each broker once and keeps the better rates.
func (l shape) round(ctx context.Context, dir string, all []*sender, ours, plain, other *float64) error {
	for _, m := range []struct {
		best *float64
		rate func() (float64, error)
	}{
		{ours, func() (float64, error) { return l.ours(ctx, "verified", filepath.Join(dir, "log"), all) }},
		{plain, func() (float64, error) { return l.ours(ctx, "stored", filepath.Join(dir, "plain"), all) }},
		{other, func() (float64, error) { return l.mosquitto(ctx, filepath.Join(dir, "mosquitto"), all) }},
	} {
		rate, err := m.rate()
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			return err
		}
		*m.best = max(*m.best, rate)
	}
	return nil
}

func (l shape) mosquitto(ctx context.Context, dir string, all []*sender) (float64, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		return 0, exec.ErrNotFound
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
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
	return l.load(ctx, addr, all)
}
