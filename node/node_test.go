package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childRole names the role a re-executed test binary serves.
const childRole = "GRANGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childRole); name != "" {
		os.Exit(serveChild(name))
	}
	goleak.VerifyTestMain(m)
}

// serveChild is the process of a role under test.
func serveChild(name string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	r := NewFunc(name, func(ctx context.Context, r *Func) error {
		switch name {
		case "broken":
			fmt.Println("disk is on fire")
			return errors.New("broken")
		case "deaf":
			r.MarkReady()
			select {}
		}
		r.SetStatus(func() any { return map[string]int{"served": 7} })
		r.MarkReady()
		<-ctx.Done()
		return nil
	})
	if err := Serve(ctx, r); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func child(t *testing.T, name string) Spec {
	t.Helper()
	log := filepath.Join(t.TempDir(), name+".log")
	return Spec{Name: name, Kind: "child", New: func() (Role, error) {
		return NewProcess(name, log, "/usr/bin/env", childRole+"="+name, os.Args[0]), nil
	}}
}

// trace records the order of events.
type trace struct {
	mu sync.Mutex
	ev []string
}

func (tr *trace) add(e Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ev = append(tr.ev, e.Name+" "+string(e.State))
}

func (tr *trace) all() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.ev)
}

func quiet(name string, stage int) Spec {
	return Spec{Name: name, Kind: "test", Stage: stage, New: func() (Role, error) {
		return NewFunc(name, func(ctx context.Context, r *Func) error {
			r.MarkReady()
			<-ctx.Done()
			return nil
		}), nil
	}}
}

func failing(name string, stage int, err error) Spec {
	return Spec{Name: name, Kind: "test", Stage: stage, New: func() (Role, error) {
		return NewFunc(name, func(context.Context, *Func) error { return err }), nil
	}}
}

func newSupervisor(t *testing.T, tr *trace, specs ...Spec) *Supervisor {
	t.Helper()
	o := Options{Grace: 3 * time.Minute}
	if tr != nil {
		o.OnEvent = tr.add
	}
	s, err := New(specs, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.StopAll(context.Background()) })
	return s
}

func states(s *Supervisor) string {
	var out []string
	for _, i := range s.List() {
		out = append(out, i.Name+"="+string(i.State))
	}
	return strings.Join(out, " ")
}

func TestStagesStartInOrderAndStopInReverse(t *testing.T) {
	tr := new(trace)
	s := newSupervisor(t, tr, quiet("door", 2), quiet("chain", 0), quiet("disk", 1))
	if err := s.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(s); got != "chain=ready disk=ready door=ready" {
		t.Errorf("states: %s", got)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"chain starting", "chain ready", "disk starting", "disk ready", "door starting", "door ready",
		"door stopping", "door stopped", "disk stopping", "disk stopped", "chain stopping", "chain stopped",
	}
	if got := tr.all(); !slices.Equal(got, want) {
		t.Errorf("events:\n got %v\nwant %v", got, want)
	}
}

