package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/local"
)

// State is how a check ended.
type State string

// The states of a check, from good to bad.
const (
	Pass State = "pass"
	Warn State = "warn" // works, will not for long or not well
	Fail State = "fail" // does not work
)

// Finding is one check's result.
type Finding struct {
	Check string `json:"check"`          // such as "disk space"
	Role  string `json:"role,omitempty"` // empty: the whole machine
	State State  `json:"state"`
	Found string `json:"found"`        // what is so, with numbers
	Do    string `json:"do,omitempty"` // what to do about it
}

// Kinds of home directories.
const (
	KindUp       = "up"       // of grange up
	KindHost     = "host"     // of grange start
	KindLocalnet = "localnet" // of grange localnet
)

// Report is all findings about one home.
type Report struct {
	Home     string    `json:"home"`
	Kind     string    `json:"kind"`
	Running  bool      `json:"running"`
	Findings []Finding `json:"findings"`
}

// Failed is how many checks failed.
func (r Report) Failed() (n int) {
	for _, f := range r.Findings {
		if f.State == Fail {
			n++
		}
	}
	return n
}

// ErrNoHome is returned for a directory that is no home of a node.
var ErrNoHome = errors.New("no node has its home here")

// Options bound the checks.
type Options struct {
	// BlockWithin is how long a ledger may take to make a block before it counts
	// as stalled; 20 s.
	BlockWithin time.Duration
	// GRPC is the ledger's address when it is not the home's own.
	GRPC string
}

// Run checks a home.
func Run(ctx context.Context, home string, o Options) (Report, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return Report{}, err
	}
	if o.BlockWithin == 0 {
		o.BlockWithin = 20 * time.Second
	}
	d := &doctor{Report: Report{Home: home}, o: o, down: map[string]bool{}}
	if err := d.identify(); err != nil {
		return Report{}, err
	}
	d.keys()
	d.disk()
	if d.Kind == KindHost {
		d.lockHolder()
	} else {
		d.control(ctx)
	}
	d.ports()
	d.verifiers()
	d.ledger(ctx)
	return d.Report, nil
}

// doctor collects findings.
type doctor struct {
	Report
	o    Options
	plan *local.Plan // of grange up; else nil
	host hostPlan
	many *cluster.Plan   // of grange localnet; else nil
	pid  int             // of the running node; 0 when unknown
	down map[string]bool // roles that do not run: what follows from it is not said
}

func (d *doctor) add(check, role string, s State, do, format string, args ...any) {
	if s == Pass {
		do = ""
	}
	d.Findings = append(d.Findings, Finding{Check: check, Role: role, State: s, Found: fmt.Sprintf(format, args...), Do: do})
}

// identify says whose home it is.
func (d *doctor) identify() error {
	plan, err := local.LoadPlan(d.Home)
	if err == nil {
		d.Kind, d.plan = KindUp, plan
		return nil
	}
	if !errors.Is(err, local.ErrNoNetwork) {
		return err
	}
	if d.many, err = cluster.LoadPlan(d.Home); !errors.Is(err, cluster.ErrNoCluster) {
		d.Kind = KindLocalnet
		return err
	}
	if err := readJSON(filepath.Join(d.Home, "host.json"), &d.host); err == nil {
		d.Kind = KindHost
		return nil
	}
	return fmt.Errorf("look at %s: neither network.json, cluster.json nor host.json: %w", d.Home, ErrNoHome)
}

// control asks the running node about its roles.
func (d *doctor) control(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	roles, _, pid, err := node.NewClient(d.Home).List(ctx)
	if err != nil {
		d.add("running", "", Fail, "grange "+d.Kind+" --home "+d.Home, "%v", err)
		return
	}
	d.Running, d.pid = true, pid
	d.add("running", "", Pass, "", "process %d, %d roles", pid, len(roles))
	for _, r := range roles {
		if r.State != node.Ready {
			d.down[r.Name] = true
			d.add("role", r.Name, Fail, "grange local start "+r.Name+" --home "+d.Home, "it is %s since %s %s", r.State, r.Since.Format(time.TimeOnly), r.Error)
		}
	}
	d.sameProgram()
	for _, p := range local.Told(roles) {
		if time.Since(p.Time) < recent {
			d.add("problem", p.Role, Warn, "grange trace --failed --home "+d.Home, "%s: %s", p.Time.Format(time.TimeOnly), p.What)
		}
	}
}

// recent is how old a problem may be to be told.
const recent = 10 * time.Minute

// lockHolder finds out whether a host's node runs.
func (d *doctor) lockHolder() {
	release, err := node.Lock(filepath.Join(d.Home, "lock"))
	var held *node.HeldError
	switch {
	case errors.As(err, &held):
		d.Running, d.pid = true, held.PID
		d.add("running", "", Pass, "", "process %d", held.PID)
		d.sameProgram()
	case err != nil:
		d.add("running", "", Fail, "", "%v", err)
	default:
		release()
		d.add("running", "", Fail, "grange start --role validator --home "+d.Home, "no node runs from this home")
	}
}

// sameProgram compares the program that runs with this one.
func (d *doctor) sameProgram() {
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", d.pid))
	if err != nil {
		return // another system, or another user's process
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	ours, err := os.Stat(self)
	switch {
	case err != nil:
	case os.SameFile(theirs, ours):
		d.add("version", "", Pass, "", "the node runs this program")
	case theirs.Size() == ours.Size() && theirs.ModTime().Equal(ours.ModTime()):
		d.add("version", "", Pass, "", "the node runs a copy of this program")
	default:
		d.add("version", "", Warn, "stop the node and start it with this program, or use the one it runs",
			"process %d runs another build (%d bytes of %s) than this one (%d bytes of %s)", d.pid,
			theirs.Size(), theirs.ModTime().Format(time.DateTime), ours.Size(), ours.ModTime().Format(time.DateTime))
	}
}
