package provider

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
)

const crashEnv = "GRANGE_PROVIDER_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		serveUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// crashLedger holds a lease that the child and its parent agree on.
func crashLedger(t testing.TB, key receipt.Key) (*ledger, [32]byte) {
	l := newLedger([32]byte{0xde}, key)
	return l, l.open(t, 1, 64<<20, 1_000_000, 1_000_000, tunnel.KeyOf(payerKey))
}

// serveUntilKilled is the child of TestKillWhileServing.
func serveUntilKilled(dir string) {
	key := keyOf(200)
	ledger, _ := crashLedger(&testing.T{}, receipt.Key(tunnel.KeyOf(key)))
	p, err := Open(Config{
		Dir: dir, Capacity: 1 << 30, Chain: chainID, Device: ledger.device, Key: key,
		Leases: ledger, Oracle: ledger, Market: ledger, PeerKey: tunnel.PeerKey, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	l, err := tunnel.Listen(base, key, tunnel.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(base.Addr())
	(&http.Server{Handler: p.Handler(), ConnContext: tunnel.ConnContext}).Serve(l)
	os.Exit(0)
}

func child(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("child: %q %v", line, err)
	}
	return strings.TrimSpace(line), sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
}

// TestKillWhileServing kills a serving provider with SIGKILL at any moment of a read.
// Whatever it acknowledged it still has; it never forgets bytes that it sent; and what
// it sent and was not paid for stays within the window.
func TestKillWhileServing(t *testing.T) {
	dir := t.TempDir()
	key := keyOf(200)
	n := &node{key: key}
	_, id := crashLedger(t, receipt.Key(tunnel.KeyOf(key)))
	data := randomBytes(1, 1<<20)
	var acked, received, seq uint64
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		var kill func()
		n.addr, kill = child(t, dir)
		p := n.payer(t, id, payerKey)
		p.seq = seq
		root, r := p.put(data)
		if want := map[bool]int{true: http.StatusCreated, false: http.StatusOK}[round == 0]; r.status != want {
			t.Fatalf("round %d: put: %d, want %d", round, r.status, want)
		}
		if acked > 0 {
			newest := p.do("GET", "/v1/receipts"+p.q()+"&lane=1", nil, 0, nil).want(t, http.StatusOK)
			if r, err := receipt.Decode(newest.body); err != nil || r.Units < acked {
				t.Fatalf("round %d: acknowledged %d units, now %d: %v", round, acked, r.Units, err)
			}
		}
		due := p.get(root, 0, 1<<20, nil).wantCode(t, http.StatusPaymentRequired, CodeReceiptDue).json(t)
		served := uint64(due["units_served"].(float64))
		if served < received {
			t.Fatalf("round %d: %d bytes received, %d counted", round, received, served)
		}
		if window := uint64(due["window"].(float64)); served-acked > window {
			t.Fatalf("round %d: %d served, %d paid: beyond %d", round, served, acked, window)
		}
		if served > acked { // pay up, as a payer that concedes would
			p.pay(p.receipt(served)).want(t, http.StatusOK)
			acked, received = served, max(received, served)
		}
		timer := time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, kill)
		received = p.readUntilKilled(root, received)
		timer.Stop()
		kill()
		seq = p.seq
	}
	if received < 1 {
		t.Error("nothing was read before any kill")
	}
}

// readUntilKilled reads small ranges until the connection breaks and returns the count
// of all bytes received so far.
func (p *payer) readUntilKilled(root piece.Root, received uint64) uint64 {
	for {
		req, err := http.NewRequest("GET", fmt.Sprintf("http://provider/v1/pieces/%v%s&offset=0&length=10000", root, p.q()), nil)
		if err != nil {
			p.t.Fatal(err)
		}
		res, err := p.http.Do(req)
		if err != nil {
			return received
		}
		if res.StatusCode != http.StatusOK {
			res.Body.Close()
			return received
		}
		s, err := piece.NewSliceReader(res.Body, root, 1<<20, 0, 10000)
		if err != nil {
			p.t.Fatal(err)
		}
		var b [10000]byte
		for total := 0; ; {
			m, err := s.Read(b[:])
			total += m
			received += uint64(m)
			if err != nil {
				break
			}
		}
		res.Body.Close()
	}
}
