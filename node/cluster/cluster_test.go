package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/cluster"
)

// A validator is this test's program started again with these two words, a home
// and a name.
const serveWord = "serve-validator"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serveWord {
		if err := cluster.Serve(context.Background(), os.Args[2], os.Args[3], slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			log.Fatal(err)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == hostWord {
		serveHost(os.Args[2], os.Args[3])
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must happen: only a failure takes
// so long.
const patience = 3 * time.Minute

// running is a cluster of processes under test.
type running struct {
	*testing.T
	home string
	net  *cluster.Network
	stop context.CancelFunc
	done chan error
}

func options(home string) cluster.Options {
	return cluster.Options{
		Home: home, Ports: cluster.PortChoice{Auto: true}, Program: []string{os.Args[0], serveWord, home},
	}
}

func start(t *testing.T, o cluster.Options) *running {
	t.Helper()
	n, err := cluster.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{T: t, home: o.Home, net: n, stop: cancel, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		err := n.Run(ctx, func(cluster.Endpoints) { close(ready) })
		n.Close() // first: who waits for the end may open the same home next
		r.done <- err
	}()
	t.Cleanup(r.end)
	select {
	case <-ready:
	case err := <-r.done:
		r.done <- err
		t.Fatalf("start: %v\n%s", err, r.logs())
	}
	return r
}

// end stops the cluster once.
func (r *running) end() {
	r.stop()
	if err, ok := <-r.done; ok {
		close(r.done)
		if err != nil {
			r.Errorf("stop: %v\n%s", err, r.logs())
		}
	}
}

func (r *running) logs() string {
	var b strings.Builder
	paths, _ := filepath.Glob(filepath.Join(r.home, "logs", "*.log"))
	for _, p := range paths {
		raw, _ := os.ReadFile(p)
		fmt.Fprintf(&b, "== %s\n%s", p, raw[max(0, len(raw)-2000):])
	}
	return b.String()
}

// get asks a validator's RPC.
func (r *running) get(i int, path string, into any) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	return askURL(ctx, r.net.Endpoints().Validators[i].RPC+path, into)
}

func askURL(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// height is the last block a validator has, 0 when it does not answer.
func (r *running) height(i int) int64 {
	return heightAt(r.Context(), r.net.Endpoints().Validators[i].RPC)
}

// reach waits until the validators have a height.
func (r *running) reach(h int64, within time.Duration, validators ...int) time.Duration {
	r.Helper()
	began := time.Now()
	for _, i := range validators {
		for r.height(i) < h {
			if time.Since(began) > within {
				r.Fatalf("validator %d is at %d after %v, want %d\n%s", i+1, r.height(i), within, h, r.logs())
			}
			time.Sleep(50 * time.Millisecond) // other processes: there is no event to wait for
		}
	}
	return time.Since(began)
}

// top is the highest block any validator has.
func (r *running) top() int64 {
	var h int64
	for i := range r.net.Plan().Validators {
		h = max(h, r.height(i))
	}
	return h
}

// halted checks that the validators decide nothing new for a while: whatever
// was on its way already is at most one block above the highest.
func (r *running) halted(watch time.Duration, validators ...int) {
	r.Helper()
	limit := r.top() + 1
	time.Sleep(watch)
	for _, i := range validators {
		if h := r.height(i); h > limit {
			r.Fatalf("validator %d went on to %d, must not pass %d", i+1, h, limit)
		}
	}
}

// hashes returns the application hash at every height up to the last.
func (r *running) hashes(i int, last int64) []string {
	r.Helper()
	var out []string
	for h := int64(1); h <= last; h += 20 {
		var b struct {
			Result struct {
				Metas []struct {
					Header struct {
						Height  int64  `json:"height,string"`
						AppHash string `json:"app_hash"`
					} `json:"header"`
				} `json:"block_metas"`
			}
		}
		if err := r.get(i, fmt.Sprintf("/blockchain?minHeight=%d&maxHeight=%d", h, min(h+19, last)), &b); err != nil {
			r.Fatal(err)
		}
		for k := len(b.Result.Metas) - 1; k >= 0; k-- { // newest first
			if got := b.Result.Metas[k].Header; got.Height == int64(len(out)+1) {
				out = append(out, got.AppHash)
			}
		}
	}
	if int64(len(out)) != last {
		r.Fatalf("validator %d told %d hashes of %d", i+1, len(out), last)
	}
	return out
}

// agree compares the application hashes of all validators at every height.
func (r *running) agree(size int) {
	r.Helper()
	last := r.height(0)
	r.reach(last, patience, 1, 2, 3)
	want := r.hashes(0, last)
	for i := 1; i < size; i++ {
		for h, got := range r.hashes(i, last) {
			if got != want[h] {
				r.Fatalf("height %d: validator %d has state %s, validator 1 has %s", h+1, i+1, got, want[h])
			}
		}
	}
	r.Logf("%d validators agree at all %d heights", size, last)
}

func (r *running) signal(i int, s syscall.Signal) {
	r.Helper()
	if err := syscall.Kill(r.net.Endpoints().Validators[i].PID, s); err != nil {
		r.Fatal(err)
	}
}

func (r *running) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// run is t.Run where a failure is the case's own.
func (r *running) run(name string, f func(*testing.T)) {
	whole := r.T
	defer func() { r.T = whole }()
	if !whole.Run(name, func(t *testing.T) { r.T = t; f(t) }) {
		r.T = whole
		r.FailNow() // the cases after it need a whole network
	}
}

func (r *running) name(i int) string { return r.net.Plan().Validators[i].Name }

// split cuts every link between the validators of one side and the others.
func (r *running) split(side ...int) {
	for _, i := range side {
		for j := range r.net.Plan().Validators {
			other := true
			for _, k := range side {
				other = other && j != k
			}
			if other {
				r.must(r.net.Links().Cut(r.name(i), r.name(j), false))
			}
		}
	}
}

// TestFaults runs the fault matrix on one network of four: each case leaves it
// whole.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes")
	}
	home := t.TempDir()
	o := options(home)
	o.Commit = 200 * time.Millisecond
	r := start(t, o)
	all := []int{0, 1, 2, 3}
	sup := r.net.Supervisor()
	r.reach(3, patience, all...)

	r.run("kill one of four goes on and it catches up", func(t *testing.T) {
		r.signal(3, syscall.SIGKILL)
		t.Logf("5 blocks with three of four: %v", r.reach(r.height(0)+5, patience, 0, 1, 2))
		r.must(sup.Start(t.Context(), r.name(3)))
		t.Logf("caught up: %v", r.reach(r.height(0)+1, patience, 3))
	})
	r.run("kill one and suspend one halts, continue resumes", func(t *testing.T) {
		r.must(sup.Kill(r.name(3)))
		r.signal(2, syscall.SIGSTOP)
		r.halted(5*time.Second, 0, 1)
		h := r.height(0)
		r.signal(2, syscall.SIGCONT)
		t.Logf("resumed: %v", r.reach(h+2, patience, 0, 1, 2))
		r.must(sup.Start(t.Context(), r.name(3)))
		r.reach(r.height(0)+1, patience, all...)
	})
	r.run("two and two halt, heal resumes", func(t *testing.T) {
		r.split(0, 1)
		r.halted(5*time.Second, all...)
		h := r.height(0)
		r.must(r.net.Links().Heal("", "", false))
		t.Logf("resumed: %v", r.reach(h+2, patience, all...))
	})
	r.run("three and one: the majority goes on, heal catches up", func(t *testing.T) {
		r.split(3)
		h := r.top()
		r.halted(4*time.Second, 3)
		r.reach(h+4, patience, 0, 1, 2)
		if behind := r.height(3); behind > h+1 {
			t.Fatalf("the one cut off is at %d, must not pass %d", behind, h+1)
		}
		r.must(r.net.Links().Heal("", "", false))
		t.Logf("caught up: %v", r.reach(r.height(0)+1, patience, 3))
	})
	r.run("delay slows and does not stop", func(t *testing.T) {
		r.must(r.net.Links().Delay("", "", false, 100*time.Millisecond))
		t.Logf("2 blocks at 100 ms: %v", r.reach(r.height(0)+2, patience, all...))
		r.must(r.net.Links().Delay("", "", false, 0))
	})
	r.agree(4)
	var held *node.HeldError
	if _, err := cluster.Open(t.Context(), o); !errors.As(err, &held) {
		t.Fatalf("a second start on the same home: %v, must be refused", err)
	}
	before := r.height(0)
	r.end()
	r = start(t, options(home)) // as planned
	t.Logf("after a stop of all: %v", r.reach(before+1, patience, all...))
}
