package local

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/notary"
	"github.com/grange-network/grange/tunnel"
)

// NotaryDoorName is the role that sells stamps.
const NotaryDoorName = "notary-door"

// notaries is how many a local network has.
const notaries = 3

// NotaryPlan is the notary vertical of a network that has it.
type NotaryPlan struct {
	Buyer      Account        `json:"buyer"`
	SessionKey string         `json:"session_key"` // file, relative to home
	Providers  []ProviderPlan `json:"providers"`
	Port       int            `json:"port"` // of the door
}

// createNotaries makes the keys of the notary vertical.
func (p *Plan) createNotaries(home string, m *accountMaker) (err error) {
	n := &NotaryPlan{SessionKey: filepath.Join("devices", "notary-session.pem")}
	if n.Buyer, err = m.account("notary-buyer"); err != nil {
		return err
	}
	if _, err = createDeviceKey(filepath.Join(home, n.SessionKey)); err != nil {
		return err
	}
	for i := range notaries {
		pr, err := m.provider(fmt.Sprintf("notary-%02d", i+1))
		if err != nil {
			return err
		}
		n.Providers = append(n.Providers, pr)
	}
	p.Notary = n
	return nil
}

// notary is one notary.
func (e *env) notary(pr ProviderPlan) node.Role {
	return node.NewFunc(pr.Name, func(ctx context.Context, r *node.Func) error {
		l, err := net.Listen("tcp", e.plan.listenAddr(pr.Port))
		if err != nil {
			return err
		}
		defer l.Close()
		c, err := e.ledger(ctx)
		if err != nil {
			return err
		}
		p := notary.Provider{
			Dir: filepath.Join(e.home, pr.Data), Ledger: c, Bond: providerBond, Listen: l, Log: e.log.With("role", pr.Name),
		}
		if p.Device, err = loadDeviceKey(filepath.Join(e.home, pr.DeviceKey)); err != nil {
			return err
		}
		p.Endpoint = e.plan.endpoint(pr, tunnel.KeyOf(p.Device)).String()
		if p.Owner, p.Sponsor, err = e.sponsored(ctx, c, pr.Owner); err != nil {
			return err
		}
		if p.Archive, err = e.archive(); err != nil {
			return err
		}
		return p.Run(ctx, r.MarkReady)
	})
}

// notaryDoor sells stamps over HTTP.
func (e *env) notaryDoor() node.Role {
	return node.NewFunc(NotaryDoorName, func(ctx context.Context, r *node.Func) error {
		plan := e.plan.Notary
		l, err := net.Listen("tcp", e.plan.listenAddr(plan.Port))
		if err != nil {
			return err
		}
		defer l.Close()
		d := notary.Door{Dir: filepath.Join(e.home, "data", NotaryDoorName), Listen: l, Log: e.log.With("role", NotaryDoorName)}
		if d.Ledger, err = e.ledger(ctx); err != nil {
			return err
		}
		if d.Buyer, err = plan.Buyer.load(e.home); err != nil {
			return err
		}
		if d.Session, err = loadDeviceKey(filepath.Join(e.home, plan.SessionKey)); err != nil {
			return err
		}
		return d.Run(ctx, r.MarkReady)
	})
}

// archive is where evidence is published and fetched.
func (e *env) archive() (*evidence.Archive, error) {
	dir, err := evidence.NewDir(EvidencePath(e.home))
	if err != nil {
		return nil, err
	}
	return evidence.New(dir), nil
}
