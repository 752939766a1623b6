package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/verticals"
)

// startWithin bounds the start of a whole cluster.
const startWithin = 3 * time.Minute

// stopWithin bounds the stop of one validator; one that is suspended is killed
// after it.
const stopWithin = 15 * time.Second

// KindValidator is the kind of a validator's role.
const KindValidator = local.KindValidator

// Options say how a cluster runs. What the plan of an existing home fixes
// cannot be changed by them.
type Options struct {
	Home       string
	Ports      PortChoice
	Validators int           // 0: as planned, or DefaultValidators
	Epoch      time.Duration // 0: as planned, or DefaultEpoch; whole seconds
	Commit     time.Duration // pause between blocks; 0: as planned, or DefaultCommit
	With       []string      // verticals besides storage, fixed by the first start
	// Program is the command that serves one validator with Serve; the
	// validator's name is appended.
	Program []string
	Log     *slog.Logger
	// OnEvent is called for every change of a validator's state; it must not
	// block.
	OnEvent func(node.Event)
}

// Network is a cluster whose home directory this process has locked.
type Network struct {
	home    string
	opts    Options
	plan    *Plan
	created bool
	unlock  func()
	sup     *node.Supervisor
	links   *Links
	changed chan struct{} // a validator changed its state
}

// Open locks the home directory and reads its plan, or makes a cluster when
// there is none. It returns *node.HeldError when another process runs it,
// *ports.TakenError when a port is taken and *PlanError when the options contradict
// the plan.
func Open(ctx context.Context, o Options) (*Network, error) {
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(linkDir(home), 0o700); err != nil {
		return nil, err
	}
	unlock, err := node.Lock(filepath.Join(home, "lock"))
	if err != nil {
		return nil, err
	}
	n := &Network{home: home, opts: o, unlock: unlock, changed: make(chan struct{}, 1)}
	if err := n.prepare(ctx); err != nil {
		unlock()
		return nil, err
	}
	return n, nil
}

func (n *Network) prepare(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(n.home, "network.json")); err == nil {
		return &PlanError{fmt.Sprintf("%s holds a network with storage: it is started with grange up", n.home)}
	}
	p, err := LoadPlan(n.home)
	switch {
	case errors.Is(err, ErrNoCluster):
		n.created = true
		if err = n.opts.complete(); err == nil {
			p, err = create(ctx, n.home, n.opts)
		}
	case err == nil:
		if err = n.opts.contradicts(p); err == nil {
			was := p.Port
			if err = p.choosePorts(n.opts.Ports); err == nil && p.Port != was {
				err = p.save(n.home)
			}
		}
	}
	if err != nil {
		return err
	}
	n.plan = p
	if err := os.Remove(EndpointsPath(n.home)); err != nil && !os.IsNotExist(err) {
		return err
	}
	if n.links, err = newLinks(p); err != nil {
		return err
	}
	n.sup, err = node.New(n.specs(), node.Options{Log: n.opts.Log, Grace: stopWithin, OnEvent: n.event})
	return err
}

// complete fills in defaults and checks what a new cluster is to be.
func (o *Options) complete() error {
	if o.Validators == 0 {
		o.Validators = DefaultValidators
	}
	if o.Epoch == 0 {
		o.Epoch = DefaultEpoch
	}
	if o.Commit == 0 {
		o.Commit = DefaultCommit
	}
	with, err := verticals.Chosen(o.With)
	if err != nil {
		return &PlanError{err.Error()}
	}
	o.With = with
	switch {
	case o.Validators < 1 || o.Validators > MaxValidators:
		return &PlanError{fmt.Sprintf("make a cluster of %d validators: want 1 to %d", o.Validators, MaxValidators)}
	case o.Epoch < 5*time.Second || o.Epoch > 24*time.Hour || o.Epoch%time.Second != 0:
		return &PlanError{fmt.Sprintf("make a cluster with epochs of %v: want whole seconds, 5 s to 24 h", o.Epoch)}
	case o.Commit < 10*time.Millisecond || o.Commit > time.Minute || o.Commit%time.Millisecond != 0:
		return &PlanError{fmt.Sprintf("make a cluster with %v between blocks: want whole milliseconds, 10 ms to 1 m", o.Commit)}
	}
	return nil
}

