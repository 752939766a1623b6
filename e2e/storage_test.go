// Package e2e drives whole networks of real processes with the clients people
// have: the AWS CLI, rclone, s3cmd and CosmJS.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/e2e/network"
)

func TestMain(m *testing.M) {
	code := m.Run()
	network.Clean()
	os.Exit(code)
}

// epoch is the epoch length of the networks under test.
const epoch = "10s"

// shared is a network in one process for tests that break nothing.
func shared(t *testing.T) *network.Network {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network: not with -short")
	}
	return network.Start(t, "--epoch", epoch)
}

// explanation is the part of grange reward explain --json that the test judges.
type explanation struct {
	Outcome struct{ Outcome string }
	Slashed uint64 `json:"slashed_ugrain"`
	Leases  []struct {
		Outcome   string
		UnitsHeld uint64 `json:"units_held"`
		HoldPaid  uint64 `json:"hold_paid_ucredit"`
		UsePaid   uint64 `json:"use_paid_ucredit"`
		Net       uint64 `json:"net_ucredit"`
	}
	Settled struct {
		UsePaid uint64 `json:"use_paid_ucredit"`
		Burned  uint64 `json:"burned_ucredit"`
	}
	Bonus struct {
		Burned uint64 `json:"burned_ugrain"`
		Bonus  uint64 `json:"bonus_ugrain"`
	}
	Reasons []string
}

// The story of the README: copy the Go standard library and a large file in,
// kill 3 of 12 providers, read everything back, and see who was paid and why.
func TestStandardLibrarySurvivesThreeKilledProviders(t *testing.T) {
	if testing.Short() {
		t.Skip("copies hundreds of megabytes: not with -short")
	}
	n := network.Start(t, "--epoch", epoch, "--processes")
	src := filepath.Join(goroot(t), "src")
	big := filepath.Join(t.TempDir(), "big.bin")
	network.RandomFile(t, big, 1<<30, 1)

	n.AWS("s3", "mb", "s3://golang")
	timed(t, "copy the standard library in", func() {
		n.AWS("s3", "cp", "--recursive", "--only-show-errors", "--no-follow-symlinks", src, "s3://golang/src")
	})
	timed(t, "copy 1 GiB in", func() { n.AWS("s3", "cp", "--only-show-errors", big, "s3://golang/big.bin") })
	before := n.WaitEpochs(3)

	killed := []string{"storage-02", "storage-05", "storage-11"}
	for _, name := range killed {
		n.Must("local", "kill", name)
	}
	back := t.TempDir()
	timed(t, "sync everything back", func() { n.AWS("s3", "sync", "--only-show-errors", "s3://golang", back) })
	network.Same(t, network.Digests(t, src), network.Digests(t, filepath.Join(back, "src")))
	network.Same(t, network.Digests(t, filepath.Dir(big)), only(network.Digests(t, back), "big.bin"))

	after := n.WaitEpochs(3)
	devices := deviceNames(t, n)
	why := uint64(0) // an epoch in which a killed provider was at fault
	for name, device := range devices {
		dead := false
		for _, k := range killed {
			dead = dead || k == name
		}
		paid, proven, faulted, slashed, used := uint64(0), 0, 0, uint64(0), uint64(0)
		for e := before + 1; e < after-1; e++ {
			var x explanation
			n.JSON(&x, "reward", "explain", device, fmt.Sprint(e))
			slashed += x.Slashed
			for _, l := range x.Leases {
				if dead && l.Outcome == "faulted" && l.HoldPaid != 0 {
					t.Errorf("%s was paid %d ucredit for the faulted epoch %d", name, l.HoldPaid, e)
				}
				paid += l.HoldPaid
				used += l.UsePaid
				switch l.Outcome {
				case "proven":
					proven++
				case "faulted":
					faulted++
					if name == killed[0] {
						why = e
					}
				}
			}
		}
		switch {
		case dead && (faulted == 0 || slashed == 0):
			t.Errorf("%s was killed, yet epochs %d to %d show %d faults and %d ugrain slashed", name, before, after, faulted, slashed)
		case !dead && (proven == 0 || paid == 0):
			t.Errorf("%s stayed, yet epochs %d to %d show %d proven and %d ucredit paid", name, before, after, proven, paid)
		}
		t.Logf("%s: killed %v, proven %d, faulted %d, paid %d for holding and %d for reading, slashed %d ugrain", name, dead, proven, faulted, paid, used, slashed)
	}
	text := n.Must("reward", "explain", devices[killed[0]], fmt.Sprint(why))
	if !strings.Contains(text, "faulted") || !strings.Contains(text, "gets nothing") {
		t.Errorf("explain does not say why a killed provider got nothing:\n%s", text)
	}
	t.Logf("\n%s", text)
}

// deviceNames maps the names of the local providers to their device ids.
func deviceNames(t *testing.T, n *network.Network) map[string]string {
	t.Helper()
	var plan struct {
		Providers []struct{ Name, Device string }
	}
	decode(t, filepath.Join(n.Home, "network.json"), &plan)
	out := map[string]string{}
	for _, p := range plan.Providers {
		out[p.Name] = p.Device
	}
	if len(out) != 12 {
		t.Fatalf("%d providers in the plan, want 12", len(out))
	}
	return out
}

