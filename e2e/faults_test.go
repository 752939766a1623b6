package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/e2e/network"
)

// patience is how long a test waits for what must happen: only a failure takes
// so long.
const patience = 3 * time.Minute

// ledgerLease is the part of grange lease list --json that the tests judge.
type ledgerLease struct {
	ID, Device, State string
	Reason            string
	Held              uint64
	Left              uint64 `json:"left_ucredit"`
	Refunded          uint64 `json:"refunded_ucredit"`
	Deposited         uint64 `json:"deposited_ucredit"`
	Paid              uint64 `json:"paid_ucredit"`
	HoldPaid          uint64 `json:"hold_paid_ucredit"`
	Lanes             []struct{ Units uint64 }
}

func leases(n *network.Network, args ...string) (out []ledgerLease) {
	n.JSON(&out, append([]string{"lease", "list"}, args...)...)
	return out
}

// saysProblem reports whether status --json names a problem with all the words.
func saysProblem(n *network.Network, words ...string) bool {
	for _, p := range n.Status().Problems {
		all := true
		for _, w := range words {
			all = all && strings.Contains(p.Role+" "+p.What, w)
		}
		if all {
			return true
		}
	}
	return false
}

// Providers that have no port, lie about a piece or have no room: clients notice
// nothing, and the operator is told.
func TestProvidersWithoutPortWithDamageWithoutRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes: not with -short")
	}
	n := network.Start(t, "--epoch", "5s", "--processes", "--scrub", "10s")
	devices := deviceNames(t, n)
	routed, liar, tiny := "storage-12", "storage-03", "storage-07"
	dir := t.TempDir()
	for i := range 3 {
		network.RandomFile(t, filepath.Join(dir, fmt.Sprintf("f%d", i)), 24<<20, uint64(40+i))
	}
	want := network.Digests(t, dir)
	n.AWS("s3", "mb", "s3://faults")

	// The disk of one provider is full: the others take its pieces.
	n.Must("local", "stop", tiny)
	setCapacity(t, n.Home, tiny, 1<<20)
	n.Must("local", "start", tiny)
	n.AWS("s3", "cp", "--recursive", "--only-show-errors", dir, "s3://faults/")
	readBack(t, n, want)
	n.Until(patience, "the full provider is a problem", func() bool { return saysProblem(n, "gateway", "full", devices[tiny]) })

	// One provider dials out only; it is paid for what it proves and what is read.
	var all []struct{ ID, Endpoint string }
	n.JSON(&all, "device", "list")
	for _, d := range all {
		if is := strings.HasPrefix(d.Endpoint, "router://"); is != (d.ID == devices[routed]) {
			t.Errorf("device %s is reached at %s", d.ID, d.Endpoint)
		}
	}
	n.Until(patience, "the routed provider was paid for holding and reading", func() bool {
		for _, l := range leases(n, "--device", devices[routed]) {
			if l.HoldPaid > 0 && len(l.Lanes) > 0 && l.Lanes[0].Units > 0 {
				return true
			}
		}
		readBack(t, n, want)
		return false
	})
	n.Must("local", "kill", "gateway")
	n.Must("local", "start", "gateway")
	before := unitsRead(n, devices[routed])
	n.Until(patience, "the routed provider serves reads after a restart of its router", func() bool {
		readBack(t, n, want)
		return unitsRead(n, devices[routed]) > before
	})

	// One provider's disk flips a bit of every piece: read on, and say who.
	flipped := flipPieces(t, filepath.Join(n.Home, "data", liar, "pieces"))
	if flipped == 0 {
		t.Fatalf("%s holds no piece", liar)
	}
	n.Until(patience, "the gateway names the provider whose pieces are damaged", func() bool {
		readBack(t, n, want)
		return saysProblem(n, "gateway", "damaged", devices[liar])
	})
	n.Until(patience, "the provider found the damage itself", func() bool { return saysProblem(n, liar, "check piece") })
}

func unitsRead(n *network.Network, device string) (units uint64) {
	for _, l := range leases(n, "--device", device) {
		for _, a := range l.Lanes {
			units += a.Units
		}
	}
	return units
}

func readBack(t *testing.T, n *network.Network, want map[string]string) {
	t.Helper()
	back := t.TempDir()
	n.AWS("s3", "cp", "--recursive", "--only-show-errors", "s3://faults/", back)
	network.Same(t, want, network.Digests(t, back))
}

