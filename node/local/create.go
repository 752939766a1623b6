package local

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/vertical/notary"
	"github.com/grange-network/grange/vertical/sensing"
)

// Amounts of the first block, in ugrain.
const (
	million = 1_000_000 * 1_000_000

	buyerGrain   = 10 * million
	sponsorGrain = million
	// ownerGrain is what a provider's owner has: its bond. Fees are sponsored.
	ownerGrain = providerBond
)

// providerBond is what an owner bonds behind its offer: 1,000 GRAIN.
const providerBond = 1_000 * 1_000_000

// graceEpochs is how long a lease whose escrow ran dry stays readable: short, so
// that somebody who watches sees the end of it.
const graceEpochs = 4

// roundSeconds is how far apart rounds of price votes are: purchases and
// redemptions wait for up to two, and nobody likes to wait here.
const roundSeconds = 3

// firstPrice is the price of GRAIN in the first block, in ucredit: 1 USD.
const firstPrice = 1_000_000

// DefaultEpoch is how long an epoch of a local network lasts.
const DefaultEpoch = 15 * time.Second

// DefaultListen is the address a network listens on unless told otherwise.
const DefaultListen = "127.0.0.1"

// DefaultProviders is how many storage providers a local network has.
const DefaultProviders = 12

// MaxProviders bounds the providers of one machine.
const MaxProviders = 64

// providerCapacity is what each provider offers.
const providerCapacity = 64 << 30

// founding is what a new network is made of.
type founding struct {
	providers int
	epoch     time.Duration
	listen    string
	ports     PortChoice
	with      []string // verticals besides storage
	demo      string
}