func TestRefusals(t *testing.T) {
	s := newSupervisor(t, nil, quiet("a", 0))
	ctx := t.Context()
	cases := []struct {
		name string
		do   func() error
		want error
	}{
		{"stop what does not run", func() error { return s.Stop(ctx, "a") }, ErrWrongState},
		{"kill what does not run", func() error { return s.Kill("a") }, ErrWrongState},
		{"start an unknown name", func() error { return s.Start(ctx, "b") }, ErrUnknownRole},
		{"stop an unknown name", func() error { return s.Stop(ctx, "b") }, ErrUnknownRole},
		{"kill an unknown name", func() error { return s.Kill("b") }, ErrUnknownRole},
		{"start", func() error { return s.Start(ctx, "a") }, nil},
		{"start what runs", func() error { return s.Start(ctx, "a") }, ErrWrongState},
		{"kill", func() error { return s.Kill("a") }, nil},
		{"start again", func() error { return s.Start(ctx, "a") }, nil},
		{"stop", func() error { return s.Stop(ctx, "a") }, nil},
		{"stop all", func() error { return s.StopAll(ctx) }, nil},
		{"start after stop all", func() error { return s.Start(ctx, "a") }, ErrWrongState},
	}
	for _, c := range cases {
		if err := c.do(); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := New([]Spec{quiet("a", 0), quiet("a", 1)}, Options{}); err == nil {
		t.Error("two roles of one name were accepted")
	}
}

func TestAFailureStaysInSightAndIsNotRestarted(t *testing.T) {
	boom := errors.New("no disk")
	starts := 0
	spec := Spec{Name: "disk", Stage: 1, New: func() (Role, error) {
		starts++
		return NewFunc("disk", func(context.Context, *Func) error { return boom }), nil
	}}
	s := newSupervisor(t, nil, quiet("chain", 0), spec, quiet("door", 2))
	err := s.StartAll(t.Context())
	var re *RunError
	if !errors.As(err, &re) || re.Role != "disk" || !errors.Is(err, boom) {
		t.Fatalf("start all: %v", err)
	}
	if got := states(s); got != "chain=ready disk=failed door=stopped" {
		t.Errorf("states: %s", got)
	}
	if p := s.Problems(); len(p) != 1 || p[0].Role != "disk" || p[0].What != "no disk" {
		t.Errorf("problems: %v", p)
	}
	if starts != 1 {
		t.Errorf("started %d times", starts)
	}
}

func TestAnOptionalFailureDoesNotStopTheStart(t *testing.T) {
	broken := failing("disk", 1, errors.New("no disk"))
	broken.Optional = true
	s := newSupervisor(t, nil, quiet("chain", 0), broken, quiet("door", 2))
	if err := s.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(s); got != "chain=ready disk=failed door=ready" {
		t.Errorf("states: %s", got)
	}
	if len(s.Problems()) != 1 {
		t.Errorf("problems: %v", s.Problems())
	}
}

func TestARoleThatReturnsEarlyHasFailed(t *testing.T) {
	s := newSupervisor(t, nil, failing("a", 0, nil))
	if err := s.Start(t.Context(), "a"); !errors.Is(err, errEarlyReturn) {
		t.Errorf("start: %v", err)
	}
	if got := states(s); got != "a=failed" {
		t.Errorf("states: %s", got)
	}
}

func TestProcessRole(t *testing.T) {
	s := newSupervisor(t, nil, child(t, "disk"))
	if err := s.Start(t.Context(), "disk"); err != nil {
		t.Fatal(err)
	}
	first := s.List()[0]
	if first.PID == os.Getpid() || first.PID == 0 {
		t.Errorf("pid %d", first.PID)
	}
	if err := s.Kill("disk"); err != nil {
		t.Fatal(err)
	}
	if got := states(s); got != "disk=killed" {
		t.Errorf("states: %s", got)
	}
	if err := syscall.Kill(first.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after kill: %v", first.PID, err)
	}
	if err := s.Start(t.Context(), "disk"); err != nil {
		t.Fatal(err)
	}
	if second := s.List()[0]; second.PID == first.PID {
		t.Errorf("same pid %d after restart", second.PID)
	}
	if err := s.Stop(t.Context(), "disk"); err != nil {
		t.Fatal(err)
	}
}

func TestProcessThatFailsSaysWhereItsOutputIs(t *testing.T) {
	s := newSupervisor(t, nil, child(t, "broken"))
	err := s.Start(t.Context(), "broken")
	if err == nil || !strings.Contains(err.Error(), "exit status 1; its output is in ") {
		t.Fatalf("start: %v", err)
	}
	log := err.Error()[strings.LastIndex(err.Error(), " ")+1:]
	if b, _ := os.ReadFile(log); !strings.Contains(string(b), "disk is on fire") {
		t.Errorf("log %s: %q", log, b)
	}
}

func TestProcessThatIgnoresTheEndIsKilled(t *testing.T) {
	s, err := New([]Spec{child(t, "deaf")}, Options{Grace: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(s); got != "deaf=killed" {
		t.Errorf("states: %s", got)
	}
	if p := s.Problems(); len(p) != 1 || !strings.Contains(p[0].What, "did not stop within 200ms") {
		t.Errorf("problems: %v", p)
	}
}

func TestLockNamesTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := Lock(path); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("second lock: %v", err)
	}
	release()
	release, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestControl(t *testing.T) {
	for _, c := range []struct{ name, dir string }{
		{"short path", "h"},
		{"path longer than a socket address", strings.Repeat("long/", 30)},
	} {
		t.Run(c.name, func(t *testing.T) { testControl(t, filepath.Join(t.TempDir(), c.dir)) })
	}
}

func testControl(t *testing.T, home string) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	cl := NewClient(home)
	if _, _, _, err := cl.List(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("list without a node: %v", err)
	}
	s := newSupervisor(t, nil, quiet("a", 0), failing("b", 1, errors.New("boom")))
	for range 2 { // the second time over the socket the first left
		l, err := ListenControl(home)
		if err != nil {
			t.Fatal(err)
		}
		exerciseControl(t, cl, s, l)
	}
}

func exerciseControl(t *testing.T, cl *Client, s *Supervisor, l net.Listener) {
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	served := make(chan error, 1)
	go func() { served <- Control(ctx, l, s, func() { close(stopped) }) }()

	if err := cl.Start(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := cl.Start(ctx, "a"); !errors.Is(err, ErrWrongState) {
		t.Errorf("start twice: %v", err)
	}
	if err := cl.Kill(ctx, "nobody"); !errors.Is(err, ErrUnknownRole) {
		t.Errorf("kill nobody: %v", err)
	}
	if err := cl.Start(ctx, "b"); err == nil || err.Error() != "run b: boom" {
		t.Errorf("start b: %v", err)
	}
	roles, problems, pid, err := cl.List(ctx)
	if err != nil || pid != os.Getpid() || len(roles) != 2 || roles[0].State != Ready || roles[1].State != Failed {
		t.Errorf("list: %+v pid %d: %v", roles, pid, err)
	}
	if len(problems) == 0 {
		t.Error("no problem is shown")
	}
	if err := cl.Stop(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := cl.StopNode(ctx); err != nil {
		t.Error(err)
	}
	<-stopped
	cancel()
	if err := <-served; err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("serve: %v", err)
	}
}