// flipPieces flips one bit early in every piece file and returns how many.
func flipPieces(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		for off := int64(100); off < 6<<20; off += 64 << 10 {
			if _, err := f.ReadAt(b, off); err != nil {
				break
			}
			b[0] ^= 4
			if _, err := f.WriteAt(b, off); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	return len(files)
}

// setCapacity changes how much a provider stores in the plan of the home.
func setCapacity(t *testing.T, home, name string, bytes uint64) {
	t.Helper()
	path := filepath.Join(home, "network.json")
	var plan map[string]any
	decode(t, path, &plan)
	for _, p := range plan["providers"].([]any) {
		if p := p.(map[string]any); p["name"] == name {
			p["capacity_bytes"] = bytes
		}
	}
	b, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An escrow runs dry: grace (reads, no writes), a top-up that saves one lease,
// the end of the others with their refund.
func TestEscrowRunsDry(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network: not with -short")
	}
	n := network.Start(t, "--epoch", "5s", "--no-topup", "--hold-epochs", "1")
	dir := t.TempDir()
	network.RandomFile(t, filepath.Join(dir, "f"), 64<<20, 7)
	want := network.Digests(t, dir)
	n.AWS("s3", "mb", "s3://faults")
	n.AWS("s3", "cp", "--only-show-errors", filepath.Join(dir, "f"), "s3://faults/f")
	count := func(state string) int { return n.Status().Leases[state] }
	n.Until(patience, "five leases in grace", func() bool { return count("grace") >= 5 })

	readBack(t, n, want)
	out, err := n.Client("aws", "--endpoint-url", n.S3.URL, "s3api", "put-object", "--bucket", "faults", "--key", "no", "--body", filepath.Join(dir, "f"))
	if err == nil || !strings.Contains(out, "AccessDenied") || !strings.Contains(out, "exhausted") || !strings.Contains(out, "grange lease fund") {
		t.Errorf("a write without escrow: %v\n%s", err, out)
	}
	var saved string
	for _, l := range leases(n) {
		if l.State == "grace" {
			saved = l.ID
		}
	}
	if text := n.Must("lease", "fund", saved[:16], "1.5"); !strings.Contains(text, "is open") {
		t.Errorf("a funded lease: %s", text)
	}
	n.Until(patience, "the other leases end", func() bool { return count("closed") >= 5 })
	for _, l := range leases(n) {
		switch {
		case l.ID == saved && l.State != "open":
			t.Errorf("the funded lease is %s (%s)", l.State, l.Reason)
		case l.State == "closed" && (l.Left != 0 || l.Refunded == 0 || l.Paid+l.Refunded != l.Deposited):
			t.Errorf("closed lease %s: %d deposited, %d paid, %d refunded, %d left", l.ID, l.Deposited, l.Paid, l.Refunded, l.Left)
		}
	}
	t.Logf("\n%s", n.Must("lease", "list"))
}

// What reaches the door damaged or by halves is refused and leaves nothing.
func TestDamagedUploads(t *testing.T) {
	n := shared(t)
	n.AWS("s3", "mb", "s3://faults")
	file := filepath.Join(t.TempDir(), "f")
	network.RandomFile(t, file, 300_000, 3)
	out, err := n.Client("aws", "--endpoint-url", n.S3.URL, "s3api", "put-object", "--bucket", "faults", "--key", "digest", "--body", file,
		"--content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
	if err == nil || !strings.Contains(out, "BadDigest") {
		t.Errorf("a wrong digest: %v\n%s", err, out)
	}
	if code := truncatedPut(t, n, "/faults/half", file, 900_000); code/100 == 2 {
		t.Errorf("a truncated upload was answered %d", code)
	}
	if left := n.AWS("s3", "ls", "--recursive", "s3://faults/"); strings.TrimSpace(left) != "" {
		t.Errorf("refused uploads left:\n%s", left)
	}
	malformedTransactions(t, n.With(t))
}

// malformedTransactions sends what is no transaction to the REST door: each is
// refused with a code and a sentence.
func malformedTransactions(t *testing.T, n *network.Network) {
	for name, body := range map[string]string{
		"not JSON":        `{`,
		"no bytes":        `{"tx_bytes":"","mode":"BROADCAST_MODE_SYNC"}`,
		"not base64":      `{"tx_bytes":"%%","mode":"BROADCAST_MODE_SYNC"}`,
		"random bytes":    `{"tx_bytes":"3q2+7w==","mode":"BROADCAST_MODE_SYNC"}`,
		"an empty body":   `{"tx_bytes":"CgASABoA","mode":"BROADCAST_MODE_SYNC"}`,
		"unknown message": `{"tx_bytes":"CgwKCgoEL3guWRICCAESABoA","mode":"BROADCAST_MODE_SYNC"}`,
	} {
		t.Run(name, func(t *testing.T) {
			res, err := http.Post(n.REST+"/cosmos/tx/v1beta1/txs", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var answer struct {
				Code     int
				Message  string
				Response struct {
					Code      int
					Codespace string
					RawLog    string `json:"raw_log"`
				} `json:"tx_response"`
			}
			if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
				t.Fatalf("status %d: %v", res.StatusCode, err)
			}
			refused := answer.Code != 0 && answer.Message != ""
			typed := answer.Response.Code != 0 && answer.Response.Codespace != "" && answer.Response.RawLog != ""
			if !refused && !typed {
				t.Errorf("status %d: %+v", res.StatusCode, answer)
			}
		})
	}
}
