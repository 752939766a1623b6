package ntrip

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate knows one base password and one rover; budget is in seconds served.
type gate struct {
	places map[string]Position
	budget atomic.Int64 // milliseconds
	served atomic.Int64
	open   atomic.Int64
	mu     sync.Mutex
	bases  []string // that served, without repetition
}

func (g *gate) Base(_ context.Context, mount, _, password string) (*Position, error) {
	if password != "secret" {
		return nil, ErrDenied
	}
	if p, ok := g.places[mount]; ok {
		return &p, nil
	}
	return nil, nil
}

func (g *gate) Rover(_ context.Context, _, name, password string) (Session, error) {
	switch {
	case name != "rover" || password != "token":
		return nil, ErrDenied
	case g.budget.Load() <= 0:
		return nil, ErrUnpaid
	}
	g.open.Add(1)
	return g, nil
}

func (g *gate) Served(_ context.Context, base string, d time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.bases); n == 0 || g.bases[n-1] != base {
		g.bases = append(g.bases, base)
	}
	g.served.Add(d.Milliseconds())
	if g.budget.Add(-d.Milliseconds()) <= 0 {
		return ErrUnpaid
	}
	return nil
}

func (g *gate) Close() { g.open.Add(-1) }

func start(t testing.TB, g *gate, change func(*Config)) (*Caster, string) {
	t.Helper()
	cfg := Config{Gate: g, Silence: time.Minute}
	if g.budget.Load() == 0 {
		g.budget.Store(1 << 40)
	}
	if change != nil {
		change(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if n := g.open.Load(); n != 0 {
			t.Errorf("%d sessions were not closed", n)
		}
	})
	return c, l.Addr().String()
}

func dial(t testing.TB, addr, head string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func expect(t testing.TB, r *bufio.Reader, want string) {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, want) {
		t.Fatalf("answer %q, %v, want %q", line, err, want)
	}
	for !strings.HasPrefix(want, "ICY") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(line) == "" {
			return
		}
	}
}

var basic = base64.StdEncoding.EncodeToString([]byte("rover:token"))

func oldRover(mount string) string {
	return "GET /" + mount + " HTTP/1.0\r\nUser-Agent: NTRIP test\r\nAuthorization: Basic " + basic + "\r\n\r\n"
}

func push(t testing.TB, addr, mount string) net.Conn {
	t.Helper()
	conn, r := dial(t, addr, "SOURCE secret /"+mount+"\r\nSource-Agent: NTRIP test\r\n\r\n")
	expect(t, r, "ICY 200 OK")
	return conn
}

func capture(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("../rtcm/testdata/multi.rtcm3")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What a base pushes, by either version, rovers of either version pull.
func TestPushAndPull(t *testing.T) {
	raw := capture(t)
	for _, v := range []string{"1", "2"} {
		t.Run("base version "+v, func(t *testing.T) {
			g := &gate{}
			c, addr := start(t, g, nil)
			var base net.Conn
			var body io.WriteCloser
			if v == "1" {
				base = push(t, addr, "BASE")
				body = base
			} else {
				conn, r := dial(t, addr, "POST /BASE HTTP/1.1\r\nHost: x\r\nNtrip-Version: Ntrip/2.0\r\nAuthorization: Basic "+
					base64.StdEncoding.EncodeToString([]byte("me:secret"))+"\r\nTransfer-Encoding: chunked\r\n\r\n")
				expect(t, r, "HTTP/1.1 200")
				base, body = conn, &chunks{conn}
			}
			_, old := dial(t, addr, oldRover("BASE"))
			expect(t, old, "ICY 200 OK")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/BASE", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Ntrip-Version", "Ntrip/2.0")
			req.SetBasicAuth("rover", "token")
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "gnss/data" {
				t.Fatalf("version 2 rover: %v, %v", res, err)
			}
			defer func() { _ = res.Body.Close() }()
			joined(c, 2)
			go func() {
				_, _ = body.Write(raw)
				_ = body.Close()
				if v == "2" {
					_ = base.Close()
				}
			}()
			for name, in := range map[string]io.Reader{"1": old, "2": res.Body} {
				got, err := io.ReadAll(in)
				if err != nil || !bytes.Equal(got, raw) {
					t.Errorf("version %s rover got %d bytes, %v, want the %d pushed", name, len(got), err, len(raw))
				}
			}
		})
	}
}

