package ntrip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Config is what a caster needs. Zero durations and distances take the defaults.
type Config struct {
	Gate   Gate
	Logger *slog.Logger

	Name    string // identifier in the source table
	Country string // three letters, of the source table

	// Sells says whether NEAR may serve a mount point's base; nil: all. It must not
	// call the caster.
	Sells func(mount string) bool
	// Watch is told of each base that connects and returns who is given its frames,
	// or nil; nil: nobody watches.
	Watch func(mount string) Watcher

	Hysteresis float64       // metres by which another base must be closer; 2,000
	Reach      float64       // metres to the farthest base that NEAR serves; 50,000
	FirstFix   time.Duration // how long NEAR waits for a position; 1 min
	Silence    time.Duration // after which NEAR gives a base up; 3 s
	Idle       time.Duration // after which a silent base is disconnected; 1 min
	MaxConns   int           // connections at a time; 20,000
}

const (
	headTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
)

func (c Config) withDefaults() Config {
	def := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	wait := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.Hysteresis, 2_000)
	def(&c.Reach, 50_000)
	wait(&c.FirstFix, time.Minute)
	wait(&c.Silence, 3*time.Second)
	wait(&c.Idle, time.Minute)
	if c.MaxConns == 0 {
		c.MaxConns = 20_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Name == "" {
		c.Name = "Grange"
	}
	if c.Country == "" {
		c.Country = "XXX"
	}
	return c
}

// Watcher is given each frame of one base, which is valid until it returns, and
// the time of its arrival. It must not block: rovers wait for it.
type Watcher interface {
	Frame(f rtcm.Frame, at time.Time)
	// Close says that the base has gone.
	Close()
}

// Caster serves bases and rovers.
type Caster struct {
	cfg   Config
	log   *slog.Logger
	slots chan struct{}

	mu      sync.RWMutex // before those of mounts
	mounts  map[string]*mount
	changed chan struct{} // closed and replaced when bases come, move or go
}

// New returns a caster that serves nobody yet.
func New(cfg Config) *Caster {
	cfg = cfg.withDefaults()
	return &Caster{
		cfg: cfg, log: cfg.Logger, slots: make(chan struct{}, cfg.MaxConns),
		mounts: map[string]*mount{}, changed: make(chan struct{}),
	}
}

// Serve accepts connections until ctx ends, then closes all and returns nil; or
// the listener's error. It closes the listener.
func (c *Caster) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			var temporary interface{ Timeout() bool }
			if errors.As(err, &temporary) && temporary.Timeout() {
				continue
			}
			return fmt.Errorf("accept NTRIP connection: %w", err)
		}
		select {
		case c.slots <- struct{}{}:
		default:
			_ = conn.Close() // full: nothing is read from it
			c.log.Warn("NTRIP connection refused: too many", "most", c.cfg.MaxConns, "from", conn.RemoteAddr())
			continue
		}
		all.Go(func() {
			defer func() { <-c.slots }()
			c.serve(ctx, conn)
		})
	}
}

// serve handles one connection.
func (c *Caster) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r, err := readRequest(conn)
	if err != nil {
		c.log.Debug("NTRIP request refused", "from", conn.RemoteAddr(), "err", err)
		return
	}
	switch {
	case r.push:
		err = c.base(ctx, r)
	default:
		err = c.rover(ctx, r)
	}
	if err != nil && ctx.Err() == nil {
		c.log.Info("NTRIP connection ended", "mount", r.mount, "from", conn.RemoteAddr(), "err", err)
	}
}

// Base is what is known of a base that is connected.
type Base struct {
	Mount    string
	Place    *Position // nil: not known
	Receiver string
	Frames   int64
	Rovers   int
	Last     time.Time // of its newest data
}

// Bases lists the connected bases by mount point.
func (c *Caster) Bases() []Base {
	var out []Base
	for _, m := range c.list() {
		i := m.info()
		b := Base{Mount: i.name, Receiver: i.receiver, Frames: i.frames, Rovers: i.rovers, Last: i.last}
		if i.placed {
			b.Place = &i.place
		}
		out = append(out, b)
	}
	return out
}

// put enters a base; false if the mount point is taken.
func (c *Caster) put(m *mount) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mounts[m.name] != nil {
		return false
	}
	c.mounts[m.name] = m
	c.notify()
	return true
}

func (c *Caster) drop(m *mount) {
	c.mu.Lock()
	delete(c.mounts, m.name)
	c.notify()
	c.mu.Unlock()
	m.close()
}

// notify wakes those who wait for a base; c.mu is held.
func (c *Caster) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Caster) mount(name string) *mount {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.mounts[name]
}

func (c *Caster) waiting() <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.changed
}
