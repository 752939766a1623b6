package doctor

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/cluster"
)

// hostPlan is what we need of a host's host.json.
type hostPlan struct {
	Name string `json:"name"`
	Host string `json:"host"`
	Port string `json:"port"`
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// keyNames are files that hold a key wherever they are below the home.
var keyNames = []string{"priv_validator_key.json", "node_key.json", "phrase.txt", "beacon.key", "operator.json"}

// keys checks that nobody else may read what is secret.
func (d *doctor) keys() {
	n := 0
	var open []string
	err := filepath.WalkDir(d.Home, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // what is gone meanwhile is no open key
		}
		dir := filepath.Base(filepath.Dir(path))
		if dir != "keys" && dir != "devices" && !slices.Contains(keyNames, e.Name()) && filepath.Ext(path) != ".pem" {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		n++
		if info.Mode().Perm()&0o077 != 0 {
			open = append(open, fmt.Sprintf("%s is %v", path, info.Mode().Perm()))
		}
		return nil
	})
	switch {
	case err != nil:
		d.add("key files", "", Fail, "", "%v", err)
	case len(open) > 0:
		path, _, _ := strings.Cut(open[0], " is ")
		d.add("key files", "", Fail, "chmod 600 "+path+", and take the keys for known to others", "%d of %d can be read by others: %s", len(open), n, open[0])
	default:
		d.add("key files", "", Pass, "", "%d, readable by their owner only", n)
	}
}

// Bounds of free space, in bytes, and of the time a write takes to be durable.
const (
	spaceFail = 1 << 30
	spaceWarn = 5 << 30
	syncWarn  = 50 * time.Millisecond
	syncFail  = time.Second
)

func (d *doctor) disk() {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.Home, &st); err != nil {
		d.add("disk space", "", Fail, "", "%v", err)
	} else {
		free, size := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
		state := Pass
		switch {
		case free < spaceFail:
			state = Fail
		case free < spaceWarn:
			state = Warn
		}
		d.add("disk space", "", state, "free space on the disk of "+d.Home+" or move the home to a larger one", "%s free of %s", cliout.Bytes(free), cliout.Bytes(size))
	}
	took, err := syncTime(d.Home)
	switch state := Pass; {
	case err != nil:
		d.add("disk writes", "", Fail, "make "+d.Home+" writable", "%v", err)
	default:
		if took > syncWarn {
			state = Warn
		}
		if took > syncFail {
			state = Fail
		}
		d.add("disk writes", "", state, "every answer waits for the disk: use a faster one or take load off it", "4 KiB are durable after %s (median of 9)", took.Round(10*time.Microsecond))
	}
}

// syncTime is the median time of nine durable writes.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var all []time.Duration
	block := make([]byte, 4<<10)
	for range 9 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// door is an address that the node should answer on while it runs, and that
// should be free while it does not.
type door struct{ role, what, addr string }

func (d *doctor) doors() []door {
	if d.many != nil {
		return d.doorsOfMany()
	}
	if d.plan == nil {
		out := []door{{d.host.Name, "p2p", net.JoinHostPort(d.host.Host, d.host.Port)}}
		var e map[string]any
		if readJSON(filepath.Join(d.Home, "endpoints.json"), &e) == nil {
			for _, what := range []string{"rpc", "grpc", "rest"} {
				if text, ok := e[what].(string); ok {
					out = append(out, door{d.host.Name, what, hostOf(text)})
				}
			}
		}
		return out
	}
	at := func(port int) string {
		host := d.plan.Listen
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	p := d.plan.Ports
	out := []door{{"validator", "rpc", at(p.RPC)}, {"validator", "p2p", at(p.P2P)}, {"validator", "grpc", at(p.GRPC)},
		{"validator", "rest", at(p.REST)}, {"gateway", "s3", at(p.S3)}, {"status", "status page", at(p.Status)}}
	if p.Router != 0 {
		out = append(out, door{"gateway", "router", at(p.Router)})
	}
	for _, pr := range d.plan.Providers {
		if !pr.Routed {
			out = append(out, door{pr.Name, "tunnel", at(pr.Port)})
		}
	}
	return out
}

// doorsOfMany are the validators' of a localnet that is ready.
func (d *doctor) doorsOfMany() (out []door) {
	var e cluster.Endpoints
	if readJSON(cluster.EndpointsPath(d.Home), &e) != nil {
		return nil
	}
	for _, v := range e.Validators {
		out = append(out, door{v.Name, "rpc", hostOf(v.RPC)}, door{v.Name, "rest", hostOf(v.REST)}, door{v.Name, "grpc", hostOf(v.GRPC)})
	}
	if e.Notary != "" {
		out = append(out, door{"notary-door", "stamps", hostOf(e.Notary)})
	}
	return out
}

func hostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}

// ports checks that the node listens where it should, or could if it ran.
func (d *doctor) ports() {
	doors := d.doors()
	bad := 0
	for _, p := range doors {
		if d.down[p.role] {
			bad++
			continue
		}
		c, err := net.DialTimeout("tcp", p.addr, 3*time.Second)
		if err == nil {
			c.Close()
		}
		_, port, _ := net.SplitHostPort(p.addr)
		switch {
		case d.Running && err != nil:
			bad++
			d.add("port", p.role, Fail, "grange local list --home "+d.Home+", and the role's log", "nobody answers on %s (%s): %v", p.addr, p.what, err)
		case !d.Running && err == nil:
			bad++
			d.add("port", p.role, Fail, "ss -ltnp 'sport = :"+port+"' says whose it is", "%s (%s) is taken by another program", p.addr, p.what)
		}
	}
	if bad == 0 {
		state := "answer"
		if !d.Running {
			state = "are free"
		}
		d.add("ports", "", Pass, "", "%d of %d %s", len(doors), len(doors), state)
	}
}
