package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/vertical/sensing"
)

// Options say how a network runs. What the plan of an existing home fixes, such
// as the number of providers, cannot be changed by them.
type Options struct {
	Home      string
	Ports     PortChoice
	Listen    string        // address to listen on; empty: as planned, or 127.0.0.1
	Providers int           // 0: as planned, or DefaultProviders
	Epoch     time.Duration // 0: as planned, or DefaultEpoch
	// NoTopUp says whether leases are never funded again; nil: as planned.
	NoTopUp *bool
	// HoldEpochs is how many epochs a lease's first escrow pays for; 0: as planned.
	HoldEpochs uint64
	// With names verticals that a new network has besides storage and sensing.
	With []string
	// Demo is what a new network demonstrates: DemoWeather, or nothing.
	Demo string
	// Scrub is how long a provider takes to read all its pieces once; 0: as planned.
	Scrub time.Duration
	// Program is the command that serves one role, the role's name appended
	// ("grange role run --home DIR"). Empty runs every role in this process.
	Program []string
	Log     *slog.Logger
	// OnEvent is called for every change of a role's state; it must not block.
	OnEvent func(node.Event)
}

// startWithin bounds the start of a whole network.
const startWithin = 3 * time.Minute

// stopWithin bounds the stop of one role.
const stopWithin = 20 * time.Second

// PlanError says that what was asked for is not what the network of that home
// is.
type PlanError struct{ What string }

// Error says what differs.
func (e *PlanError) Error() string { return e.What }

// Network is a home directory this process has locked.
type Network struct {
	env
	opts    Options
	created bool
	unlock  func()
	sup     *node.Supervisor
}

// Open locks the home directory and reads its plan, or makes the network when
// there is none. It returns *node.HeldError when another process runs it,
// *PortError when a port is taken and *PlanError when the options contradict
// the plan.
func Open(ctx context.Context, o Options) (*Network, error) {
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, err
	}
	o.Home = home
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	unlock, err := node.Lock(filepath.Join(home, "lock"))
	if err != nil {
		return nil, err
	}
	n := &Network{env: newEnv(home, o.Log), opts: o, unlock: unlock}
	if err := n.prepare(ctx); err != nil {
		unlock()
		return nil, err
	}
	return n, nil
}

func (n *Network) prepare(ctx context.Context) error {
	if l := n.opts.Listen; l != "" && net.ParseIP(l) == nil {
		return &PlanError{fmt.Sprintf("listen on %q: want an IP address, such as 0.0.0.0", l)}
	}
	plan, err := LoadPlan(n.home)
	switch {
	case errors.Is(err, ErrNoNetwork):
		plan, err = n.create(ctx)
	case err == nil:
		err = n.recheck(plan)
	}
	if err == nil {
		err = n.adjust(plan)
	}
	if err != nil {
		return err
	}
	n.plan = plan
	if err := os.Remove(EndpointsPath(n.home)); err != nil && !os.IsNotExist(err) {
		return err
	}
	n.sup, err = node.New(n.specs(), node.Options{Log: n.log, Grace: stopWithin, OnEvent: n.opts.OnEvent})
	return err
}

func (n *Network) create(ctx context.Context) (*Plan, error) {
	n.created = true
	providers, epoch := n.opts.Providers, n.opts.Epoch
	if providers == 0 {
		providers = DefaultProviders
	}
	if providers < 1 || providers > MaxProviders {
		return nil, &PlanError{fmt.Sprintf("make a network of %d providers: want 1 to %d", providers, MaxProviders)}
	}
	if epoch == 0 {
		epoch = DefaultEpoch
	}
	if epoch < 5*time.Second || epoch%time.Second != 0 {
		return nil, &PlanError{fmt.Sprintf("make a network with epochs of %v: want whole seconds, 5 s or more", epoch)}
	}
	listen := n.opts.Listen
	if listen == "" {
		listen = DefaultListen
	}
	if d := n.opts.Demo; d != "" && d != DemoWeather {
		return nil, &PlanError{fmt.Sprintf("demonstrate %q: want %s", d, DemoWeather)}
	}
	with, err := verticals.Chosen(append([]string{sensing.Name}, n.opts.With...))
	if err != nil {
		return nil, &PlanError{err.Error()}
	}
	return createPlan(ctx, n.home, founding{providers, epoch, listen, n.opts.Ports, with, n.opts.Demo})
}

func (n *Network) recheck(p *Plan) error {
	if want := n.opts.Providers; want != 0 && want != len(p.Providers) {
		return &PlanError{fmt.Sprintf("start %s with %d providers: it was made with %d", n.home, want, len(p.Providers))}
	}
	for _, name := range n.opts.With {
		if !slices.Contains(p.with(), name) {
			return &PlanError{fmt.Sprintf("start %s with %s: it was made without", n.home, name)}
		}
	}
	if n.opts.Demo != "" && (p.Sensing == nil || len(p.Sensing.Replayed) == 0) {
		return &PlanError{fmt.Sprintf("start %s with the demonstration %s: it was made without", n.home, n.opts.Demo)}
	}
	if want := n.opts.Epoch; want != 0 && want != time.Duration(p.EpochSeconds)*time.Second {
		return &PlanError{fmt.Sprintf("start %s with epochs of %v: it was made with %d s", n.home, want, p.EpochSeconds)}
	}
	if want := n.opts.Listen; want != "" && want != p.Listen {
		p.Listen = want
		if err := p.save(n.home); err != nil {
			return err
		}
	}
	return p.rechoosePorts(n.home, n.opts.Ports)
}

