package node

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Role is one long-running duty of a process: a validator, a storage provider,
// a gateway. A Role value runs once; starting again takes a new value.
type Role interface {
	// Name identifies the role on this node, such as "storage-03".
	Name() string
	// Run does the duty until ctx ends, then stops cleanly and returns nil. An
	// error, or a return before ctx ended, counts as a failure of the role.
	Run(ctx context.Context) error
	// Ready is closed once, when the role can serve.
	Ready() <-chan struct{}
	// Status is what the role says of itself: a small value that encodes to
	// JSON, nil when it has nothing to say. It is called from any goroutine.
	Status() any
}

// Killer is a role that can be ended without being asked first, as kill -9
// ends a process. A role that is not a Killer can only be cancelled.
type Killer interface {
	Kill() error
}

// PIDer is a role that runs in a process of its own.
type PIDer interface {
	// PID is the process id, 0 before it was started.
	PID() int
}

// Spec says how to make a role. Roles of the same Stage start together; a
// stage starts when every role of the stage before is ready.
type Spec struct {
	Name  string
	Kind  string // "validator", "provider": what the name is one of
	Stage int
	// Optional lets the next stage start although this role failed. The failure
	// is a problem in sight all the same.
	Optional bool
	// New makes a value to run once. It does no work beyond wiring.
	New func() (Role, error)
}

// State is where a role stands.
type State string

// The states of a role. A role goes stopped → starting → ready → stopping →
// stopped; it is failed after it returned on its own and killed after Kill.
const (
	Stopped  State = "stopped"
	Starting State = "starting"
	Ready    State = "ready"
	Stopping State = "stopping"
	Failed   State = "failed"
	Killed   State = "killed"
)

// Running reports whether a role in this state holds resources.
func (s State) Running() bool { return s == Starting || s == Ready || s == Stopping }

// Info is what the supervisor knows of one role.
type Info struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind"`
	State  State     `json:"state"`
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"` // when State was entered
	Error  string    `json:"error,omitempty"`
	Status any       `json:"status,omitempty"`
}

// Event tells that a role entered a state.
type Event struct {
	Time  time.Time
	Name  string
	Kind  string
	State State
	Err   error
}

// Problem is something that went wrong on this node, kept for the status page.
type Problem struct {
	Time time.Time `json:"time"`
	Role string    `json:"role"`
	What string    `json:"what"`
}

// ErrUnknownRole is returned for a name no role has.
var ErrUnknownRole = errors.New("no such role")

// ErrWrongState is returned when a role is not in a state that allows what was
// asked, such as starting one that runs.
var ErrWrongState = errors.New("role is in the wrong state")

// errEarlyReturn is the failure of a role that returned nil before it was asked
// to stop.
var errEarlyReturn = errors.New("role returned before it was asked to stop")

// RunError is the failure of one role.
type RunError struct {
	Role string
	Err  error
}

// Error names the role and its failure.
func (e *RunError) Error() string { return fmt.Sprintf("run %s: %v", e.Role, e.Err) }

// Unwrap returns the role's own error.
func (e *RunError) Unwrap() error { return e.Err }