// createPlan makes the keys and the chain of a new network and writes its plan
// last, so that a half-made home is made again.
func createPlan(ctx context.Context, home string, f founding) (*Plan, error) {
	for _, dir := range []string{"keys", "devices", "data", "run", "logs"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := refuseData(home); err != nil {
		return nil, err
	}
	if err := clearKeys(home); err != nil {
		return nil, err
	}
	p := &Plan{
		Version: planVersion, ChainID: ChainID, Created: time.Now().UTC().Truncate(time.Second),
		EpochSeconds: uint32(f.epoch / time.Second), Listen: f.listen, S3Region: "us-east-1",
	}
	if err := p.createAccounts(home, f); err != nil {
		return nil, err
	}
	if err := createS3Keys(home); err != nil {
		return nil, err
	}
	if err := p.choosePorts(f.ports); err != nil {
		return nil, err
	}
	if err := p.createChain(ctx, home); err != nil {
		return nil, fmt.Errorf("create chain: %w", err)
	}
	return p, p.save(home)
}

// refuseData keeps a home whose plan is lost from being made anew: its keys are
// all that opens what it stores.
func refuseData(home string) error {
	for _, dir := range []string{"data", filepath.Join("chain", "data", "blockstore.db")} {
		entries, err := os.ReadDir(filepath.Join(home, dir))
		if err == nil && len(entries) > 0 {
			return &PlanError{fmt.Sprintf("make a network at %s: it holds data (%s) but no network.json: put that file back, or choose another directory", home, dir)}
		}
	}
	return nil
}

// clearKeys removes what a start that was cut short left: without a plan
// nothing refers to it.
func clearKeys(home string) error {
	for _, dir := range []string{"keys", "devices", "chain"} {
		path := filepath.Join(home, dir)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) createAccounts(home string, f founding) error {
	m, err := newAccountMaker(home)
	if err != nil {
		return err
	}
	if p.Sponsor, err = m.account("sponsor"); err != nil {
		return err
	}
	if p.Buyer, err = m.account("buyer"); err != nil {
		return err
	}
	for i := range f.providers {
		pr, err := m.provider(ProviderName(i + 1))
		if err != nil {
			return err
		}
		pr.Capacity, pr.Cell = providerCapacity, placeOf(i)
		pr.Routed = f.providers > 1 && i == f.providers-1 // shows that a port is not needed
		p.Providers = append(p.Providers, pr)
	}
	if slices.Contains(f.with, notary.Name) {
		if err := p.createNotaries(home, m); err != nil {
			return err
		}
	}
	if slices.Contains(f.with, sensing.Name) {
		return p.createSensing(m, f.demo)
	}
	return nil
}

// provider makes the keys of one provider.
func (m *accountMaker) provider(name string) (ProviderPlan, error) {
	owner, err := m.account("owner-" + name)
	if err != nil {
		return ProviderPlan{}, err
	}
	keyFile := filepath.Join("devices", name+".pem")
	k, err := createDeviceKey(filepath.Join(m.home, keyFile))
	if err != nil {
		return ProviderPlan{}, err
	}
	return ProviderPlan{
		Name: name, Owner: owner, Device: deviceID(k.Public().(ed25519.PublicKey)), DeviceKey: keyFile, Data: filepath.Join("data", name),
	}, nil
}

// choosePorts gives a new plan its ports.
func (p *Plan) choosePorts(c PortChoice) error {
	if c.Auto {
		return p.pickPorts()
	}
	first := DefaultPort
	if c.First != 0 {
		first = c.First
	}
	p.assign(first)
	return p.checkPorts()
}

// rechoosePorts checks the ports of a plan that exists, and replaces those that
// are taken when any will do.
func (p *Plan) rechoosePorts(home string, c PortChoice) error {
	if c.First != 0 && c.First != p.Ports.S3 {
		p.assign(c.First)
		if err := p.checkPorts(); err != nil {
			return err
		}
		return p.save(home)
	}
	if !c.Auto {
		return p.checkPorts()
	}
	changed, err := p.replacePorts()
	if err != nil || !changed {
		return err
	}
	return p.save(home)
}

func chainHome(home string) string { return filepath.Join(home, "chain") }

func (p *Plan) createChain(ctx context.Context, home string) error {
	balances := []server.Balance{}
	give := func(a Account, ugrain int64) error {
		addr, err := sdk.AccAddressFromBech32(a.Address)
		if err != nil {
			return err
		}
		balances = append(balances, server.Balance{Address: addr, Coins: sdk.NewCoins(sdk.NewCoin(chain.Grain, math.NewInt(ugrain)))})
		return nil
	}
	err := give(p.Buyer, buyerGrain)
	if err == nil {
		err = give(p.Sponsor, sponsorGrain)
	}
	if p.Notary != nil && err == nil {
		err = give(p.Notary.Buyer, ownerGrain)
	}
	if p.Sensing != nil && err == nil {
		err = give(p.Sensing.Rover, ownerGrain)
	}
	for _, pr := range p.all() {
		if err == nil {
			err = give(pr.Owner, ownerGrain)
		}
	}
	if err != nil {
		return err
	}
	modules, err := p.genesisModules()
	if err != nil {
		return err
	}
	_, err = server.InitHome(ctx, chainHome(home), server.LocalGenesis{ChainID: p.ChainID, Balances: balances, Modules: modules})
	if err != nil {
		return err
	}
	keys, err := server.InitNode(chainHome(home))
	if err != nil {
		return err
	}
	p.Validator = Account{Name: "operator", Address: keys.Operator.Address().String(), Key: filepath.Join("chain", "keys", "operator.json")}
	return nil
}

// genesisModules is what a local network sets differently from any other.
func (p *Plan) genesisModules() (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	names, grants := verticals.OnLedger(p.with())
	for name, state := range map[string]any{
		"oracle": map[string]any{"params": map[string]any{"epoch_seconds": fmt.Sprint(p.EpochSeconds), "verticals": names}},
		"credit": map[string]any{
			"params": map[string]any{"round_seconds": fmt.Sprint(roundSeconds), "grants": grants},
			"price": map[string]any{
				"last": fmt.Sprint(firstPrice), "average": fmt.Sprint(uint64(firstPrice) << 16), "updated": fmt.Sprint(p.Created.Unix()),
			},
		},
		"market": map[string]any{"params": map[string]any{"min_bond": fmt.Sprint(providerBond), "grace_epochs": fmt.Sprint(graceEpochs)}},
	} {
		raw, err := json.Marshal(state)
		if err != nil {
			return nil, err
		}
		out[name] = raw
	}
	return out, nil
}
