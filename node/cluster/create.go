package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node/verticals"
)

// Amounts of the first block.
const (
	million    = 1_000_000 * 1_000_000 // a million GRAIN in ugrain
	userGrain  = 10 * million
	firstPrice = 1_000_000 // of a GRAIN, in ucredit: 1 USD
	minBond    = 1_000 * 1_000_000
	// roundSeconds is how far apart rounds of price votes are: purchases wait for up
	// to two.
	roundSeconds = 3
)

func dataDir(home, name string) string   { return filepath.Join(home, "data", name) }
func chainHome(home, name string) string { return filepath.Join(dataDir(home, name), "chain") }

// UserKeyPath is where the key of the account with GRAIN to spend is.
func UserKeyPath(home string) string { return filepath.Join(home, "data", "user.json") }

// create makes keys and genesis of a new cluster and writes its plan last, so
// that a half-made home is made again.
func create(ctx context.Context, home string, o Options) (*Plan, error) {
	p := &Plan{
		Version: planVersion, ChainID: ChainID, Created: time.Now().UTC().Truncate(time.Second),
		EpochSeconds: uint32(o.Epoch / time.Second), CommitMillis: uint32(o.Commit / time.Millisecond), With: o.With,
	}
	if err := clearData(home); err != nil {
		return nil, err
	}
	modules, err := p.modules()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(EvidencePath(home), 0o755); err != nil {
		return nil, err
	}
	g := server.Genesis{ChainID: p.ChainID, Time: p.Created, Modules: modules}
	for i := range o.Validators {
		name := fmt.Sprintf("validator-%d", i+1)
		k, err := server.InitNode(chainHome(home, name))
		if err != nil {
			return nil, err
		}
		gentx, err := k.Gentx(ctx, p.ChainID, name, million)
		if err != nil {
			return nil, err
		}
		g.Gentxs = append(g.Gentxs, gentx)
		g.Balances = append(g.Balances, balance(k.Operator.Address(), 2*million))
		p.Validators = append(p.Validators, ValidatorPlan{Name: name, NodeID: k.NodeID, Operator: k.Operator.Address().String()})
	}
	user, _, err := key.LoadOrCreate(UserKeyPath(home))
	if err != nil {
		return nil, err
	}
	g.Balances = append(g.Balances, balance(user.Address(), userGrain))
	if err := p.createNotaries(home, &g); err != nil {
		return nil, err
	}
	document, err := g.DocumentJSON()
	if err != nil {
		return nil, err
	}
	for _, v := range p.Validators {
		if err := server.WriteGenesis(chainHome(home, v.Name), document); err != nil {
			return nil, err
		}
	}
	if err := p.choosePorts(o.Ports); err != nil {
		return nil, err
	}
	return p, p.save(home)
}

// clearData removes what a start that was cut short left: without a plan nothing
// of it ever ran. It refuses what is not that.
func clearData(home string) error {
	dir := filepath.Join(home, "data")
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, e := range entries {
		_, ran := os.Stat(filepath.Join(chainHome(home, e.Name()), "data", "blockstore.db"))
		if !ours(e.Name()) || ran == nil {
			return &PlanError{fmt.Sprintf("make a cluster at %s: it holds data (%s) but no cluster.json: put that file back, or choose another directory", home, e.Name())}
		}
	}
	return os.RemoveAll(dir)
}

func balance(a sdk.AccAddress, ugrain int64) server.Balance {
	return server.Balance{Address: a, Coins: sdk.NewCoins(sdk.NewCoin(chain.Grain, math.NewInt(ugrain)))}
}

// modules is what a cluster sets differently from any other chain: the same as
// node/local does.
func (p *Plan) modules() (map[string]json.RawMessage, error) {
	names, grants, err := verticals.Parameters(p.With)
	if err != nil {
		return nil, err
	}
	state := func(format string, args ...any) json.RawMessage { return json.RawMessage(fmt.Sprintf(format, args...)) }
	return map[string]json.RawMessage{
		// Epochs are seconds here: who is stopped and started again is not jailed.
		"oracle": state(`{"params":{"epoch_seconds":"%d","verticals":%s,"miss_window":1024,"miss_limit":512}}`, p.EpochSeconds, names),
		"credit": state(`{"params":{"round_seconds":"%d","grants":%s},"price":{"last":"%d","average":"%d","updated":"%d"}}`, roundSeconds, grants, firstPrice, uint64(firstPrice)<<16, p.Created.Unix()),
		// A proposal is decided while somebody watches.
		"gov":    state(`{"params":{"voting_period":"60s","expedited_voting_period":"30s"}}`),
		"market": state(`{"params":{"min_bond":"%d"}}`, minBond),
	}, nil
}

// Accounts returns the account keys of a cluster by name: user, and the operator
// of each validator by the validator's name.
func Accounts(home string) (map[string]key.Key, error) {
	p, err := LoadPlan(home)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{"user": UserKeyPath(home)}
	for _, v := range p.Validators {
		paths[v.Name] = server.OperatorKeyPath(chainHome(home, v.Name))
	}
	for _, name := range p.notaries() {
		paths[name] = accountPath(home, name)
	}
	out := map[string]key.Key{}
	for name, path := range paths {
		if out[name], err = key.Load(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}