// joined waits for n rovers on the only base.
func joined(c *Caster, n int) {
	for b := c.Bases(); len(b) == 0 || b[0].Rovers < n; b = c.Bases() {
		time.Sleep(time.Millisecond)
	}
}

// chunks writes a body in chunks.
type chunks struct{ w io.Writer }

func (c *chunks) Write(p []byte) (int, error) {
	for len(p) > 0 {
		n := min(len(p), 777)
		if _, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", n, p[:n]); err != nil {
			return 0, err
		}
		p = p[n:]
	}
	return 0, nil
}

func (c *chunks) Close() error {
	_, err := io.WriteString(c.w, "0\r\n\r\n")
	return err
}

func TestRefusals(t *testing.T) {
	g := &gate{}
	c, addr := start(t, g, nil)
	base := push(t, addr, "BASE")
	poor := &gate{}
	poor.budget.Store(-1)
	for _, tt := range []struct{ name, head, want string }{
		{"wrong base password", "SOURCE wrong BASE2\r\n\r\n", "ERROR - Bad Password"},
		{"mount taken", "SOURCE secret BASE\r\n\r\n", "ERROR - Mount Point Taken"},
		{"reserved mount", "SOURCE secret near\r\n\r\n", "ERROR - Mount Point Taken or Invalid"},
		{"mount with a slash", "SOURCE secret a/b\r\n\r\n", "ERROR - Mount Point Taken or Invalid"},
		{"version 2 mount taken", "POST /BASE HTTP/1.1\r\nNtrip-Version: Ntrip/2.0\r\nAuthorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x:secret")) + "\r\n\r\n", "HTTP/1.1 409"},
		{"rover without a password", "GET /BASE HTTP/1.0\r\n\r\n", "HTTP/1.0 401"},
		{"version 2, unknown mount", "GET /NONE HTTP/1.1\r\nNtrip-Version: Ntrip/2.0\r\n\r\n", "HTTP/1.1 404"},
		{"version 1, unknown mount", "GET /NONE HTTP/1.0\r\n\r\n", "SOURCETABLE 200 OK"},
	} {
		_, r := dial(t, addr, tt.head)
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, tt.want) {
			t.Errorf("%s: answer %q, %v, want %q", tt.name, line, err, tt.want)
		}
	}
	_ = base.Close()
	for len(c.Bases()) > 0 {
		time.Sleep(time.Millisecond)
	}
	_, addr = start(t, poor, nil)
	push(t, addr, "BASE")
	_, r := dial(t, addr, oldRover("BASE"))
	expect(t, r, "HTTP/1.0 402")
}

func TestSourceTable(t *testing.T) {
	_, addr := start(t, &gate{places: map[string]Position{"BASE": {48.1, 11.5}}}, nil)
	base := push(t, addr, "BASE")
	if _, err := base.Write(capture(t)); err != nil {
		t.Fatal(err)
	}
	for {
		_, r := dial(t, addr, "GET / HTTP/1.0\r\n\r\n")
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		table := string(raw)
		if !strings.HasPrefix(table, "SOURCETABLE 200 OK\r\n") || !strings.HasSuffix(table, "ENDSOURCETABLE\r\n") || !strings.Contains(table, "\r\nSTR;NEAR;") {
			t.Fatalf("source table:\n%s", table)
		}
		if strings.Contains(table, "STR;BASE;BASE;RTCM 3;1007,1008,1019,1020,1033,1077,1087,1117,1127;2;BDS+GPS+QZS+GLO;") && strings.Contains(table, ";48.10;11.50;") {
			return
		}
	}
}