// contradicts says what of the options is not as planned.
func (o *Options) contradicts(p *Plan) error {
	for _, c := range []struct {
		what      string
		want, has any
		asked     bool
	}{
		{"validators", o.Validators, len(p.Validators), o.Validators != 0},
		{"seconds in an epoch", o.Epoch.Seconds(), float64(p.EpochSeconds), o.Epoch != 0},
		{"ms between blocks", o.Commit.Milliseconds(), int64(p.CommitMillis), o.Commit != 0},
	} {
		if c.asked && c.want != c.has {
			return &PlanError{fmt.Sprintf("start with %v %s: the cluster was made with %v", c.want, c.what, c.has)}
		}
	}
	for _, name := range o.With {
		if !slices.Contains(p.With, name) {
			return &PlanError{fmt.Sprintf("start with %s: the cluster was made without", name)}
		}
	}
	return nil
}

// Stages of the start.
const (
	stageValidators = iota
	stageProviders
	stageDoors
)

func (n *Network) specs() []node.Spec {
	var out []node.Spec
	add := func(name, kind string, stage int) {
		out = append(out, node.Spec{Name: name, Kind: kind, Stage: stage, Optional: stage > stageValidators, New: func() (node.Role, error) {
			argv := append(append([]string{}, n.opts.Program...), name)
			return node.NewProcess(name, filepath.Join(n.home, "logs", name+".log"), argv...), nil
		}})
	}
	for _, v := range n.plan.Validators {
		add(v.Name, KindValidator, stageValidators)
	}
	for _, name := range n.plan.notaries() {
		if name == doorName {
			add(name, local.KindGateway, stageDoors)
		} else {
			add(name, local.KindProvider, stageProviders)
		}
	}
	return out
}

// Roles lists the validators and whatever else runs.
func (n *Network) Roles() []node.Info { return n.sup.List() }

func (n *Network) event(e node.Event) {
	select {
	case n.changed <- struct{}{}:
	default: // whoever reads it sees every change up to then
	}
	if n.opts.OnEvent != nil {
		n.opts.OnEvent(e)
	}
}

// Created reports whether Open made the cluster.
func (n *Network) Created() bool { return n.created }

// Plan returns the plan.
func (n *Network) Plan() Plan { return *n.plan }

// Links returns the links between the validators.
func (n *Network) Links() *Links { return n.links }

// Supervisor returns what starts, stops and kills the validators.
func (n *Network) Supervisor() *node.Supervisor { return n.sup }

// Close gives the home directory back. Run must have returned.
func (n *Network) Close() {
	n.links.close()
	n.unlock()
}

// Run starts every validator, writes endpoints.json, calls ready, and waits
// until ctx ends or somebody asks through the control socket; then it stops
// everything. A validator that fails later stays failed until somebody starts
// it, and does not end Run.
func (n *Network) Run(ctx context.Context, ready func(Endpoints)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	control, err := node.ListenControl(n.home)
	if err != nil {
		return err
	}
	orders, err := node.ListenControl(linkDir(n.home))
	if err != nil {
		control.Close()
		return err
	}
	// Links and control answer until all is stopped.
	live, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	var wg sync.WaitGroup
	var served error
	wg.Go(func() { served = node.Control(live, control, n.sup, cancel) })
	wg.Go(func() { n.links.control(live, orders) })
	wg.Go(func() { n.links.serve(live) })

	err = n.start(ctx, ready)
	if err == nil {
		n.follow(ctx)
	} else if ctx.Err() != nil {
		err = nil // told to stop while starting
	}
	os.Remove(EndpointsPath(n.home))
	err = errors.Join(err, n.sup.StopAll(context.WithoutCancel(ctx)))
	hangUp()
	wg.Wait()
	return errors.Join(err, served, os.Remove(node.ControlPath(n.home)), os.Remove(node.ControlPath(linkDir(n.home))))
}

func (n *Network) start(ctx context.Context, ready func(Endpoints)) error {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := n.sup.StartAll(bounded); err != nil {
		return err
	}
	e := n.Endpoints()
	if err := writeJSON(EndpointsPath(n.home), e); err != nil {
		return err
	}
	ready(e)
	return nil
}

// follow keeps the process ids in endpoints.json true until ctx ends.
func (n *Network) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
			if err := writeJSON(EndpointsPath(n.home), n.Endpoints()); err != nil {
				n.opts.Log.Error("endpoints not written", "err", err)
			}
		}
	}
}
