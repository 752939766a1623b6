package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// pair is two validators' p2p ports, where the second echoes lines, and the
// links between them.
func pair(t *testing.T) (*Links, *bufio.ReadWriter, net.Conn) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	p := &Plan{Validators: []ValidatorPlan{{Name: "a"}, {Name: "b"}}}
	if err := p.choosePorts(PortChoice{Auto: true}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", p.addr(1, p2pPort))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, in.Text())
				}
			}()
		}
	}()
	s, err := newLinks(p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.serve(ctx) }()
	t.Cleanup(func() { l.Close(); cancel(); <-done; goleak.VerifyNone(t, before) })
	c, err := net.Dial("tcp", p.linkAddr(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return s, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), c
}

func say(t *testing.T, rw *bufio.ReadWriter, line string) {
	t.Helper()
	fmt.Fprintln(rw, line)
	if err := rw.Flush(); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, rw *bufio.ReadWriter, want string) {
	t.Helper()
	if got, err := rw.ReadString('\n'); err != nil || got != want+"\n" {
		t.Fatalf("heard %q (%v), want %q", got, err, want)
	}
}

func TestCutHoldsBackAndHealDelivers(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   string
		to     string
		oneWay bool
	}{
		{"both ways", "a", "b", false},
		{"only there", "a", "b", true},
		{"only back", "b", "a", true},
		{"all of one", "b", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, rw, conn := pair(t)
			say(t, rw, "one")
			hear(t, rw, "one")
			if err := s.Cut(c.from, c.to, c.oneWay); err != nil {
				t.Fatal(err)
			}
			say(t, rw, "two")
			conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := rw.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("the link is cut, yet: %v", err)
			}
			conn.SetReadDeadline(time.Time{})
			if err := s.Heal("", "", false); err != nil {
				t.Fatal(err)
			}
			hear(t, rw, "two")
		})
	}
}

func TestDelay(t *testing.T) {
	s, rw, _ := pair(t)
	if err := s.Delay("a", "b", false, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	say(t, rw, "x")
	hear(t, rw, "x")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Fatalf("there and back took %v, want 100 ms or more", took)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	s, _, _ := pair(t)
	for _, o := range []LinkOrder{
		{Verb: "cut", A: "a", B: "c"}, {Verb: "cut", A: "a", B: "a"}, {Verb: "melt", A: "a"},
		{Verb: "delay", A: "a", DelayMillis: -1}, {Verb: "delay", A: "a", DelayMillis: 1 << 62},
	} {
		if err := s.Do(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	for _, l := range s.List() {
		if l.Cut || l.DelayMillis != 0 {
			t.Errorf("refused orders changed %+v", l)
		}
	}
}