// goroot is where the Go standard library is.
func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func only(all map[string]string, name string) map[string]string {
	return map[string]string{name: all[name]}
}

func timed(t *testing.T, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
}

// Other clients do the same: rclone and s3cmd copy a tree in and out.
func TestRcloneAndS3cmd(t *testing.T) {
	n := shared(t)
	src := filepath.Join(goroot(t), "src", "net")
	want := network.Digests(t, src)

	t.Run("rclone", func(t *testing.T) {
		n := n.With(t)
		n.MustClient("rclone", "mkdir", "grange:rclone")
		n.MustClient("rclone", "copy", "--transfers", "8", src, "grange:rclone/net")
		n.MustClient("rclone", "check", src, "grange:rclone/net")
		back := t.TempDir()
		n.MustClient("rclone", "copy", "--transfers", "8", "grange:rclone/net", back)
		network.Same(t, want, network.Digests(t, back))
	})
	t.Run("s3cmd", func(t *testing.T) {
		n := n.With(t)
		host := strings.TrimPrefix(n.S3.URL, "http://")
		s3cmd := func(args ...string) string {
			return n.MustClient("s3cmd", append([]string{"--config", "/dev/null", "--no-ssl", "--host", host, "--host-bucket", host, "--region", n.S3.Region,
				"--access_key", n.S3.AccessKey, "--secret_key", n.S3.SecretKey, "--no-progress", "--quiet"}, args...)...)
		}
		s3cmd("mb", "s3://s3cmd")
		s3cmd("sync", src+"/", "s3://s3cmd/net/")
		back := t.TempDir()
		s3cmd("sync", "s3://s3cmd/net/", back+"/")
		network.Same(t, want, network.Digests(t, back))
	})
	t.Run("wrong keys", func(t *testing.T) {
		n := n.With(t)
		out, err := n.Client("aws", "--endpoint-url", n.S3.URL, "s3", "ls", "--no-sign-request")
		if err == nil {
			t.Fatalf("an unsigned request was answered:\n%s", out)
		}
		bad := n.With(t)
		bad.S3.SecretKey = strings.Repeat("x", 40)
		out, err = bad.Client("aws", "--endpoint-url", n.S3.URL, "s3", "ls")
		if err == nil || !strings.Contains(out, "SignatureDoesNotMatch") {
			t.Fatalf("a wrong secret key: %v\n%s", err, out)
		}
	})
	t.Run("a second up on the same home", func(t *testing.T) {
		_, err := n.Run("up")
		if network.ExitCode(err) != 5 || !strings.Contains(fmt.Sprint(err), "running already") {
			t.Fatalf("exit code %d, want 5: %v", network.ExitCode(err), err)
		}
	})
}

// kill -9 of everything in the middle of an upload loses no object that was
// acknowledged, and the same home goes on with the same chain.
func TestKillEverythingDuringUpload(t *testing.T) {
	if testing.Short() {
		t.Skip("starts networks: not with -short")
	}
	n := network.Start(t, "--epoch", epoch)
	n.AWS("s3", "mb", "s3://crash")
	dir := t.TempDir()
	const files, workers = 400, 8
	for i := range files {
		network.RandomFile(t, filepath.Join(dir, fmt.Sprintf("f%03d", i)), int64(1+(i*7919)%(3<<20)>>(uint(i%3)*6)), uint64(i))
	}
	want := network.Digests(t, dir)
	if _, err := exec.LookPath("rclone"); err != nil {
		t.Skip("rclone is not installed: make test installs it where it may")
	}
	height := n.Status().Chain.Height

	// Each worker uploads on its own and notes what was acknowledged.
	var mu sync.Mutex
	acked := map[string]bool{}
	enough := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	work := make(chan string)
	for range workers {
		wg.Go(func() {
			for name := range work {
				if _, err := n.Client("rclone", "copyto", "--retries", "1", "--low-level-retries", "1", "--s3-no-check-bucket", filepath.Join(dir, name), "grange:crash/"+name); err != nil {
					continue
				}
				mu.Lock()
				acked[name] = true
				if len(acked) >= 40 {
					once.Do(func() { close(enough) })
				}
				mu.Unlock()
			}
		})
	}
	go func() {
		defer close(work)
		for i := range files {
			select {
			case <-enough:
				return
			case work <- fmt.Sprintf("f%03d", i):
			}
		}
	}()
	<-enough
	n.Kill()
	wg.Wait()

	n.Up()
	if s := n.Status(); s.Chain.Height < height {
		t.Fatalf("the chain is at height %d after the restart, it was at %d", s.Chain.Height, height)
	}
	back := t.TempDir()
	n.MustClient("rclone", "copy", "--transfers", "8", "grange:crash", back)
	got := network.Digests(t, back)
	for name := range acked {
		if got[name] != want[name] {
			t.Errorf("%s was acknowledged and came back as %q, want %s", name, got[name], want[name])
		}
	}
	for name, sum := range got {
		if want[name] != sum {
			t.Errorf("%s came back damaged or half uploaded", name)
		}
	}
	t.Logf("%d of %d files acknowledged before the kill, %d there after it", len(acked), files, len(got))
}
