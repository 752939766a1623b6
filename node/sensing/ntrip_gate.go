package sensing

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// devices is what the gate asks the ledger about.
type devices interface {
	ingest.Registry
	Cell(ctx context.Context, id device.ID) (h3.Cell, error)
}

type gateConfig struct {
	till     *Till
	secret   []byte
	registry devices
	chainID  string
	now      func() time.Time
	log      *slog.Logger
}

// gate lets devices of the ledger push and paying rovers pull.
type gate struct {
	gateConfig
	file string // of mount points

	mu     sync.Mutex
	mounts map[string]device.ID
	signs  map[string]bool // the base on a mount point signs its minutes itself
	busy   map[string]bool // rovers
	offers map[device.ID]bool
}

var _ ntrip.Gate = (*gate)(nil)

// newGate reads which mount point is whose.
func newGate(dir string, cfg gateConfig) (*gate, error) {
	g := &gate{
		gateConfig: cfg, file: filepath.Join(dir, "mounts.json"),
		mounts: map[string]device.ID{}, signs: map[string]bool{}, busy: map[string]bool{}, offers: map[device.ID]bool{},
	}
	raw, err := os.ReadFile(g.file)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read mount points: %w", err)
	}
	named := map[string]string{}
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, fmt.Errorf("read %s: %w", g.file, err)
	}
	for mount, text := range named {
		if g.mounts[mount], err = device.ParseID(text); err != nil {
			return nil, fmt.Errorf("read %s: mount point %s: %w", g.file, mount, err)
		}
	}
	return g, nil
}

