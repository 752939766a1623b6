package ntrip

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Roster is a Gate for a caster of one's own: the bases and rovers of a file.
type Roster struct {
	Bases  map[string]RosterBase  `yaml:"bases"`  // by mount point
	Rovers map[string]RosterRover `yaml:"rovers"` // by name

	mu   sync.Mutex
	busy map[string]bool
}

// RosterBase is a base that may push.
type RosterBase struct {
	Password string   `yaml:"password"`
	Lat      *float64 `yaml:"lat"` // degrees; where it stands, if known
	Lon      *float64 `yaml:"lon"`
}

// RosterRover is a rover that may pull, one connection at a time.
type RosterRover struct {
	Token   string `yaml:"token"`
	Seconds *int64 `yaml:"seconds"` // of stream it may have until the caster ends; nil: no limit
}

// maxRoster is the most bytes of a file.
const maxRoster = 1 << 20

// ReadRoster reads a YAML file. The error names the line of a contradiction.
func ReadRoster(r io.Reader) (*Roster, error) {
	d := yaml.NewDecoder(io.LimitReader(r, maxRoster))
	d.KnownFields(true)
	out := &Roster{busy: map[string]bool{}}
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("read roster: %w", err)
	}
	for name, b := range out.Bases {
		switch {
		case !validMount(name):
			return nil, fmt.Errorf("base %q: a mount point is 1 to 100 letters, digits, - and _, not %s", name, Near)
		case b.Password == "":
			return nil, fmt.Errorf("base %s has no password", name)
		case (b.Lat == nil) != (b.Lon == nil):
			return nil, fmt.Errorf("base %s has only one of lat and lon", name)
		case b.Lat != nil && !(*b.Lat >= -90 && *b.Lat <= 90 && *b.Lon >= -180 && *b.Lon <= 180):
			return nil, fmt.Errorf("base %s is at %v, %v, want degrees north and east", name, *b.Lat, *b.Lon)
		}
	}
	for name, v := range out.Rovers {
		if v.Token == "" {
			return nil, fmt.Errorf("rover %s has no token", name)
		}
	}
	return out, nil
}

// same compares secrets in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Base implements Gate.
func (r *Roster) Base(_ context.Context, mount, _, password string) (*Position, error) {
	b, ok := r.Bases[mount]
	if !same(b.Password, password) || !ok {
		return nil, ErrDenied
	}
	if b.Lat == nil {
		return nil, nil
	}
	return &Position{*b.Lat, *b.Lon}, nil
}

// Rover implements Gate.
func (r *Roster) Rover(_ context.Context, _, name, password string) (Session, error) {
	v, ok := r.Rovers[name]
	if !same(v.Token, password) || !ok {
		return nil, ErrDenied
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[name] {
		return nil, fmt.Errorf("rover %s is connected already; one connection at a time", name)
	}
	if v.Seconds != nil && *v.Seconds <= 0 {
		return nil, ErrUnpaid
	}
	r.busy[name] = true
	return &rosterSession{roster: r, name: name}, nil
}

type rosterSession struct {
	roster *Roster
	name   string
	rest   time.Duration // served, not yet taken from the seconds
}

// Served implements Session.
func (s *rosterSession) Served(_ context.Context, _ string, d time.Duration) error {
	left := s.roster.Rovers[s.name].Seconds
	if left == nil {
		return nil
	}
	s.rest += d
	whole := s.rest.Truncate(time.Second)
	s.rest -= whole
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	if *left -= int64(whole.Seconds()); *left <= 0 {
		return ErrUnpaid
	}
	return nil
}

// Close implements Session.
func (s *rosterSession) Close() {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	delete(s.roster.busy, s.name)
}
