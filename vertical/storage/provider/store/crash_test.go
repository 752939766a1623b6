package store

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

const crashEnv = "GRANGE_STORE_CRASH_DIR"

// writeUntilKilled is the child of TestKillDuringWrites: it stores pieces, commits
// them, saves lane states, and prints each only after the store acknowledged it.
func writeUntilKilled() {
	s, err := Open(Options{Dir: os.Getenv(crashEnv), Capacity: 1 << 40, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	base, _ := strconv.ParseUint(os.Getenv(crashEnv+"_SEED"), 10, 64)
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for worker := range uint64(4) {
		go func() {
			for i := uint64(0); ; i++ {
				seed := base + worker*1000 + i
				data := randomBytes(seed, 30_000+int(seed%40_000))
				root := rootOf(data)
				if _, err := s.Put(leaseB, root, int64(len(data)), bytes.NewReader(data)); err != nil {
					say("error %v", err)
					return
				}
				say("put %v", root)
			}
		}()
	}
	newest, _ := s.Commitment(leaseA)
	set, err := s.Set(leaseA)
	for revision := newest.Revision + 1; err == nil; revision++ {
		data := randomBytes(base+5000+revision, 10_000)
		root := rootOf(data)
		s.Put(leaseA, root, 10_000, bytes.NewReader(data))
		if set, err = set.Add(proof.Piece{Root: root, Size: 10_000}); err != nil {
			break
		}
		c := receipt.Commitment{Lease: leaseA, Revision: revision, Root: set.Root(), Units: set.Units()}
		if err = s.Commit(c, set, []piece.Root{root}, nil); err == nil {
			say("commit %d %x", revision, c.Root)
		}
		if err = s.SaveLane(leaseA, 1, []byte(strconv.FormatUint(revision, 10))); err == nil {
			say("lane %d", revision)
		}
	}
	say("error %v", err)
	select {}
}

// TestKillDuringWrites kills a writing process with SIGKILL again and again. What
// was acknowledged must be there and whole, and nothing torn may be left.
func TestKillDuringWrites(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range rounds {
		out := runAndKill(t, dir, uint64(round)*10_000, time.Duration(60+90*(round%4))*time.Millisecond)
		commits := parseAcknowledged(t, out, acknowledged)
		s, _ := open(t, dir, 1<<40)
		if len(s.Lost()) > 0 {
			t.Fatalf("round %d: lost %v", round, s.Lost())
		}
		for name := range acknowledged {
			root, _ := piece.ParseRoot(name)
			if _, ok := s.Holds(leaseB, root); !ok {
				t.Fatalf("round %d: acknowledged piece %s is gone", round, name)
			}
			if err := s.Check(root); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		checkCommitted(t, s, commits)
		if u := s.Usage(); countFiles(t, dir) != u.Pieces {
			t.Fatalf("round %d: %d files, %d pieces", round, countFiles(t, dir), u.Pieces)
		}
		s.Close()
	}
	if len(acknowledged) < rounds {
		t.Errorf("only %d pieces acknowledged in %d rounds", len(acknowledged), rounds)
	}
}

func runAndKill(t *testing.T, dir string, seed uint64, after time.Duration) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir, crashEnv+"_SEED="+strconv.FormatUint(seed, 10))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	lines := bufio.NewScanner(stdout)
	lines.Scan() // it runs
	out.WriteString(lines.Text() + "\n")
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
	}
	cmd.Wait()
	return out.String()
}

type committed struct {
	roots map[uint64]string
	lane  uint64
}

func parseAcknowledged(t *testing.T, out string, pieces map[string]bool) (c committed) {
	t.Helper()
	c.roots = map[uint64]string{}
	lines := strings.Split(out, "\n")
	for _, line := range lines[:len(lines)-1] {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "put" && len(f[1]) == 64:
			pieces[f[1]] = true
		case len(f) == 3 && f[0] == "commit" && len(f[2]) == 64:
			revision, _ := strconv.ParseUint(f[1], 10, 64)
			c.roots[revision] = f[2]
		case len(f) == 2 && f[0] == "lane":
			c.lane, _ = strconv.ParseUint(f[1], 10, 64)
		case len(f) > 0 && f[0] == "error":
			t.Fatal(line)
		}
	}
	return c
}

func checkCommitted(t *testing.T, s *Store, c committed) {
	t.Helper()
	for revision, want := range c.roots {
		root, _ := hex.DecodeString(want)
		set, err := s.SetAt(leaseA, [32]byte(root))
		if err != nil || hex.EncodeToString(root) != fmt.Sprintf("%x", set.Root()) {
			t.Fatalf("acknowledged commitment %d: %v", revision, err)
		}
	}
	if newest, _ := s.Commitment(leaseA); c.lane > newest.Revision {
		t.Fatalf("lane at %d, commitment at %d", c.lane, newest.Revision)
	}
	if c.lane > 0 {
		got, _ := strconv.ParseUint(string(s.Lane(leaseA, 1)), 10, 64)
		if got < c.lane {
			t.Fatalf("lane state %d, acknowledged %d", got, c.lane)
		}
	}
}
