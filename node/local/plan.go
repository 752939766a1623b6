package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The names of the roles that exist once.
const (
	ValidatorName = "validator"
	VerifierName  = "verifier"
	GatewayName   = "gateway"
	ExplorerName  = "explorer"
	StatusName    = "status"
)

// Kinds of roles.
const (
	KindValidator = "validator"
	KindVerifier  = "verifier"
	KindProvider  = "provider"
	KindGateway   = "gateway"
	KindExplorer  = "explorer"
	KindStatus    = "status"
	KindStation   = "station"
)

// ChainID is the chain of a network on one machine.
const ChainID = "grange-local-1"

// planVersion is the form of network.json that this program writes and reads.
const planVersion = 1

// Plan is what a network is: written once, at first start, so that every later
// start is the same network. It holds no secrets, only where they are.
type Plan struct {
	Version      int            `json:"version"`
	ChainID      string         `json:"chain_id"`
	Created      time.Time      `json:"created"`
	EpochSeconds uint32         `json:"epoch_seconds"`
	Listen       string         `json:"listen"` // address every listener binds
	Ports        Ports          `json:"ports"`
	Validator    Account        `json:"validator"`
	Sponsor      Account        `json:"sponsor"`
	Buyer        Account        `json:"buyer"`
	Providers    []ProviderPlan `json:"providers"`
	S3Region     string         `json:"s3_region"`
	Lease        LeasePlan      `json:"lease"`
	ScrubSeconds uint32         `json:"scrub_seconds,omitempty"` // one reading of all pieces takes that long; 0: a day
	Notary       *NotaryPlan    `json:"notary,omitempty"`        // nil: without notaries
	Sensing      *SensingPlan   `json:"sensing,omitempty"`       // nil: without sensing
}

// all lists the providers of every vertical.
func (p *Plan) all() []ProviderPlan {
	out := slices.Clone(p.Providers)
	if p.Notary != nil {
		out = append(out, p.Notary.Providers...)
	}
	if p.Sensing != nil {
		out = append(append(out, p.Sensing.Station, p.Sensing.Base, p.Sensing.Witness), p.Sensing.Replayed...)
	}
	return out
}

// LeasePlan is how the gateway buys: the engine's own way where a field is zero.
type LeasePlan struct {
	NoTopUp    bool   `json:"no_top_up,omitempty"`   // a lease's first escrow is its last
	HoldEpochs uint64 `json:"hold_epochs,omitempty"` // epochs that the first escrow pays for
}

// Account is an account of the network and the file that holds its key,
// relative to the home directory.
type Account struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Key     string `json:"key"`
	Index   uint32 `json:"index"` // in the phrase's derivation path
}

// ProviderPlan is one storage provider.
type ProviderPlan struct {
	Name      string  `json:"name"`
	Owner     Account `json:"owner"`
	Device    string  `json:"device"`           // device id, hex
	DeviceKey string  `json:"device_key"`       // file, relative to home
	Data      string  `json:"data"`             // directory, relative to home
	Port      int     `json:"port"`             // 0 when it is routed
	Routed    bool    `json:"routed,omitempty"` // has no port: it dials the gateway's router
	Capacity  uint64  `json:"capacity_bytes"`
	Cell      uint64  `json:"cell,omitempty"` // H3 cell that it says it is in; 0: none
}

// Ports are the TCP ports of the roles that exist once.
type Ports struct {
	P2P    int `json:"p2p"`
	RPC    int `json:"rpc"`
	GRPC   int `json:"grpc"`
	REST   int `json:"rest"`
	Status int `json:"status"`
	S3     int `json:"s3"`
	Router int `json:"router,omitempty"` // 0 when no provider is routed

	Explorer int `json:"explorer,omitempty"` // 0 in a plan from before there was one
	Verify   int `json:"verify,omitempty"`   // 0 in a plan from before there was one
}

// ProviderName is the name of the i-th provider, counted from 1.
func ProviderName(i int) string { return fmt.Sprintf("storage-%02d", i) }

// Provider returns the plan of the provider called name.
func (p *Plan) Provider(name string) (ProviderPlan, bool) {
	for _, pp := range p.Providers {
		if pp.Name == name {
			return pp, true
		}
	}
	return ProviderPlan{}, false
}

// PlanPath is where the plan of a home directory is.
func PlanPath(home string) string { return filepath.Join(home, "network.json") }

// ErrNoNetwork is returned when a home directory holds no network.
var ErrNoNetwork = errors.New("no network here")

// LoadPlan reads the plan of a home directory, or returns ErrNoNetwork.
func LoadPlan(home string) (*Plan, error) {
	path := PlanPath(home)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, ErrNoNetwork)
	}
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if p.Version != planVersion {
		return nil, fmt.Errorf("read %s: version %d, this program knows %d", path, p.Version, planVersion)
	}
	return p, nil
}

// save writes the plan so that a crash leaves the old one or the new one.
func (p *Plan) save(home string) error { return writeJSON(PlanPath(home), p, 0o644) }

func writeJSON(path string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'), mode)
}

// writeFile replaces path with data in one step and syncs it.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