// Base implements ntrip.Gate. The name is the device's id; where there is none, as in
// version 1, it is before a dot in the password. The password is the device's token, or
// one that ingest.Password made with its key.
func (g *gate) Base(ctx context.Context, mount, name, password string) (*ntrip.Position, error) {
	id, err := device.ParseID(name)
	if err != nil {
		name, password, _ = strings.Cut(password, ".")
		id, err = device.ParseID(name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: a base's name is its device's id (or the password is ID.PASSWORD): %w", ntrip.ErrDenied, err)
	}
	token := len(g.secret) >= 32 && subtle.ConstantTimeCompare([]byte(ingest.Token(g.secret, id)), []byte(password)) == 1
	if !token {
		if err := ingest.CheckPassword(ctx, g.registry, g.chainID, id, password, g.now()); err != nil {
			return nil, fmt.Errorf("%w: %w", ntrip.ErrDenied, err)
		}
	}
	cell, err := g.registry.Cell(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("device %s cannot push: %w", id, err)
	}
	if err := g.claim(mount, id, !token); err != nil {
		return nil, err
	}
	if cell == 0 {
		return nil, nil
	}
	lat, lon := cell.Centre()
	return &ntrip.Position{Lat: lat, Lon: lon}, nil
}

// claim gives a mount point to the first device that asks for it; a device has one.
func (g *gate) claim(mount string, id device.ID, signs bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	owner, taken := g.mounts[mount]
	if taken && owner != id {
		return fmt.Errorf("mount point %s belongs to device %s: choose another", mount, owner)
	}
	g.signs[mount] = signs
	if taken {
		return nil
	}
	named := map[string]string{mount: id.String()}
	for m, d := range g.mounts {
		if d == id {
			delete(g.mounts, m)
			delete(g.signs, m)
			continue
		}
		named[m] = d.String()
	}
	g.mounts[mount] = id
	raw, err := json.MarshalIndent(named, "", "  ")
	if err == nil {
		err = os.WriteFile(g.file+".new", raw, 0o600)
	}
	if err == nil {
		err = os.Rename(g.file+".new", g.file)
	}
	if err != nil {
		return fmt.Errorf("remember mount point %s: %w", mount, err)
	}
	return nil
}

// Rover implements ntrip.Gate.
func (g *gate) Rover(ctx context.Context, mount, name, password string) (ntrip.Session, error) {
	buyer, err := g.till.Buyer(ctx, password)
	if err != nil || buyer != name {
		return nil, fmt.Errorf("%w: a rover's name is that of its account, the password its token", ntrip.ErrDenied)
	}
	left, err := g.till.Left(name)
	if err == nil && left == 0 {
		err = query.ErrUnpaid
	}
	if err != nil {
		return nil, unpaid(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy[name] {
		return nil, fmt.Errorf("rover %s is connected already: one session for each lease", name)
	}
	g.busy[name] = true
	return &session{gate: g, name: name, left: left, served: map[device.ID]time.Duration{}}, nil
}

func unpaid(err error) error {
	if errors.Is(err, query.ErrUnpaid) || errors.Is(err, query.ErrNoLease) {
		return fmt.Errorf("%w: %w", ntrip.ErrUnpaid, err)
	}
	return err
}

// chargeEvery is after how many seconds of a stream they are entered in the book.
const chargeEvery = 60

// session is one rover's connection. What it took and was not charged for is lost
// when the machine fails: a minute at most.
type session struct {
	gate *gate
	name string

	mu     sync.Mutex
	left   uint64 // seconds that the escrow covers beyond those served
	served map[device.ID]time.Duration
}

// Served implements ntrip.Session.
func (s *session) Served(ctx context.Context, mount string, d time.Duration) error {
	id, known := s.gate.owner(mount)
	if !known {
		return fmt.Errorf("mount point %s is of no device", mount)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[id] += d
	var total time.Duration
	for _, v := range s.served {
		total += v
	}
	if seconds := uint64(total / time.Second); seconds >= chargeEvery || seconds >= s.left {
		return s.charge(ctx)
	}
	return nil
}

// charge enters whole seconds, as many as the escrow covers: a base that sends seldom
// serves a little more. s.mu is held.
func (s *session) charge(ctx context.Context) error {
	rows, left := query.Rows{}, s.left
	for id, v := range s.served {
		if n := min(uint64(v/time.Second), left); n > 0 {
			rows[id] = n
			left -= n
		}
	}
	if len(rows) == 0 {
		return nil
	}
	bill, err := s.gate.till.Charge(ctx, s.name, rows)
	if err != nil {
		return unpaid(err)
	}
	for id := range rows {
		s.served[id] %= time.Second
	}
	if s.left = bill.Left; s.left == 0 {
		return fmt.Errorf("%w: add to the escrow of its lease", ntrip.ErrUnpaid)
	}
	return nil
}

// Close implements ntrip.Session.
func (s *session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.charge(context.Background()); err != nil && !errors.Is(err, ntrip.ErrUnpaid) {
		s.gate.log.Error("the end of a stream was not charged", "rover", s.name, "err", err)
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	delete(s.gate.busy, s.name)
}

func (g *gate) owner(mount string) (device.ID, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, ok := g.mounts[mount]
	return id, ok
}

// witnessed says whose base is on a mount point; ok is false when it signs itself.
func (g *gate) witnessed(mount string) (name string, id device.ID, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, ok = g.mounts[mount]
	return mount, id, ok && !g.signs[mount]
}

// sells reports whether the base on a mount point has an open offer.
func (g *gate) sells(mount string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.offers[g.mounts[mount]]
}

// market lists the devices with an open offer of base streams.
type market interface {
	Offered(ctx context.Context) (map[device.ID]bool, error)
}

// look is how often the market is asked.
const look = 5 * time.Second

// follow keeps the offers until ctx ends. While the ledger is away the last ones
// hold.
func (g *gate) follow(ctx context.Context, m market) error {
	for ctx.Err() == nil {
		got, err := m.Offered(ctx)
		if err == nil {
			g.mu.Lock()
			g.offers = got
			g.mu.Unlock()
		} else if ctx.Err() == nil {
			g.log.Warn("offers of bases cannot be read", "err", err)
		}
		wait(ctx, look)
	}
	return nil
}
