package local

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/sensing"
	"github.com/grange-network/grange/vertical/sensing/beijing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// Roles of the sensing vertical.
const (
	SensingName = "sensing-gateway"
	StationName = "station-01"
	CasterName  = "ntrip-caster"
	BaseName    = "base-01"
	WitnessName = "witness-01"
)

// DemoWeather is the demonstration with 12 weather stations.
const DemoWeather = "weather"

// SensingPlan is the sensing vertical of a network that has it.
type SensingPlan struct {
	Data int `json:"data_port"` // observations in, data out
	MQTT int `json:"mqtt_port"`
	// Station signs for a weather console; its port is where the console reports.
	Station ProviderPlan `json:"station"`
	// NTRIP is the caster's port, Base a device that may push its stream there,
	// Witness one that signs what was pushed, and Rover the account that pays for the
	// streams of one rover.
	NTRIP   int          `json:"ntrip_port"`
	Base    ProviderPlan `json:"base"`
	Witness ProviderPlan `json:"witness"`
	Rover   Account      `json:"rover"`
	// Replayed are the stations of the demonstration, and when their series began.
	Replayed []ProviderPlan `json:"replayed,omitempty"`
	Began    time.Time      `json:"replay_began,omitzero"`
}

// createSensing makes the keys of the sensing vertical.
func (p *Plan) createSensing(m *accountMaker, demo string) (err error) {
	s := new(SensingPlan)
	if s.Station, err = m.provider(StationName); err != nil {
		return err
	}
	if s.Base, err = m.provider(BaseName); err != nil {
		return err
	}
	if s.Witness, err = m.provider(WitnessName); err != nil {
		return err
	}
	if s.Rover, err = m.account(roverName); err != nil {
		return err
	}
	for _, pr := range []*ProviderPlan{&s.Station, &s.Base, &s.Witness} {
		pr.Cell = placeOf(0)
	}
	if demo == DemoWeather {
		if err := s.createReplays(m); err != nil {
			return err
		}
	}
	p.Sensing = s
	return nil
}

func (s *SensingPlan) createReplays(m *accountMaker) error {
	stations, err := beijing.Stations()
	if err != nil {
		return err
	}
	for _, st := range stations {
		pr, err := m.provider("beijing-" + st.Name)
		if err != nil {
			return err
		}
		pr.Cell = uint64(h3.At(st.Lat, st.Lon, h3.PublishedResolution))
		s.Replayed = append(s.Replayed, pr)
	}
	s.Began = time.Now().UTC().Truncate(time.Hour).Add(-sensing.Past)
	return nil
}

// sensingRole makes a role of the sensing vertical, nil for another's name.
func (e *env) sensingRole(name string) node.Role {
	s := e.plan.Sensing
	if s == nil {
		return nil
	}
	switch name {
	case SensingName:
		return e.sensingGateway()
	case CasterName:
		return e.caster()
	case s.Station.Name:
		return e.station(s.Station)
	}
	for i, pr := range s.Replayed {
		if pr.Name == name {
			return e.replay(i, pr)
		}
	}
	return nil
}

// DataEscrow is what the buyer's lease for readings begins with, in ucredit: five
// million rows.
const DataEscrow = 5_000_000

// sensingStatus is what the gateway of observations tells of itself.
type sensingStatus struct {
	Problems []ingest.Refused `json:"problems"`
}

// sensingGateway takes observations in and publishes them.
func (e *env) sensingGateway() node.Role {
	return node.NewFunc(SensingName, func(ctx context.Context, r *node.Func) error {
		web, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Sensing.Data))
		if err != nil {
			return err
		}
		defer web.Close()
		mqtt, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Sensing.MQTT))
		if err != nil {
			return err
		}
		defer mqtt.Close()
		g := sensing.Gateway{Dir: filepath.Join(e.home, "data", SensingName), HTTP: web, MQTT: mqtt, Tracer: e.traces.Tracer(SensingName), Logger: e.log.With("role", SensingName), Ready: r.MarkReady}
		g.Tells = func(refused func() []ingest.Refused) {
			r.SetStatus(func() any { return sensingStatus{refused()} })
		}
		if g.Ledger, err = e.ledger(ctx); err != nil {
			return err
		}
		if g.Archive, err = e.archive(); err != nil {
			return err
		}
		s3, err := loadS3Keys(e.home)
		if err != nil {
			return err
		}
		g.Images = sensing.Bucket{
			URL: "http://" + e.plan.addr(e.plan.Ports.S3), Name: sensing.ImagesBucket, Region: e.plan.S3Region, AccessKey: s3.Access, SecretKey: s3.Secret,
		}
		buyer, err := e.plan.Buyer.load(e.home)
		if err != nil {
			return err
		}
		g.Buyers = []sensing.Buyer{{Name: "buyer", Account: ledgerport.New(g.Ledger, buyer, nil), Escrow: DataEscrow}}
		return g.Run(ctx)
	})
}

