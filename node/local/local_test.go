package local

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/node"
)

func TestParsePorts(t *testing.T) {
	for _, c := range []struct {
		in   string
		want PortChoice
		bad  bool
	}{
		{in: "", want: PortChoice{}},
		{in: "auto", want: PortChoice{Auto: true}},
		{in: "30000", want: PortChoice{First: 30000}},
		{in: "80", bad: true}, {in: "65001", bad: true}, {in: "many", bad: true},
	} {
		got, err := ParsePorts(c.in)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q: got %+v, %v", c.in, got, err)
		}
	}
}

func planOf(n int) *Plan {
	p := &Plan{Version: planVersion, ChainID: ChainID, Listen: "127.0.0.1"}
	for i := range n {
		p.Providers = append(p.Providers, ProviderPlan{Name: ProviderName(i + 1)})
	}
	return p
}

func TestEveryUseHasItsOwnPort(t *testing.T) {
	p := planOf(12)
	p.assign(DefaultPort)
	seen := map[int]string{}
	for _, u := range p.uses() {
		if *u.port == 0 || seen[*u.port] != "" {
			t.Errorf("%s has port %d, as %q", u.what, *u.port, seen[*u.port])
		}
		seen[*u.port] = u.what
	}
	if len(seen) != fixedPorts+12 {
		t.Errorf("%d ports", len(seen))
	}
}

func TestTakenPortIsNamedAndReplaced(t *testing.T) {
	p := planOf(2)
	if err := p.pickPorts(); err != nil {
		t.Fatal(err)
	}
	before := *p
	before.Providers = append([]ProviderPlan(nil), p.Providers...)
	l, err := net.Listen("tcp", p.addr(p.Providers[1].Port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var pe *PortError
	if err := p.checkPorts(); !errors.As(err, &pe) || pe.Port != p.Providers[1].Port || pe.For != "storage-02" {
		t.Fatalf("check: %v", err)
	}
	if changed, err := p.replacePorts(); !changed || err != nil {
		t.Fatalf("replace: %v, %v", changed, err)
	}
	if p.Providers[1].Port == before.Providers[1].Port || p.Ports != before.Ports || p.Providers[0] != before.Providers[0] {
		t.Errorf("replaced more or less than the taken port: %+v, before %+v", p, before)
	}
	if err := p.checkPorts(); err != nil {
		t.Error(err)
	}
}

func TestLoadPlan(t *testing.T) {
	home := t.TempDir()
	if _, err := LoadPlan(home); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("no plan: %v", err)
	}
	if _, err := LoadEndpoints(home); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("no endpoints: %v", err)
	}
	p := planOf(1)
	if err := p.save(home); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadPlan(home); err != nil || got.Providers[0].Name != "storage-01" {
		t.Errorf("load: %+v, %v", got, err)
	}
	p.Version = 9
	if err := p.save(home); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPlan(home); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("newer version: %v", err)
	}
	if err := os.WriteFile(PlanPath(home), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPlan(home); err == nil {
		t.Error("half a file was accepted")
	}
}

func TestCreatePlanMakesKeysThatLoad(t *testing.T) {
	home := t.TempDir()
	p, err := createPlan(t.Context(), home, founding{providers: 2, epoch: 15 * time.Second, listen: DefaultListen, ports: PortChoice{Auto: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Account{p.Validator, p.Sponsor, p.Buyer, p.Providers[0].Owner, p.Providers[1].Owner} {
		if _, err := a.load(home); err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
	if _, err := loadDeviceKey(filepath.Join(home, p.Providers[1].DeviceKey)); err != nil {
		t.Error(err)
	}
	k, err := loadS3Keys(home)
	if err != nil || len(k.Access) != 20 || len(k.Secret) != 40 || strings.ContainsAny(k.Secret, "-_/+") {
		t.Errorf("s3 keys %d and %d long: %v", len(k.Access), len(k.Secret), err)
	}
	wrong := p.Buyer
	wrong.Address = p.Sponsor.Address
	if _, err := wrong.load(home); err == nil {
		t.Error("a key of another account was accepted")
	}
	err = filepath.WalkDir(filepath.Join(home, "keys"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDataWithoutPlanIsNotOverwritten(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "data", "gateway"), 0o700); err != nil {
		t.Fatal(err)
	}
	var pe *PlanError
	if _, err := createPlan(t.Context(), home, founding{providers: 2, epoch: 15 * time.Second, listen: DefaultListen, ports: PortChoice{Auto: true}}); !errors.As(err, &pe) {
		t.Errorf("create over data: %v", err)
	}
}

func TestContentKeysAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content.json")
	a, err := contentKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := contentKeys(path)
	if err != nil || a != b {
		t.Errorf("second load differs: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"content":"ab","seal":"cd"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contentKeys(path); err == nil {
		t.Error("short keys were accepted")
	}
}

func TestLayoutFollowsTheNumberOfOwners(t *testing.T) {
	for n, want := range map[int]string{1: "1/1/1", 3: "1/3/2", 7: "1/3/2", 8: "4/8/6", 12: "4/8/6", 20: "10/20/15"} {
		l := planOf(n).layout()
		if l.String() != want || l.Validate() != nil {
			t.Errorf("%d owners: %v, want %s", n, l, want)
		}
	}
}

func TestProblemsThatRolesTell(t *testing.T) {
	status := json.RawMessage(`{"used":1,"problems":[{"last":"2030-01-02T03:04:05Z","count":3,"topic":"prove","error":"damaged"},{"count":1,"topic":"sweep","error":"slow"}]}`)
	got := told(node.Info{Name: "storage-01", Status: status})
	if len(got) != 2 || got[0].What != "prove: damaged (3 times)" || got[0].Role != "storage-01" || got[0].Time.Year() != 2030 || got[1].What != "sweep: slow" {
		t.Errorf("problems: %+v", got)
	}
	for _, status := range []any{nil, 7, map[string]int{"problems": 1}} {
		if got := told(node.Info{Status: status}); len(got) != 0 {
			t.Errorf("problems of %v: %v", status, got)
		}
	}
}

func TestListenEverywhereIsReachedHere(t *testing.T) {
	p := planOf(1)
	p.Listen = "0.0.0.0"
	if p.listenAddr(5) != "0.0.0.0:5" || p.addr(5) != "127.0.0.1:5" {
		t.Errorf("listen on %s, reached at %s", p.listenAddr(5), p.addr(5))
	}
}

func TestOpenRefusesAnotherShape(t *testing.T) {
	home := t.TempDir()
	open := func(o Options) error {
		o.Home, o.Ports = home, PortChoice{Auto: true}
		n, err := Open(t.Context(), o)
		if err == nil {
			n.Close()
		}
		return err
	}
	var pe *PlanError
	for _, o := range []Options{{Providers: 65}, {Providers: -1}, {Epoch: time.Second}, {Epoch: 5500 * time.Millisecond}, {Listen: "everywhere"}} {
		if err := open(o); !errors.As(err, &pe) {
			t.Errorf("create with %+v: %v", o, err)
		}
	}
	p := planOf(3)
	p.EpochSeconds = 15
	if err := p.save(home); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Providers: 4}, {Epoch: 20 * time.Second}} {
		if err := open(o); !errors.As(err, &pe) {
			t.Errorf("open with %+v: %v", o, err)
		}
	}
	for _, o := range []Options{{}, {Providers: 3}, {Epoch: 15 * time.Second}} {
		if err := open(o); err != nil {
			t.Errorf("open with %+v: %v", o, err)
		}
	}
}