// gga is a position with a fix.
func gga(p Position) string {
	part := func(v float64, digits int, pos, neg string) string {
		h := pos
		if v < 0 {
			v, h = -v, neg
		}
		deg := math.Floor(v)
		return fmt.Sprintf("%0*d%07.4f,%s", digits, int(deg), (v-deg)*60, h)
	}
	body := fmt.Sprintf("GPGGA,120000.00,%s,%s,1,10,0.9,500.0,M,47.0,M,,", part(p.Lat, 2, "N", "S"), part(p.Lon, 3, "E", "W"))
	var x byte
	for i := range len(body) {
		x ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, x)
}

// epochs splits a capture behind the ends of its epochs.
func epochs(t testing.TB, raw []byte) (out [][]byte) {
	t.Helper()
	s := rtcm.NewScanner(bytes.NewReader(raw))
	var from int64
	for {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := rtcm.MSMOf(f.Type); ok && !rtcm.More(f) {
			out = append(out, raw[from:s.Offset()])
			from = s.Offset()
		}
	}
}

// NEAR waits for a position, serves the nearest base, follows the rover to
// another base at the end of an epoch, and leaves one that goes.
func TestNear(t *testing.T) {
	west, east := Position{48, 11}, Position{48, 11.5}
	g := &gate{places: map[string]Position{"WEST": west, "EAST": east, "FAR": {50, 20}}}
	_, addr := start(t, g, nil)
	rover, r := dial(t, addr, oldRover(Near))
	expect(t, r, "ICY 200 OK")
	bases := map[string]net.Conn{"WEST": push(t, addr, "WEST"), "EAST": push(t, addr, "EAST"), "FAR": push(t, addr, "FAR")}
	all := epochs(t, capture(t))
	tell := func(p Position) {
		t.Helper()
		if _, err := io.WriteString(rover, gga(p)); err != nil {
			t.Fatal(err)
		}
	}
	// await lets bases send an epoch each, again and again, until the rover has
	// that of the first.
	await := func(n int, names ...string) {
		t.Helper()
		stop := make(chan struct{})
		var sending sync.WaitGroup
		sending.Go(func() {
			for {
				for i, name := range names {
					_, _ = bases[name].Write(all[n+i])
				}
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
		defer sending.Wait()
		defer close(stop)
		got := make([]byte, 0, len(all[n]))
		for !bytes.HasSuffix(got, all[n]) {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("read the epoch of %s: %v", names[0], err)
			}
			got = append(got, b)
		}
	}
	tell(Position{48.01, 11.05})
	await(3, "WEST", "EAST")
	tell(Position{48.01, 11.45})
	await(5, "EAST", "WEST") // the base changes where an epoch of WEST ends
	_ = bases["EAST"].Close()
	await(7, "WEST")
	g.mu.Lock()
	defer g.mu.Unlock()
	if got := strings.Join(g.bases, " "); got != "WEST EAST WEST" {
		t.Errorf("served by %s, want WEST EAST WEST", got)
	}
}

// A rover that reads nothing loses its connection; another gets everything.
func TestSlowRover(t *testing.T) {
	g := &gate{}
	c, addr := start(t, g, nil)
	base := push(t, addr, "BASE")
	slow, sr := dial(t, addr, oldRover("BASE"))
	expect(t, sr, "ICY 200 OK")
	_ = slow.(*net.TCPConn).SetReadBuffer(4096)
	_, fast := dial(t, addr, oldRover("BASE"))
	expect(t, fast, "ICY 200 OK")
	joined(c, 2)
	epoch := epochs(t, capture(t))[0]
	got := make([]byte, len(epoch))
	for range 30_000 { // far more than a socket and the backlog hold
		if _, err := base.Write(epoch); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(fast, got); err != nil || !bytes.Equal(got, epoch) {
			t.Fatalf("the fast rover: %v", err)
		}
		if g.open.Load() < 2 {
			return
		}
	}
	t.Fatal("the slow rover is still connected")
}

// A base that says nothing more is let go, so that it can come back.
func TestHalfOpenBase(t *testing.T) {
	c, addr := start(t, &gate{}, func(c *Config) { c.Idle = 50 * time.Millisecond })
	push(t, addr, "BASE")
	for len(c.Bases()) > 0 {
		time.Sleep(time.Millisecond)
	}
	push(t, addr, "BASE")
}

func TestGarbageIsNotForwardedForEver(t *testing.T) {
	c, addr := start(t, &gate{}, nil)
	base := push(t, addr, "BASE")
	for len(c.Bases()) > 0 {
		if _, err := base.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
}

// The unpaid rover's stream ends.
func TestCreditRunsOut(t *testing.T) {
	g := &gate{}
	g.budget.Store(1)
	_, addr := start(t, g, nil)
	base := push(t, addr, "BASE")
	_, r := dial(t, addr, oldRover("BASE"))
	expect(t, r, "ICY 200 OK")
	go func() {
		for range 1000 {
			if _, err := base.Write(epochs(t, capture(t))[0]); err != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
			if g.open.Load() == 0 {
				return
			}
		}
	}()
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if g.budget.Load() > 0 {
		t.Error("the stream ended with credit left")
	}
}

// RTKLIB's str2str pushes a recording as a base and pulls it back through NEAR.
func TestStr2str(t *testing.T) {
	bin, err := exec.LookPath("str2str")
	if err != nil {
		t.Skip("str2str is not installed (Debian package rtklib)")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out.rtcm3")
	g := &gate{places: map[string]Position{"BASE": {36.1, 140.09}}}
	c, addr := start(t, g, nil)
	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	run("-in", "ntrip://rover:token@"+addr+"/"+Near, "-out", "file://"+out, "-p", "36.1", "140.1", "50", "-n", "200")
	raw := capture(t)
	receiver, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	go func() {
		conn, err := receiver.Accept()
		if err != nil {
			return
		}
		// Streams are live: what a base sends before the rover has joined it is gone.
		for b := c.Bases(); len(b) == 0 || b[0].Rovers == 0; b = c.Bases() {
			if t.Context().Err() != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = conn.Write(raw) // str2str keeps it open
	}()
	run("-in", "tcpcli://"+receiver.Addr().String(), "-out", "ntrips://:secret@"+addr+"/BASE")
	deadline := time.Now().Add(patience)
	for {
		got, _ := os.ReadFile(out)
		if bytes.Equal(got, raw) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the rover has %d bytes, want the %d pushed; bases: %+v", len(got), len(raw), c.Bases())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestGGA(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       Position
		ok         bool
	}{
		{"GPS", "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47", Position{48.1173, 11.516666666666667}, true},
		{"multi-GNSS, south and west", "$GNGGA,123519,4807.038,S,01131.000,W,4,08,0.9,545.4,M,46.9,M,,", Position{-48.1173, -11.516666666666667}, true},
		{"no fix", "$GPGGA,123519,4807.038,N,01131.000,E,0,08,0.9,545.4,M,46.9,M,,", Position{}, false},
		{"wrong sum", "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*48", Position{}, false},
		{"another sentence", "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A", Position{}, false},
		{"latitude of 91 degrees", "$GPGGA,123519,9107.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,", Position{}, false},
	} {
		got, ok := parseGGA(tt.line)
		if ok != tt.ok || ok && distance(got, tt.want) > 0.01 {
			t.Errorf("%s: %v, %v, want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPositionOf(t *testing.T) {
	for _, tt := range []struct {
		ecef [3]float64
		want Position
	}{
		{[3]float64{semiMajor, 0, 0}, Position{0, 0}},
		{[3]float64{0, semiMajor, 0}, Position{0, 90}},
		{[3]float64{0, 0, 6356752.3142}, Position{90, 0}},
		{[3]float64{-3957235.7, 3310187.0, 3737714.0}, Position{36.1058, 140.0876}}, // Tsukuba
	} {
		if got := positionOf(tt.ecef); distance(got, tt.want) > 200 {
			t.Errorf("%v is at %v, want %v", tt.ecef, got, tt.want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{oldRover("BASE"), "SOURCE a b\r\n\r\n", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", gga(Position{1, 2})} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, b := net.Pipe()
		defer func() { _ = b.Close() }()
		go func() {
			_, _ = io.WriteString(a, s)
			_ = a.Close()
		}()
		if r, err := readRequest(b); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(r.in, 1<<20))
		}
		_ = b.Close()
		_, _ = parseGGA(s)
	})
}
