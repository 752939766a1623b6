package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// keptProblems is how many problems a supervisor remembers; older ones remain
// in the log.
const keptProblems = 50

// Supervisor starts roles in order, stops them in reverse, and reports. It
// never starts a role again on its own: one that fails stays failed, in sight,
// until somebody starts it.
type Supervisor struct {
	log     *slog.Logger
	grace   time.Duration
	onEvent func(Event)
	now     func() time.Time

	order   []*entry
	entries map[string]*entry

	mu       sync.Mutex // guards every entry and problems
	problems []Problem
	closed   bool
}

// entry is one role of the supervisor. All fields but spec are guarded by
// Supervisor.mu.
type entry struct {
	spec  Spec
	state State
	since time.Time
	err   error
	run   *run
}

// run is one life of a role.
type run struct {
	role   Role
	cancel context.CancelFunc
	ready  chan struct{} // closed after the role was ready and its entry is updated
	done   chan struct{} // closed after the role returned and its entry is updated
	intent State         // Stopped or Killed once somebody asked for the end
}

// Options are the parts of a Supervisor that have defaults.
type Options struct {
	// Log receives every change of state; nil discards.
	Log *slog.Logger
	// Grace is how long a role may take to stop before it is killed; 0 is 15 s.
	Grace time.Duration
	// OnEvent is called for every change of state, one call at a time is not
	// promised. It must not call the Supervisor.
	OnEvent func(Event)
}

