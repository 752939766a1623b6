package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// MaxDelay bounds the delay of a link.
const MaxDelay = time.Minute

// Links are the connections between the validators, one for each ordered pair.
// Its methods may be called from any goroutine and act at once, on connections
// that are open too.
type Links struct {
	names []string
	gates [][]*gate // [from][to]
	links []*link
}

// LinkState is one direction between two validators.
type LinkState struct {
	From string `json:"from"`
	To   string `json:"to"`
	Cut  bool   `json:"cut"`
	// DelayMillis is how long what From sends takes to To.
	DelayMillis int64 `json:"delay_ms"`
}

// newLinks listens for the plan's links.
func newLinks(p *Plan) (*Links, error) {
	s := &Links{}
	for i, v := range p.Validators {
		s.names = append(s.names, v.Name)
		s.gates = append(s.gates, make([]*gate, len(p.Validators)))
		for j := range p.Validators {
			s.gates[i][j] = newGate()
		}
	}
	for i := range p.Validators {
		for j := range p.Validators {
			if i == j {
				continue
			}
			l, err := net.Listen("tcp", p.linkAddr(i, j))
			if err != nil {
				s.close()
				return nil, fmt.Errorf("open link from %s to %s: %w", s.names[i], s.names[j], err)
			}
			s.links = append(s.links, &link{listener: l, to: p.addr(j, p2pPort), out: s.gates[i][j], in: s.gates[j][i]})
		}
	}
	return s, nil
}

func (s *Links) close() {
	for _, l := range s.links {
		l.listener.Close()
	}
}

// serve carries connections until ctx ends.
func (s *Links) serve(ctx context.Context) {
	defer context.AfterFunc(ctx, s.close)()
	var wg sync.WaitGroup
	for _, l := range s.links {
		wg.Go(func() { l.serve(ctx) })
	}
	wg.Wait()
}

// each calls f with the gates between a and b: both directions, or only what a
// sends to b. An empty name means every validator.
func (s *Links) each(a, b string, oneWay bool, f func(*gate)) error {
	for _, name := range []string{a, b} {
		if name != "" && !s.has(name) {
			return fmt.Errorf("%q: %w", name, ErrUnknownValidator)
		}
	}
	if a == b && a != "" {
		return &PlanError{fmt.Sprintf("link from %s to itself: want two validators", a)}
	}
	match := func(want, name string) bool { return want == "" || want == name }
	for i, from := range s.names {
		for j, to := range s.names {
			if i != j && (match(a, from) && match(b, to) || !oneWay && match(a, to) && match(b, from)) {
				f(s.gates[i][j])
			}
		}
	}
	return nil
}

func (s *Links) has(name string) bool {
	for _, n := range s.names {
		if n == name {
			return true
		}
	}
	return false
}

// Cut stops everything between a and b, or only what a sends to b. An empty
// name means every validator: Cut("x", "", false) isolates x. Nothing is told
// to either end.
func (s *Links) Cut(a, b string, oneWay bool) error {
	return s.each(a, b, oneWay, func(g *gate) { g.set(true) })
}

// Heal undoes Cut; what was sent meanwhile on connections that still exist
// arrives then. Heal("", "", false) heals every link.
func (s *Links) Heal(a, b string, oneWay bool) error {
	return s.each(a, b, oneWay, func(g *gate) { g.set(false) })
}

// Delay makes what is sent from now on take d, 0 to MaxDelay.
func (s *Links) Delay(a, b string, oneWay bool, d time.Duration) error {
	if d < 0 || d > MaxDelay {
		return &PlanError{fmt.Sprintf("delay link by %v: want 0 to %v", d, MaxDelay)}
	}
	return s.each(a, b, oneWay, func(g *gate) { g.setDelay(d) })
}

// List returns the state of every link.
func (s *Links) List() []LinkState {
	var out []LinkState
	for i, from := range s.names {
		for j, to := range s.names {
			if i == j {
				continue
			}
			_, delay, cut := s.gates[i][j].look()
			out = append(out, LinkState{From: from, To: to, Cut: cut, DelayMillis: delay.Milliseconds()})
		}
	}
	return out
}