// enter registers a station's device.
func (e *env) enter(ctx context.Context, c *client.Client, pr ProviderPlan, what string) (k sensing.Key, err error) {
	private, err := loadDeviceKey(filepath.Join(e.home, pr.DeviceKey))
	if err != nil {
		return k, err
	}
	owner, sponsor, err := e.sponsored(ctx, c, pr.Owner)
	if err != nil {
		return k, err
	}
	_, err = ledgerport.New(c, owner, sponsor).Register(ctx, private, devicepb.Profile{
		Class: devicepb.CLASS_PRN, Cell: pr.Cell, Capabilities: []string{what}, Status: devicepb.STATUS_ACTIVE,
	})
	if err != nil {
		return k, fmt.Errorf("register %s: %w", pr.Name, err)
	}
	return sensing.NewKey(private)
}

// dataURL is where devices hand observations in.
func (p *Plan) dataURL() string { return "http://" + p.addr(p.Sensing.Data) }

// station answers a weather console and signs for it.
func (e *env) station(pr ProviderPlan) node.Role {
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
		k, err := e.enter(ctx, c, pr, "weather-station")
		if err != nil {
			return err
		}
		r.MarkReady()
		return sensing.Station{
			Dir: filepath.Join(e.home, pr.Data), Key: k, ChainID: e.plan.ChainID, Gateway: e.plan.dataURL(), Listen: l, Logger: e.log.With("role", pr.Name),
		}.Run(ctx)
	})
}

// replay is a station of the demonstration.
func (e *env) replay(i int, pr ProviderPlan) node.Role {
	return node.NewFunc(pr.Name, func(ctx context.Context, r *node.Func) error {
		all, err := beijing.Stations()
		if err != nil {
			return err
		}
		c, err := e.ledger(ctx)
		if err != nil {
			return err
		}
		k, err := e.enter(ctx, c, pr, "weather-station")
		if err != nil {
			return err
		}
		r.MarkReady()
		return sensing.Replay{
			Dir: filepath.Join(e.home, pr.Data), Key: k, ChainID: e.plan.ChainID, Gateway: e.plan.dataURL(), Station: all[i], Began: e.plan.Sensing.Began,
			Faulty: i == len(all)-1, Logger: e.log.With("role", pr.Name),
		}.Run(ctx)
	})
}

// The rover of a local network, and what its lease begins with.
const (
	roverName   = "rover"
	roverEscrow = 100 * 1_000_000 // ucredit
)

func casterDir(home string) string { return filepath.Join(home, "data", CasterName) }

// caster serves NTRIP: the base of the plan may push, the rover may pull for what
// its account pays.
func (e *env) caster() node.Role {
	return node.NewFunc(CasterName, func(ctx context.Context, r *node.Func) error {
		plan := e.plan.Sensing
		l, err := net.Listen("tcp", e.plan.listenAddr(plan.NTRIP))
		if err != nil {
			return err
		}
		defer l.Close()
		c := sensing.Caster{Dir: casterDir(e.home), Listen: l, Gateway: e.plan.dataURL(), All: true, Logger: e.log.With("role", CasterName), Ready: r.MarkReady}
		if c.Ledger, err = e.ledger(ctx); err != nil {
			return err
		}
		if c.Secret, err = sensing.Secret(filepath.Join(e.home, "data", SensingName)); err != nil {
			return err
		}
		rover, err := plan.Rover.load(e.home)
		if err != nil {
			return err
		}
		first, enterCtx := errgroup.WithContext(ctx)
		first.Go(func() error {
			_, err := e.enter(enterCtx, c.Ledger, plan.Base, "gnss-base")
			return err
		})
		first.Go(func() (err error) {
			c.Witness, err = e.enter(enterCtx, c.Ledger, plan.Witness, "gnss-witness")
			return err
		})
		first.Go(func() error { return ledgerport.New(c.Ledger, rover, nil).Buy(enterCtx, 2*roverEscrow) })
		if err := first.Wait(); err != nil {
			return err
		}
		c.Rovers = []sensing.Rover{sensing.RoverAccount(roverName, c.Ledger, rover, roverEscrow)}
		return c.Run(ctx)
	})
}

// NTRIPDoor is where GNSS bases push and rovers pull, with the credentials of a
// local network.
type NTRIPDoor struct {
	URL           string `json:"url"`   // of the caster
	Mount         string `json:"mount"` // of the base
	BasePassword  string `json:"base_password"`
	RoverUser     string `json:"rover_user"`
	RoverPassword string `json:"rover_password"`
}

// mountName is the mount point of the base of a local network.
const mountName = "BASE01"

// ntripDoor reads the credentials that the roles made when they started.
func (p *Plan) ntripDoor(home string) (*NTRIPDoor, error) {
	if p.Sensing == nil || p.Sensing.NTRIP == 0 {
		return nil, nil
	}
	secret, err := sensing.Secret(filepath.Join(home, "data", SensingName))
	if err != nil {
		return nil, err
	}
	id, err := device.ParseID(p.Sensing.Base.Device)
	if err != nil {
		return nil, err
	}
	token, err := sensing.RoverToken(casterDir(home), roverName)
	return &NTRIPDoor{
		URL: "ntrip://" + p.addr(p.Sensing.NTRIP), Mount: mountName, BasePassword: id.String() + "." + ingest.Token(secret, id),
		RoverUser: roverName, RoverPassword: token,
	}, err
}
