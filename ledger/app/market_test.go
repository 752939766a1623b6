package app_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/device"
	"github.com/grange-network/grange/ledger/market"
)

const scenarioChain = "scenario-1"

// rich is what every account of a scenario has of each coin.
const rich = 1_000_000_000

// bench is the application with all its modules and an epoch clock, without
// consensus: messages go straight to the message servers, each all or nothing.
type bench struct {
	*testing.T
	*app.App
	ctx     sdk.Context
	market  marketpb.MsgServer
	devices devicepb.MsgServer
	payer   sdk.AccAddress
	people  []sdk.AccAddress
}

// newBench is a ledger with a payer and n more accounts, all rich.
func newBench(t *testing.T, n int) *bench {
	t.Helper()
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), scenarioChain, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, App: a, payer: account("payer", 0)}
	//nolint:staticcheck // the only context that writes straight through; a block would need a validator
	b.ctx = a.NewUncachedContext(false, cmtproto.Header{ChainID: scenarioChain, Height: 1, Time: time.Unix(1_700_000_000, 0)})
	for i := range n {
		b.people = append(b.people, account("person", i))
	}
	b.genesis()
	b.market, b.devices = market.NewMsgServer(a.Ours.Market), device.NewMsgServer(a.Ours.Device)
	b.begin()
	return b
}

func account(role string, n int) sdk.AccAddress {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(role), uint64(n)))
	return h[:20]
}

// genesis loads every module but genutil, which would want validators.
func (b *bench) genesis() {
	b.Helper()
	state := b.DefaultGenesis()
	bank := banktypes.DefaultGenesisState()
	for _, who := range append([]sdk.AccAddress{b.payer}, b.people...) {
		coins := sdk.NewCoins(sdk.NewInt64Coin(money.CreditDenom, rich), sdk.NewInt64Coin(money.GrainDenom, rich))
		bank.Balances = append(bank.Balances, banktypes.Balance{Address: who.String(), Coins: coins})
	}
	state[banktypes.ModuleName] = b.Codec.MustMarshalJSON(bank)
	var m marketpb.GenesisState
	b.Codec.MustUnmarshalJSON(state[market.ModuleName], &m)
	m.Params.GraceEpochs, m.Params.WindowEpochs, m.Params.DisputeEpochs, m.Params.HistoryEpochs = 2, 1, 1, 20
	state[market.ModuleName] = b.Codec.MustMarshalJSON(&m)
	for _, name := range b.Manager.OrderInitGenesis {
		raw := state[name]
		if raw == nil || name == genutiltypes.ModuleName {
			continue
		}
		switch x := b.Manager.Modules[name].(type) {
		case module.HasGenesis:
			x.InitGenesis(b.ctx, b.Codec, raw)
		case interface {
			InitGenesis(sdk.Context, codec.JSONCodec, json.RawMessage) []abci.ValidatorUpdate
		}:
			x.InitGenesis(b.ctx, b.Codec, raw)
		}
	}
}

func (b *bench) begin() {
	b.Helper()
	if err := b.Ours.Oracle.BeginBlock(b.ctx); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) epoch() uint64 {
	b.Helper()
	e, err := b.Ours.Oracle.CurrentEpoch(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// turn runs blocks until n more epochs have begun, and one more after that.
func (b *bench) turn(n uint64) {
	b.Helper()
	for until := b.epoch() + n; b.epoch() < until; {
		h := b.ctx.BlockHeader()
		h.Height, h.Time = h.Height+1, h.Time.Add(4*time.Hour)
		b.ctx = b.ctx.WithBlockHeader(h)
		b.begin()
		if err := b.Ours.Market.EndBlock(b.ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// do is a transaction: it leaves nothing behind when it fails.
func (b *bench) do(f func(context.Context) error) error {
	cached, write := b.ctx.CacheContext()
	err := f(cached)
	if err == nil {
		write()
	}
	return err
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) credits(who sdk.AccAddress) int64 {
	return b.Standard.Bank.GetBalance(b.ctx, who, money.CreditDenom).Amount.Int64()
}

// earned is what an account has more than at the start.
func (b *bench) earned(who sdk.AccAddress) int64 { return b.credits(who) - rich }

// node is a registered device of an account.
type node struct {
	id    coredevice.ID
	key   ed25519.PrivateKey
	owner sdk.AccAddress
}

func (b *bench) register(name string, n int, owner sdk.AccAddress) node {
	b.Helper()
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), uint64(n)))
	d := node{key: ed25519.NewKeyFromSeed(seed[:]), owner: owner}
	public := d.key.Public().(ed25519.PublicKey)
	k, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	b.must(err)
	d.id = k.ID()
	message, err := coredevice.RegisterBytes(scenarioChain, owner, 1)
	b.must(err)
	b.must(b.do(func(ctx context.Context) error {
		_, err := b.devices.Register(ctx, &devicepb.MsgRegister{
			Owner: owner.String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
			Signature: ed25519.Sign(d.key, message), Profile: devicepb.Profile{Class: devicepb.CLASS_DRN},
		})
		return err
	}))
	return d
}

func (b *bench) post(msg *marketpb.MsgPost) (r *marketpb.MsgPostResponse, err error) {
	err = b.do(func(ctx context.Context) error { r, err = b.market.Post(ctx, msg); return err })
	return r, err
}

func (b *bench) accept(msg *marketpb.MsgAccept) (r *marketpb.MsgAcceptResponse, err error) {
	err = b.do(func(ctx context.Context) error { r, err = b.market.Accept(ctx, msg); return err })
	return r, err
}

func (b *bench) settle(msg *marketpb.MsgSettle) (paid uint64, err error) {
	if msg.Signer == "" {
		msg.Signer = b.payer.String()
	}
	err = b.do(func(ctx context.Context) error {
		r, err := b.market.Settle(ctx, msg)
		if err == nil {
			paid = r.Paid
		}
		return err
	})
	return paid, err
}

// offer posts a node's supply at the given prices per unit.
func (b *bench) offer(d node, kind string, use, hold marketpb.Price, capacity uint64) uint64 {
	b.Helper()
	r, err := b.post(&marketpb.MsgPost{Owner: d.owner.String(), Device: d.id[:], Kind: kind, Use: use, Hold: hold, Capacity: capacity, Bond: 1_000_000})
	b.must(err)
	return r.OfferId
}

// stand opens a standing lease of the payer.
func (b *bench) stand(kind string, use marketpb.Price, bond uint64, lanes ...marketpb.Lane) [32]byte {
	b.Helper()
	r, err := b.post(&marketpb.MsgPost{Owner: b.payer.String(), Side: marketpb.SIDE_STANDING, Kind: kind, Use: use, PayerBond: bond, Lanes: lanes})
	b.must(err)
	return [32]byte(r.LeaseId)
}

func laneKey(n int) ed25519.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("lane"), uint64(n)))
	return ed25519.NewKeyFromSeed(seed[:])
}

