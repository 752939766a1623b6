package ntrip

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// patience is how long real clients may take on a slow machine.
const patience = 3 * time.Minute

func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		if _, err := os.Stat("/usr/sbin/" + name); err == nil {
			return "/usr/sbin/" + name
		}
		t.Skipf("%s is not installed (Debian package %s)", name, pkg)
	}
	return bin
}

// door is a caster to test: one of this test, or that of a running network whose
// endpoints.json is named by GRANGE_ENDPOINTS.
type door struct {
	addr, mount, base, user, password string
	place                             Position
	pulling                           func() bool // a rover is there
}

func openDoor(t *testing.T, place Position) door {
	t.Helper()
	file := os.Getenv("GRANGE_ENDPOINTS")
	if file == "" {
		g := &gate{places: map[string]Position{"BASE": place}}
		_, addr := start(t, g, nil)
		return door{addr, "BASE", "secret", "rover", "token", place, func() bool { return g.open.Load() > 0 }}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		NTRIP struct {
			URL, Mount    string
			BasePassword  string `json:"base_password"`
			RoverUser     string `json:"rover_user"`
			RoverPassword string `json:"rover_password"`
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.NTRIP.URL == "" {
		t.Fatalf("%s names no ntrip (%v)", file, err)
	}
	n := e.NTRIP
	began := time.Now()
	return door{strings.TrimPrefix(n.URL, "ntrip://"), n.Mount, n.BasePassword, n.RoverUser, n.RoverPassword, place, func() bool { return time.Since(began) > 3*time.Second }}
}

func launch(t *testing.T, dir, bin string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// feed serves bytes to the first client of a port, in pieces.
func feed(t *testing.T, pieces <-chan []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		for p := range pieces {
			if _, err := conn.Write(p); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// recordedBase is a real receiver's hour as RTCM: coordinates, orbits, MSM7.
func recordedBase(t *testing.T, name string) (place [3]float64, head []byte, epochs [][]byte) {
	t.Helper()
	dir := "../../../../shared/data/gnss"
	o, err := os.ReadFile(filepath.Join(dir, name+"0920.05o"))
	if err != nil {
		t.Skipf("the recorded pair is not there: %v", err)
	}
	n, err := os.ReadFile(filepath.Join(dir, name+"0920.05n"))
	if err != nil {
		t.Skip(err)
	}
	obs, err := gnsstest.ReadRinex(bytes.NewReader(o))
	if err != nil {
		t.Fatal(err)
	}
	nav, err := gnsstest.ReadNavigation(bytes.NewReader(n))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range obs.Epochs {
		ofWeek := e.Time.Sub(time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)) % (7 * 24 * time.Hour)
		m := rtcm.MSM{System: rtcm.GPS, Kind: 7, Station: 759, Epoch: ofWeek, Satellites: e.Satellites}
		epochs = append(epochs, append(gnsstest.Station(759, obs.Place), gnsstest.MSM(m)...))
	}
	at := orbit.SecondOfWeek(obs.Epochs[0].Time)
	for _, e := range nav {
		if age := orbit.Age(&e, at); age > -7300 && age < 7300 {
			head = append(head, gnsstest.Orbit(e)...)
		}
	}
	return obs.Place, head, epochs
}

// A recorded base is pushed by str2str, pulled through NEAR byte for byte, and what
// came through makes RTKLIB fix a recorded rover 3.3 km away.
func TestRTKThroughNear(t *testing.T) {
	str2str, convbin, rnx2rtkp := tool(t, "str2str", "rtklib"), tool(t, "convbin", "rtklib"), tool(t, "rnx2rtkp", "rtklib")
	place, head, epochs := recordedBase(t, "0759")
	lat, lon, _ := orbit.Geodetic(place)
	d := openDoor(t, Position{lat, lon})
	dir := t.TempDir()
	out := filepath.Join(dir, "pulled.rtcm3")
	var sent []byte
	pieces := make(chan []byte, len(epochs)+1)
	// The coordinates go first, so that a caster that knows no place can tell where
	// the base is.
	launch(t, dir, str2str, "-in", "tcpcli://"+feed(t, pieces), "-out", "ntrips://:"+d.base+"@"+d.addr+"/"+d.mount)
	pieces <- epochs[0]
	launch(t, dir, str2str, "-in", "ntrip://"+d.user+":"+d.password+"@"+d.addr+"/"+Near, "-out", "file://"+out,
		"-p", fmt.Sprint(lat), fmt.Sprint(lon+0.03), "50", "-n", "200")
	deadline := time.Now().Add(patience)
	for !d.pulling() && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	// Epochs are repeated until the rover has the first: what comes before it was
	// there is not for it.
	for has := 0; has == 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		pieces <- epochs[0]
		got, _ := os.ReadFile(out)
		has = len(got)
	}
	for _, p := range append([][]byte{head}, epochs[1:]...) {
		sent = append(sent, p...)
		pieces <- p
	}
	var got []byte
	for ; time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got, _ = os.ReadFile(out); bytes.HasSuffix(got, sent) {
			break
		}
	}
	if !bytes.HasSuffix(got, sent) {
		t.Fatalf("the rover has %d bytes, and not at their end the %d pushed", len(got), len(sent))
	}
	close(pieces)
	if o, err := exec.CommandContext(t.Context(), convbin, "-r", "rtcm3", "-tr", "2005/04/02", "00:00:00", "-od", "-os", "-o", dir+"/base.obs", out).CombinedOutput(); err != nil {
		t.Fatalf("convbin: %v: %s", err, o)
	}
	// Orbits are those of the file: RTCM's week of ten bits would be one of today.
	rover, _ := filepath.Abs("../../../../shared/data/gnss/30400920.05o")
	nav, _ := filepath.Abs("../../../../shared/data/gnss/07590920.05n")
	o, err := exec.CommandContext(t.Context(), rnx2rtkp, "-p", "2", "-f", "2", "-e", "-r", fmt.Sprint(place[0]), fmt.Sprint(place[1]), fmt.Sprint(place[2]), rover, dir+"/base.obs", nav).Output()
	if err != nil {
		t.Fatalf("rnx2rtkp: %v: %s", err, o)
	}
	truth, fixed, all := roverPlace(t), 0, 0
	for line := range strings.Lines(string(o)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "%") || len(f) < 6 {
			continue
		}
		var p [3]float64
		for i := range p {
			p[i], _ = strconv.ParseFloat(f[2+i], 64)
		}
		all++
		if f[5] == "1" && orbit.Distance(p, truth) < 1 {
			fixed++
		}
	}
	t.Logf("%d bytes through the caster; %d of %d epochs fixed", len(got), fixed, all)
	if all < 50 || fixed < all/2 {
		t.Errorf("%d of %d epochs are fixed:\n%.2000s", fixed, all, o)
	}
}

// roverPlace is where the file says that the rover stands, to decimetres.
func roverPlace(t *testing.T) [3]float64 {
	t.Helper()
	raw, err := os.ReadFile("../../../../shared/data/gnss/30400920.05o")
	if err != nil {
		t.Skip(err)
	}
	obs, err := gnsstest.ReadRinex(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return obs.Place
}

// gpsd pulls a base's stream by ntrip:// and reads its messages.
func TestGPSD(t *testing.T) {
	gpsd, gpspipe := tool(t, "gpsd", "gpsd"), tool(t, "gpspipe", "gpsd-clients")
	d := openDoor(t, Position{36.1, 140.1})
	base, err := Push(t.Context(), Target{Addr: d.addr, Mount: d.mount, Password: d.base, Old: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = base.Close() }()
	station := gnsstest.Station(7, [3]float64{-3.9762e6, 3.3824e6, 3.6525e6})
	if _, err := base.Write(station); err != nil { // gpsd asks the source table first
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := base.Write(station); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	launch(t, t.TempDir(), gpsd, "-N", "-n", "-S", port, "ntrip://"+d.user+":"+d.password+"@"+d.addr+"/"+d.mount)
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cmd := exec.CommandContext(ctx, gpspipe, "-w", "127.0.0.1:"+port)
	lines, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	scan := bufio.NewScanner(lines)
	var heard strings.Builder
	for scan.Scan() {
		if strings.Contains(scan.Text(), `"class":"RTCM3"`) && strings.Contains(scan.Text(), `"type":1005`) {
			t.Log(scan.Text())
			return
		}
		_, _ = io.WriteString(&heard, scan.Text()+"\n")
	}
	t.Errorf("gpsd told of no message 1005: %.2000s", heard.String())
}