// New makes a supervisor of roles, all stopped. It fails when two roles share a
// name.
func New(specs []Spec, o Options) (*Supervisor, error) {
	s := &Supervisor{log: o.Log, grace: o.Grace, onEvent: o.OnEvent, now: time.Now, entries: map[string]*entry{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.grace == 0 {
		s.grace = 15 * time.Second
	}
	if s.onEvent == nil {
		s.onEvent = func(Event) {}
	}
	for _, sp := range specs {
		if _, ok := s.entries[sp.Name]; ok {
			return nil, fmt.Errorf("add role %s: name is taken by another role", sp.Name)
		}
		e := &entry{spec: sp, state: Stopped, since: s.now()}
		s.entries[sp.Name] = e
		s.order = append(s.order, e)
	}
	slices.SortStableFunc(s.order, func(a, b *entry) int { return a.spec.Stage - b.spec.Stage })
	return s, nil
}

// StartAll starts every stopped role, stage by stage, and returns when all are
// ready. When a role that is not optional fails it returns that error and
// leaves what runs running, so that the caller decides; ctx bounds the wait.
func (s *Supervisor) StartAll(ctx context.Context) error {
	for _, stage := range s.stages() {
		if err := s.startStage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

func (s *Supervisor) startStage(ctx context.Context, stage []*entry) error {
	errs := make([]error, len(stage))
	var wg sync.WaitGroup
	for i, e := range stage {
		wg.Go(func() {
			err := s.Start(ctx, e.spec.Name)
			if !e.spec.Optional || ctx.Err() != nil {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stages returns the entries grouped by stage, first stage first.
func (s *Supervisor) stages() [][]*entry {
	var out [][]*entry
	for i, e := range s.order {
		if i == 0 || e.spec.Stage != s.order[i-1].spec.Stage {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}

// Start starts a role and waits until it is ready. When ctx ends first the role
// keeps starting and ctx's error is returned.
func (s *Supervisor) Start(ctx context.Context, name string) error {
	r, err := s.launch(name)
	if err != nil {
		return err
	}
	select {
	case <-r.ready:
		return nil
	case <-r.done:
		return s.failure(name)
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to be ready: %w", name, context.Cause(ctx))
	}
}

// failure returns why the last life of a role ended, as an error even when it
// ended as asked.
func (s *Supervisor) failure(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[name]
	if e.err != nil {
		return &RunError{Role: name, Err: e.err}
	}
	return fmt.Errorf("start %s: it was %s before it was ready: %w", name, e.state, ErrWrongState)
}

// launch makes a role and runs it on its own goroutine.
func (s *Supervisor) launch(name string) (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("start %q: %w", name, ErrUnknownRole)
	case s.closed:
		return nil, fmt.Errorf("start %s: the node is stopping: %w", name, ErrWrongState)
	case e.state.Running():
		return nil, fmt.Errorf("start %s: it is %s already: %w", name, e.state, ErrWrongState)
	}
	role, err := e.spec.New()
	if err != nil {
		s.enter(e, Failed, err)
		return nil, &RunError{Role: name, Err: err}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{role: role, cancel: cancel, ready: make(chan struct{}), done: make(chan struct{})}
	e.run = r
	s.enter(e, Starting, nil)
	go s.live(ctx, e, r)
	return r, nil
}

// live runs a role to its end and keeps its entry's state.
func (s *Supervisor) live(ctx context.Context, e *entry, r *run) {
	defer close(r.done)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.role.Ready():
			s.becameReady(e, r)
		case <-ctx.Done():
		}
	}()
	err := r.role.Run(ctx)
	r.cancel()
	<-watched

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.intent == Killed:
		s.enter(e, Killed, nil)
	case r.intent == Stopped && err == nil:
		s.enter(e, Stopped, nil)
	case err == nil:
		s.enter(e, Failed, errEarlyReturn)
	default:
		s.enter(e, Failed, err)
	}
}

func (s *Supervisor) becameReady(e *entry, r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.run == r && e.state == Starting {
		s.enter(e, Ready, nil)
	}
	close(r.ready)
}

// enter records a state. The caller holds s.mu.
func (s *Supervisor) enter(e *entry, st State, err error) {
	e.state, e.since, e.err = st, s.now(), err
	if err != nil {
		s.log.Error("role failed", "role", e.spec.Name, "err", err)
		s.note(e.spec.Name, err.Error())
	} else {
		s.log.Info("role "+string(st), "role", e.spec.Name)
	}
	s.onEvent(Event{Time: e.since, Name: e.spec.Name, Kind: e.spec.Kind, State: st, Err: err})
}

func (s *Supervisor) note(role, what string) {
	s.problems = append(s.problems, Problem{Time: s.now(), Role: role, What: what})
	if over := len(s.problems) - keptProblems; over > 0 {
		s.problems = slices.Delete(s.problems, 0, over)
	}
}

// Stop asks a role to stop and waits; after the grace time, or when ctx ends,
// it is killed if it can be. Stopping a role that does not run is refused.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	e, r, err := s.end(name, "stop", Stopped)
	if err != nil {
		return err
	}
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	select {
	case <-r.done:
		return s.stopError(e)
	case <-ctx.Done():
	case <-timer.C:
	}
	return s.overdue(e, r)
}

// overdue kills a role that did not stop in time.
func (s *Supervisor) overdue(e *entry, r *run) error {
	name := e.spec.Name
	k, ok := r.role.(Killer)
	if !ok {
		err := fmt.Errorf("stop %s: still running after %v and cannot be killed alone", name, s.grace)
		s.mu.Lock()
		s.note(name, err.Error())
		s.mu.Unlock()
		return err
	}
	s.mu.Lock()
	r.intent = Killed
	s.note(name, fmt.Sprintf("did not stop within %v and was killed", s.grace))
	s.mu.Unlock()
	if err := k.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	<-r.done
	return nil
}

func (s *Supervisor) stopError(e *entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.err != nil {
		return fmt.Errorf("stop %s: %w", e.spec.Name, e.err)
	}
	return nil
}

// Kill ends a role without asking it: SIGKILL for one in its own process. A
// role inside this process is cancelled and given no time, which is the most
// one process can do to a part of itself.
func (s *Supervisor) Kill(name string) error {
	_, r, err := s.end(name, "kill", Killed)
	if err != nil {
		return err
	}
	if k, ok := r.role.(Killer); ok {
		if err := k.Kill(); err != nil {
			return fmt.Errorf("kill %s: %w", name, err)
		}
		<-r.done
		return nil
	}
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("kill %s: still running %v after it was cancelled", name, s.grace)
	}
}

// end marks a running role as asked to end, and cancels it unless a Killer is
// to be killed.
func (s *Supervisor) end(name, verb string, intent State) (*entry, *run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	if !ok {
		return nil, nil, fmt.Errorf("%s %q: %w", verb, name, ErrUnknownRole)
	}
	if !e.state.Running() {
		return nil, nil, fmt.Errorf("%s %s: it is %s: %w", verb, name, e.state, ErrWrongState)
	}
	r := e.run
	r.intent = intent
	if e.state != Stopping {
		s.enter(e, Stopping, nil)
	}
	if _, killer := r.role.(Killer); intent == Stopped || !killer {
		r.cancel()
	}
	return e, r, nil
}

// StopAll stops every running role, last stage first, and refuses to start any
// from then on. It returns what went wrong, joined.
func (s *Supervisor) StopAll(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var all []error
	for _, stage := range slices.Backward(s.stages()) {
		errs := make([]error, len(stage))
		var wg sync.WaitGroup
		for i, e := range stage {
			wg.Go(func() {
				if err := s.Stop(ctx, e.spec.Name); !errors.Is(err, ErrWrongState) {
					errs[i] = err
				}
			})
		}
		wg.Wait()
		all = append(all, errs...)
	}
	return errors.Join(all...)
}

// List returns every role in start order.
func (s *Supervisor) List() []Info {
	s.mu.Lock()
	out := make([]Info, len(s.order))
	roles := make([]Role, len(s.order))
	for i, e := range s.order {
		out[i] = Info{Name: e.spec.Name, Kind: e.spec.Kind, State: e.state, Since: e.since}
		if e.err != nil {
			out[i].Error = e.err.Error()
		}
		if e.state.Running() {
			roles[i] = e.run.role
		}
	}
	s.mu.Unlock()
	for i, r := range roles { // outside the lock: a role may take its time to answer
		if r == nil {
			continue
		}
		out[i].PID, out[i].Status = os.Getpid(), r.Status()
		if p, ok := r.(PIDer); ok {
			out[i].PID = p.PID()
		}
	}
	return out
}

// Problems returns what went wrong lately, oldest first.
func (s *Supervisor) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Note adds a problem that is no role's failure, such as a warning a role sent.
func (s *Supervisor) Note(role, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(role, what)
}
