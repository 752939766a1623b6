package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/statuspage"
)

// refreshEvery is how often the status page asks the ledger.
const refreshEvery = 2 * time.Second

// shownLeases bounds the rows of a table on the page.
const shownLeases = 200

// statusPage serves the status page, which shows every role of the network.
func (n *Network) statusPage() node.Role {
	return node.NewFunc(StatusName, func(ctx context.Context, r *node.Func) error {
		l, err := net.Listen("tcp", n.plan.listenAddr(n.plan.Ports.Status))
		if err != nil {
			return err
		}
		v, err := ledgerview.Dial(n.plan.addr(n.plan.Ports.GRPC))
		if err != nil {
			l.Close()
			return err
		}
		defer v.Close()
		p := &pageSource{n: n, view: v}
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { p.follow(ctx) })
		r.MarkReady()
		return statuspage.Serve(ctx, l, p.snapshot, n.log, n.traces)
	})
}

// pageSource keeps the newest picture of the ledger for the page.
type pageSource struct {
	n    *Network
	view *ledgerview.View

	mu   sync.Mutex
	last statuspage.Snapshot // ledger part only
}

func (p *pageSource) follow(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		p.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *pageSource) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := p.read(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.last.Chain.Error = err.Error() // the rest stays as it was
		return
	}
	p.last = s
}

func (p *pageSource) read(ctx context.Context) (statuspage.Snapshot, error) {
	var s statuspage.Snapshot
	c, err := p.view.Chain(ctx)
	if err != nil {
		return s, err
	}
	s.Chain = statuspage.Chain{ID: c.ID, Height: c.Height, BlockTime: c.BlockTime, Epoch: c.Epoch.Number, Seed: c.Epoch.Seed, SeedEpoch: c.Epoch.Number}
	if s.Chain.Seed == "" && c.Epoch.Number > 1 {
		before, err := p.view.Epoch(ctx, c.Epoch.Number-1)
		if err != nil && !errors.Is(err, ledgerview.ErrNotFound) {
			return s, err
		}
		s.Chain.Seed, s.Chain.SeedEpoch = before.Seed, before.Number
	}
	devices, err := p.view.Devices(ctx)
	if err != nil {
		return s, err
	}
	leases, err := p.view.Leases(ctx, "", "")
	if err != nil {
		return s, err
	}
	for _, d := range devices {
		row := p.device(d)
		if c.Epoch.Number > 1 {
			o, err := p.view.Outcome(ctx, d.ID, c.Epoch.Number-1)
			if err == nil {
				row.Outcome = o.Outcome
				if (o.Outcome == "faulted" || o.Outcome == "proven") && !holds(leases, d.ID) {
					row.Outcome = ledgerview.Idle
				}
			}
		}
		s.Devices = append(s.Devices, row)
	}
	for _, l := range leases[max(0, len(leases)-shownLeases):] {
		s.Leases = append(s.Leases, statuspage.Lease{
			ID: l.ID, Device: l.Device, State: l.State, Held: l.Held(), Deposited: l.Deposited, Paid: l.Paid, Left: l.Left, Faults: l.Faults,
		})
		for _, a := range l.Lanes {
			if a.Seq > 0 {
				s.Receipts = append(s.Receipts, statuspage.Receipt{Lease: l.ID, Lane: a.ID, Seq: a.Seq, Units: a.Units, Paid: a.Paid, Cap: a.Cap})
			}
		}
	}
	return s, nil
}

func (p *pageSource) device(d ledgerview.Device) statuspage.Device {
	row := statuspage.Device{ID: d.ID, Owner: d.Owner, Endpoint: d.Endpoint}
	for _, pr := range p.n.plan.Providers {
		if pr.Device == d.ID {
			row.Role = pr.Name
		}
	}
	for _, o := range d.Offers {
		row.Bond += o.Bond
		row.Slashed += o.Slashed
		row.Sold += o.Sold
		row.Capacity += o.Capacity
	}
	return row
}

// holds reports whether a device has, or had lately, anything to prove.
func holds(leases []ledgerview.Lease, device string) bool {
	return slices.ContainsFunc(leases, func(l ledgerview.Lease) bool { return l.Device == device && (l.Held() > 0 || l.Faults > 0) })
}

// snapshot adds what this process knows to the newest picture of the ledger.
func (p *pageSource) snapshot() statuspage.Snapshot {
	p.mu.Lock()
	s := p.last
	p.mu.Unlock()
	e := p.n.plan.endpoints(s3Keys{})
	s.Time, s.Home, s.PID = time.Now(), p.n.home, os.Getpid()
	if s.Chain.ID == "" {
		s.Chain.ID = p.n.plan.ChainID
	}
	s.Endpoints = []statuspage.Endpoint{{Name: "S3", URL: e.S3.URL}, {Name: "RPC", URL: e.RPC}, {Name: "REST", URL: e.REST}, {Name: "gRPC", URL: e.GRPC}, {Name: "status", URL: e.Status}}
	s.Roles, s.Problems = p.n.sup.List(), p.n.sup.Problems()
	s.Problems = append(s.Problems, Told(s.Roles)...)
	slices.SortStableFunc(s.Problems, func(a, b node.Problem) int { return b.Time.Compare(a.Time) })
	s.Problems = s.Problems[:min(len(s.Problems), shownProblems)]
	return s
}

// shownProblems bounds the rows of problems on the page, newest first.
const shownProblems = 50

// Told are the problems that roles tell of in their status, oldest first.
func Told(roles []node.Info) []node.Problem {
	var out []node.Problem
	for _, r := range roles {
		out = append(out, told(r)...)
	}
	slices.SortStableFunc(out, func(a, b node.Problem) int { return a.Time.Compare(b.Time) })
	return out
}

// told are the problems that a role tells of in its status, in the form storage
// providers and the gateway use.
func told(r node.Info) []node.Problem {
	raw, err := json.Marshal(r.Status)
	if err != nil {
		return nil
	}
	var s struct {
		Problems []struct {
			Last  time.Time `json:"last"`
			Count int       `json:"count"`
			Topic string    `json:"topic"`
			Error string    `json:"error"`
		} `json:"problems"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	var out []node.Problem
	for _, p := range s.Problems {
		what := p.Topic + ": " + p.Error
		if p.Count > 1 {
			what += fmt.Sprintf(" (%d times)", p.Count)
		}
		out = append(out, node.Problem{Time: p.Last, Role: r.Name, What: what})
	}
	return out
}
