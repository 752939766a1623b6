package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/local"
)

// askWithin bounds how long a command waits for the ledger.
const askWithin = 10 * time.Second

// ledgerCommand wraps a command that reads the ledger.
func (g *globals) read(c *cobra.Command, f func(ctx context.Context, v *ledgerview.View) error) error {
	v, err := g.view()
	if err != nil {
		return err
	}
	defer v.Close()
	ctx, cancel := context.WithTimeout(c.Context(), askWithin)
	defer cancel()
	return try(f(ctx, v), "grange status"+g.homeFlag())
}

// statusInfo is the JSON form of grange status.
type statusInfo struct {
	Home      string            `json:"home"`
	Running   bool              `json:"running"`
	Endpoints *local.Endpoints  `json:"endpoints,omitempty"` // secrets left out
	Chain     *ledgerview.Chain `json:"chain,omitempty"`
	Devices   int               `json:"devices"`
	Leases    map[string]int    `json:"leases"` // by state
	Left      uint64            `json:"escrow_left_ucredit"`
	Held      uint64            `json:"held_bytes"`
	Roles     []node.Info       `json:"roles"`
	Problems  []node.Problem    `json:"problems"`
}

func newStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show whether the network is well",
		Example: "grange status\ngrange status --json | jq .chain.height",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			s := statusInfo{Home: g.home, Leases: map[string]int{}, Roles: []node.Info{}, Problems: []node.Problem{}}
			if g.grpc == "" {
				if err := s.readNode(c.Context(), g); err != nil {
					return err
				}
			}
			err := g.read(c, s.readLedger)
			if err != nil && g.grpc != "" {
				return err
			}
			if err != nil {
				s.Problems = append(s.Problems, node.Problem{Time: time.Now(), Role: local.ValidatorName, What: err.Error()})
			}
			return g.out(c).Emit(s, s.write)
		},
	}
}

func (s *statusInfo) readNode(ctx context.Context, g *globals) error {
	var err error
	if kindOf(g.home) == homeHost {
		return s.readHost(g)
	}
	if s.Roles, s.Problems, _, err = node.NewClient(g.home).List(ctx); err != nil {
		return g.explainControl(err)
	}
	s.Running = true
	s.Problems = append(append([]node.Problem{}, s.Problems...), local.Told(s.Roles)...)
	if e, err := local.LoadEndpoints(g.home); err == nil {
		e = e.Public()
		s.Endpoints = &e
	}
	return nil
}

// readHost is readNode for a machine of grange start, which is one role.
func (s *statusInfo) readHost(g *globals) error {
	p, err := host.ReadPlan(g.home)
	if err != nil {
		return err
	}
	pid := host.RunningAs(g.home)
	e, err := local.LoadEndpoints(g.home)
	if pid == 0 || err != nil {
		return g.notRunning(cmp.Or(err, node.ErrNotRunning))
	}
	e = e.Public()
	s.Running, s.Endpoints = true, &e
	s.Roles = []node.Info{{Name: p.Name, Kind: local.KindValidator, State: node.Ready, PID: pid, Since: readySince(g.home)}}
	return nil
}

// readySince is when a machine wrote where it answers.
func readySince(home string) time.Time {
	info, err := os.Stat(local.EndpointsPath(home))
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}

func (s *statusInfo) readLedger(ctx context.Context, v *ledgerview.View) error {
	c, err := v.Chain(ctx)
	if err != nil {
		return err
	}
	s.Chain = &c
	devices, err := v.Devices(ctx)
	if err != nil {
		return err
	}
	leases, err := v.Leases(ctx, "", "")
	if err != nil {
		return err
	}
	s.Devices = len(devices)
	for _, l := range leases {
		s.Leases[l.State]++
		s.Left += l.Left
		if strings.HasPrefix(unit(l.Kind).Hold, "byte") {
			s.Held += l.Held()
		}
	}
	return nil
}

func (s *statusInfo) write(w io.Writer) error {
	pairs := [][2]string{{"home", s.Home}}
	if e := s.Endpoints; e != nil && e.Status != "" {
		pairs = append(pairs, [2]string{"status page", e.Status}, [2]string{"explorer", e.Explorer}, [2]string{"S3", e.S3.URL})
		if e.Data != "" {
			pairs = append(pairs, [2]string{"observations", e.Data + "  mqtt://" + e.MQTT}, [2]string{"weather console", "reports to " + e.Station})
		}
		if e.NTRIP != nil {
			pairs = append(pairs, [2]string{"NTRIP", e.NTRIP.URL})
		}
	} else if e != nil {
		pairs = append(pairs, [2]string{"ledger RPC", e.RPC}, [2]string{"ledger REST", e.REST}, [2]string{"ledger gRPC", e.GRPC})
	}
	if c := s.Chain; c != nil {
		pairs = append(pairs,
			[2]string{"chain", fmt.Sprintf("%s, height %d, block %s ago", c.ID, c.Height, time.Since(c.BlockTime).Truncate(time.Second))},
			[2]string{"epoch", fmt.Sprintf("%d, %s, seed %s", c.Epoch.Number, c.Epoch.Status, cliout.Short(c.Epoch.Seed))},
			[2]string{"devices", fmt.Sprint(s.Devices)},
			[2]string{"leases", fmt.Sprintf("%d open, %d in grace, %d closing, %d closed", s.Leases["open"], s.Leases["grace"], s.Leases["closing"], s.Leases["closed"])},
			[2]string{"held", cliout.Bytes(s.Held)},
			[2]string{"left in escrow", cliout.Credits(s.Left)})
	}
	if err := cliout.Pairs(w, pairs...); err != nil {
		return err
	}
	if len(s.Roles) > 0 {
		fmt.Fprintln(w)
		if err := writeRoles(w, s.Roles); err != nil {
			return err
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "\n%s %s: %s\n", cliout.ColorsFor(w).Yellow(p.Time.Format("15:04:05")), p.Role, p.What)
	}
	return nil
}
