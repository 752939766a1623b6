package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/grange-network/grange/internal/ports"
)

// Limits and defaults of a plan.
const (
	DefaultValidators = 4
	MaxValidators     = 16
	DefaultEpoch      = 15 * time.Second
	DefaultCommit     = time.Second
	// DefaultPort is the first of the consecutive ports of a network that was
	// not told otherwise.
	DefaultPort = 24900
)

// ChainID is the chain of a cluster.
const ChainID = "grange-local-1"

// planVersion is the form of cluster.json that this program writes and reads.
const planVersion = 1

// loopback is the only address a cluster listens on.
const loopback = "127.0.0.1"

// Plan is what a cluster is: written once, at first start. Only Port may change
// later. It holds no secrets.
type Plan struct {
	Version      int             `json:"version"`
	ChainID      string          `json:"chain_id"`
	Created      time.Time       `json:"created"`
	EpochSeconds uint32          `json:"epoch_seconds"`
	CommitMillis uint32          `json:"commit_millis"`  // pause between blocks
	Port         int             `json:"port"`           // first of Plan.ports() consecutive ports
	With         []string        `json:"with,omitempty"` // verticals besides storage
	Validators   []ValidatorPlan `json:"validators"`
}

// ValidatorPlan is one validator.
type ValidatorPlan struct {
	Name     string `json:"name"`
	NodeID   string `json:"node_id"`  // p2p identity, 40 hex digits
	Operator string `json:"operator"` // account address
	// Evidence is where its verifier fetches evidence, see evidence.Open; where that
	// of the network is published if empty.
	Evidence string `json:"evidence,omitempty"`
}

// Ports of one validator, from its first.
const (
	rpcPort = iota
	p2pPort
	grpcPort
	restPort
	portsEach
)

// ports is how many ports the plan takes: each validator's own, then one for
// the link from every validator to every other, then the notaries'.
func (p *Plan) ports() int { n := len(p.Validators); return n*portsEach + n*n + len(p.notaries()) }

// addr is where validator i listens for which.
func (p *Plan) addr(i, which int) string { return address(p.Port + i*portsEach + which) }

// linkAddr is where validator i reaches validator j's p2p port.
func (p *Plan) linkAddr(i, j int) string {
	n := len(p.Validators)
	return address(p.Port + n*portsEach + i*n + j)
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// index finds a validator by name.
func (p *Plan) index(name string) (int, error) {
	for i, v := range p.Validators {
		if v.Name == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q: %w", name, ErrUnknownValidator)
}

// ErrUnknownValidator is returned for a name no validator has.
var ErrUnknownValidator = errors.New("no such validator")

// ErrNoCluster is returned when a home directory holds no cluster.
var ErrNoCluster = errors.New("no cluster here")

// PlanError says that what was asked for is not what the cluster of that home
// is, or is no cluster at all.
type PlanError struct{ What string }

// Error says what differs.
func (e *PlanError) Error() string { return e.What }

func planPath(home string) string { return filepath.Join(home, "cluster.json") }

// LoadPlan reads the plan of a home directory, or returns ErrNoCluster.
func LoadPlan(home string) (*Plan, error) {
	path := planPath(home)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, ErrNoCluster)
	}
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if p.Version != planVersion {
		return nil, fmt.Errorf("read %s: version %d, this program knows %d", path, p.Version, planVersion)
	}
	if n := len(p.Validators); n < 1 || n > MaxValidators {
		return nil, fmt.Errorf("read %s: %d validators, want 1 to %d", path, n, MaxValidators)
	}
	return p, nil
}

// PortChoice is how ports are chosen. The zero value keeps what was chosen
// before, DefaultPort at first.
type PortChoice struct {
	Auto  bool // any that are free
	First int  // this block, if not 0
}

// choosePorts decides Port and checks that all are free.
func (p *Plan) choosePorts(c PortChoice) error {
	switch {
	case c.First != 0:
		p.Port = c.First
	case p.Port == 0 && !c.Auto:
		p.Port = DefaultPort
	}
	if p.Port != 0 {
		if err := ports.TryAll(loopback, p.Port, p.ports()); err == nil || !c.Auto {
			return err
		}
	}
	var err error
	p.Port, err = ports.Block(loopback, p.ports())
	return err
}

// save writes the plan so that a crash leaves the old one or the new one.
func (p *Plan) save(home string) error { return writeJSON(planPath(home), p) }

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
