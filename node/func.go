package node

import (
	"context"
	"sync"
	"sync/atomic"
)

// Func is a Role made of a function: most roles need no type of their own.
type Func struct {
	name  string
	run   func(ctx context.Context, r *Func) error
	once  sync.Once
	ready chan struct{}
	state atomic.Pointer[func() any]
}

// NewFunc makes a role that runs f, which calls r.MarkReady when it can serve.
func NewFunc(name string, f func(ctx context.Context, r *Func) error) *Func {
	return &Func{name: name, run: f, ready: make(chan struct{})}
}

// Name is the name given to NewFunc.
func (f *Func) Name() string { return f.name }

// Run calls the function.
func (f *Func) Run(ctx context.Context) error { return f.run(ctx, f) }

// Ready is closed by the first MarkReady.
func (f *Func) Ready() <-chan struct{} { return f.ready }

// MarkReady tells that the role can serve; later calls do nothing.
func (f *Func) MarkReady() { f.once.Do(func() { close(f.ready) }) }

// SetStatus gives the function that Status calls.
func (f *Func) SetStatus(s func() any) { f.state.Store(&s) }

// Status is what the function given to SetStatus says, nil before.
func (f *Func) Status() any {
	if s := f.state.Load(); s != nil {
		return (*s)()
	}
	return nil
}