func laneOf(n int, limit uint64) marketpb.Lane {
	return marketpb.Lane{Id: uint32(n), Key: laneKey(n).Public().(ed25519.PublicKey), Cap: limit}
}

func per(credits, units uint64) marketpb.Price { return marketpb.Price{Credits: credits, Per: units} }

// receipt is one that both sides sign: the payer's lane n, and the node.
func (b *bench) receipt(id [32]byte, d node, n int, seq, units uint64, evidence [32]byte) []byte {
	b.Helper()
	r := receipt.Receipt{Lease: id, Lane: uint32(n), Seq: seq, Units: units, Epoch: b.epoch(), Evidence: evidence}
	b.must(r.SignPayer(receipt.ChainOf(scenarioChain), laneKey(n)))
	b.must(r.CountersignProvider(receipt.ChainOf(scenarioChain), d.key))
	return r.Encode()
}

// served is a receipt under a standing lease.
func (b *bench) served(id [32]byte, d node, n int, seq, units uint64) []byte {
	b.Helper()
	return b.receipt(lease.AccountID(id, d.id), d, n, seq, units, [32]byte{})
}

// state sends the payer's statement of this epoch and returns its tree.
func (b *bench) state(id [32]byte, units map[coredevice.ID]uint64) *merkle.SumTree {
	b.Helper()
	var leaves []merkle.SumLeaf
	for d, n := range units {
		leaves = append(leaves, merkle.SumLeaf{Key: d, Amount: n})
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	b.must(err)
	r := tree.Root()
	_, err = b.settle(&marketpb.MsgSettle{Statements: []marketpb.StatementItem{
		{Standing: id[:], Epoch: b.epoch(), Root: r.Hash[:], Size_: r.Size, Total: r.Total},
	}})
	b.must(err)
	return tree
}

func (b *bench) leaf(id [32]byte, tree *merkle.SumTree, d node) marketpb.LeafItem {
	b.Helper()
	leaf, proof, err := tree.Prove(d.id)
	b.must(err)
	return marketpb.LeafItem{Standing: id[:], Device: d.id[:], Units: leaf.Amount, Proof: proof.Encode()}
}

// collect settles every leaf of the tree, a hundred in a message.
func (b *bench) collect(id [32]byte, tree *merkle.SumTree, nodes ...node) (sum uint64) {
	b.Helper()
	for len(nodes) > 0 {
		var items []marketpb.LeafItem
		n := min(100, len(nodes))
		for _, d := range nodes[:n] {
			items = append(items, b.leaf(id, tree, d))
		}
		paid, err := b.settle(&marketpb.MsgSettle{Signer: nodes[0].owner.String(), Leaves: items})
		b.must(err)
		sum, nodes = sum+paid, nodes[n:]
	}
	return sum
}

func (b *bench) contest(id [32]byte, d node, receipts ...[]byte) error {
	_, err := b.settle(&marketpb.MsgSettle{Signer: d.owner.String(), Disputes: []marketpb.DisputeItem{{Standing: id[:], Device: d.id[:], Receipts: receipts}}})
	return err
}

func (b *bench) standing(id [32]byte) lease.Standing {
	b.Helper()
	p, err := b.Ours.Market.Standings.Get(b.ctx, id[:])
	b.must(err)
	s, err := market.StandingOf(p)
	b.must(err)
	return s
}

func (b *bench) lease(id []byte) lease.Lease {
	b.Helper()
	p, err := b.Ours.Market.Leases.Get(b.ctx, id)
	b.must(err)
	l, err := market.LeaseOf(p)
	b.must(err)
	return l
}

// books checks that credits add up over the whole ledger and that the market's
// account holds what its leases, standing leases and demands say.
func (b *bench) books() {
	b.Helper()
	b.must(b.Ours.Credit.CheckInvariants(b.ctx))
	g, err := b.Ours.Market.ExportGenesis(b.ctx)
	b.must(err)
	var held money.Credit
	for _, p := range g.Leases {
		l, err := market.LeaseOf(p)
		b.must(err)
		held += l.Held()
	}
	for _, p := range g.Standings {
		s, err := market.StandingOf(p)
		b.must(err)
		held += s.Held() + s.Bond
	}
	for _, d := range g.Demands {
		held += money.Credit(d.Deposit)
	}
	if got := b.credits(authtypes.NewModuleAddress(market.ModuleName)); got != int64(held) {
		b.Fatalf("the market's account holds %d ucredit, its books %d", got, held)
	}
}
