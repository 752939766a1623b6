package local

import (
	"fmt"
	"strconv"

	"github.com/grange-network/grange/internal/ports"
)

// DefaultPort is the first of the consecutive ports a network takes unless told
// otherwise: eight for the roles that exist once, then one per provider (of one that is
// routed, the router's).
const DefaultPort = 24700

// fixedPorts is how many ports a network takes beside its providers'.
const fixedPorts = 8

// PortError says that a port of the network is taken.
type PortError struct {
	Port int
	For  string // what the network wants it for
	Err  error
}

// Error says which port is taken, and how to see by whom.
func (e *PortError) Error() string {
	return fmt.Sprintf("listen on port %d for %s: %v", e.Port, e.For, e.Err)
}

// Unwrap returns the system's error.
func (e *PortError) Unwrap() error { return e.Err }

// assign gives the plan consecutive ports from first.
func (p *Plan) assign(first int) {
	p.Ports = Ports{S3: first, RPC: first + 1, P2P: first + 2, GRPC: first + 3, REST: first + 4, Status: first + 5, Explorer: first + 6, Verify: first + 7}
	for i := range p.Providers {
		port := first + fixedPorts + i
		if p.Providers[i].Routed { // one router for all of them
			p.Providers[i].Port, p.Ports.Router = 0, port
			continue
		}
		p.Providers[i].Port = port
	}
	next := first + fixedPorts + len(p.Providers)
	if n := p.Notary; n != nil {
		n.Port = next
		for i := range n.Providers {
			n.Providers[i].Port = n.Port + 1 + i
		}
		next += 1 + len(n.Providers)
	}
	if s := p.Sensing; s != nil {
		s.Data, s.MQTT, s.Station.Port, s.NTRIP = next, next+1, next+2, next+3
	}
}

// uses lists every port of the plan with what it is for.
func (p *Plan) uses() []use {
	out := []use{
		{&p.Ports.S3, "s3"}, {&p.Ports.RPC, "rpc"}, {&p.Ports.P2P, "p2p"},
		{&p.Ports.GRPC, "grpc"}, {&p.Ports.REST, "rest"}, {&p.Ports.Status, "status"},
	}
	if p.Ports.Explorer != 0 {
		out = append(out, use{&p.Ports.Explorer, "explorer"})
	}
	if p.Ports.Verify != 0 {
		out = append(out, use{&p.Ports.Verify, "verify"})
	}
	if p.Ports.Router != 0 {
		out = append(out, use{&p.Ports.Router, "router"})
	}
	for i := range p.Providers {
		if !p.Providers[i].Routed {
			out = append(out, use{&p.Providers[i].Port, p.Providers[i].Name})
		}
	}
	if n := p.Notary; n != nil {
		out = append(out, use{&n.Port, NotaryDoorName})
		for i := range n.Providers {
			out = append(out, use{&n.Providers[i].Port, n.Providers[i].Name})
		}
	}
	if s := p.Sensing; s != nil {
		out = append(out, use{&s.Data, SensingName}, use{&s.MQTT, "mqtt"}, use{&s.Station.Port, s.Station.Name}, use{&s.NTRIP, CasterName})
	}
	return out
}

type use struct {
	port *int
	what string
}

// checkPorts returns a *PortError for the first port of the plan that cannot be
// listened on.
func (p *Plan) checkPorts() error {
	for _, u := range p.uses() {
		if err := ports.Try(p.Listen, *u.port); err != nil {
			return &PortError{Port: *u.port, For: u.what, Err: err}
		}
	}
	return nil
}

// pickPorts gives the plan a free block of ports.
func (p *Plan) pickPorts() error {
	first, err := ports.Block(p.Listen, fixedPorts+len(p.all())+5)
	if err != nil {
		return err
	}
	p.assign(first)
	return nil
}

// replacePorts gives new ports to those uses whose port is taken, and reports
// whether it changed any.
func (p *Plan) replacePorts() (bool, error) {
	changed := false
	taken := map[int]bool{}
	for _, u := range p.uses() {
		taken[*u.port] = true
	}
	for _, u := range p.uses() {
		if ports.Try(p.Listen, *u.port) == nil {
			continue
		}
		port, err := freePort(p.Listen, taken)
		if err != nil {
			return changed, fmt.Errorf("replace port %d of %s: %w", *u.port, u.what, err)
		}
		*u.port, changed = port, true
	}
	return changed, nil
}

// freePort returns a free port that is not one of taken, and adds it to them.
func freePort(host string, taken map[int]bool) (int, error) {
	for {
		port, err := ports.Free(host)
		if err != nil {
			return 0, err
		}
		if !taken[port] {
			taken[port] = true
			return port, nil
		}
	}
}

// PortChoice is how a person wants ports chosen: the default block, a block
// from a given first port, or any that are free.
type PortChoice struct {
	Auto  bool
	First int // 0: DefaultPort, or what the plan has
}

// ParsePorts reads "auto", "", or the number of a first port.
func ParsePorts(s string) (PortChoice, error) {
	switch s {
	case "":
		return PortChoice{}, nil
	case "auto":
		return PortChoice{Auto: true}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1024 || n > 65_000 {
		return PortChoice{}, fmt.Errorf("read --ports %q: want auto or a first port from 1024 to 65000", s)
	}
	return PortChoice{First: n}, nil
}