// adjust takes over what may change with every start.
func (n *Network) adjust(p *Plan) error {
	before := *p
	if p.Ports.Explorer == 0 {
		taken := map[int]bool{}
		for _, u := range p.uses() {
			taken[*u.port] = true
		}
		port, err := freePort(p.Listen, taken)
		if err != nil {
			return err
		}
		p.Ports.Explorer = port
	}
	if n.opts.NoTopUp != nil {
		p.Lease.NoTopUp = *n.opts.NoTopUp
	}
	if n.opts.HoldEpochs != 0 {
		p.Lease.HoldEpochs = n.opts.HoldEpochs
	}
	if s := n.opts.Scrub; s != 0 {
		if s < time.Second || s > maxScrub {
			return &PlanError{fmt.Sprintf("check all pieces once in %v: want 1 s to %v", s, maxScrub)}
		}
		p.ScrubSeconds = uint32(s / time.Second)
	}
	if p.Ports == before.Ports && p.Lease == before.Lease && p.ScrubSeconds == before.ScrubSeconds {
		return nil
	}
	return p.save(n.home)
}

// specs lists the roles: in this process, or each in its own. The status page
// is always here, because it shows all of them.
func (n *Network) specs() []node.Spec {
	var out []node.Spec
	for _, r := range n.plan.roles() {
		out = append(out, node.Spec{Name: r.name, Kind: r.kind, Stage: r.stage, Optional: r.optional, New: func() (node.Role, error) {
			if len(n.opts.Program) == 0 {
				return n.role(r.name)
			}
			argv := append(append([]string{}, n.opts.Program...), r.name)
			return node.NewProcess(r.name, filepath.Join(n.home, "logs", r.name+".log"), argv...), nil
		}})
	}
	return append(out, node.Spec{Name: StatusName, Kind: KindStatus, Stage: stageStatus, New: func() (node.Role, error) {
		return n.statusPage(), nil
	}})
}

// Created reports whether Open made the network.
func (n *Network) Created() bool { return n.created }

// Plan returns the plan of the network.
func (n *Network) Plan() Plan { return *n.plan }

// Roles returns every role with its state.
func (n *Network) Roles() []node.Info { return n.sup.List() }

// Close gives the home directory back. Run must have returned.
func (n *Network) Close() {
	n.link.close()
	n.unlock()
}

// Run starts every role, writes endpoints.json, calls ready, and waits until
// ctx ends or somebody asks through the control socket; then it stops
// everything. A role that fails later stays failed and does not end Run.
func (n *Network) Run(ctx context.Context, ready func(Endpoints)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := n.record(ctx, processName); err != nil {
		return err
	}
	defer n.stopRecording()
	l, err := node.ListenControl(n.home)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	live, hangUp := context.WithCancel(context.WithoutCancel(ctx)) // control answers until all is stopped
	defer hangUp()
	go func() { served <- node.Control(live, l, n.sup, cancel) }()

	err = n.start(ctx, ready)
	if err == nil {
		<-ctx.Done()
	} else if context.Cause(ctx) != nil {
		err = nil // told to stop while starting
	}
	os.Remove(EndpointsPath(n.home))
	err = errors.Join(err, n.sup.StopAll(context.WithoutCancel(ctx)))
	hangUp()
	return errors.Join(err, <-served, os.Remove(node.ControlPath(n.home)))
}

func (n *Network) start(ctx context.Context, ready func(Endpoints)) error {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := n.sup.StartAll(bounded); err != nil {
		return err
	}
	keys, err := loadS3Keys(n.home)
	if err != nil {
		return err
	}
	e := n.plan.endpoints(keys)
	if e.NTRIP, err = n.plan.ntripDoor(n.home); err != nil {
		n.log.Warn("the caster's credentials cannot be told", "err", err)
	}
	e.Metrics = n.metricsEndpoints()
	if err := writeJSON(EndpointsPath(n.home), e, 0o600); err != nil {
		return err
	}
	ready(e)
	return nil
}

// processName is under which name the process that runs a network keeps its
// traces.
const processName = "grange"

// Serve runs one role of a home directory in this process, as the child of the
// process that runs the network.
func Serve(ctx context.Context, home, name string, log *slog.Logger) error {
	home, err := filepath.Abs(home)
	if err != nil {
		return err
	}
	plan, err := LoadPlan(home)
	if err != nil {
		return err
	}
	e := newEnv(home, log)
	e.plan = plan
	defer e.link.close()
	r, err := e.role(name)
	if err != nil {
		return err
	}
	// A predecessor that lost its parent may still be stopping.
	release, err := node.LockWithin(ctx, filepath.Join(home, "run", name+".lock"), stopWithin)
	if err != nil {
		return err
	}
	defer release()
	if err := e.record(ctx, name); err != nil {
		return err
	}
	defer e.stopRecording()
	stop, err := e.serveMetrics(ctx, name)
	if err != nil {
		return err
	}
	defer stop()
	return node.Serve(ctx, r)
}
