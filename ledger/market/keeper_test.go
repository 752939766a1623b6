package market

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/log/v2"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

const testChain = "market-test-1"

// vault is a small bank: balances by account, modules under their names.
type vault map[string]map[string]*big.Int

func (v vault) add(who, denom string, n *big.Int) {
	if v[who] == nil {
		v[who] = map[string]*big.Int{}
	}
	if v[who][denom] == nil {
		v[who][denom] = new(big.Int)
	}
	v[who][denom].Add(v[who][denom], n)
}

func (v vault) of(who, denom string) uint64 {
	if v[who][denom] == nil {
		return 0
	}
	return v[who][denom].Uint64()
}

func (v vault) move(from, to string, coins sdk.Coins) error {
	for _, c := range coins {
		if have := v.of(from, c.Denom); have < c.Amount.Uint64() {
			return fmt.Errorf("%s has %d%s, less than %s", from, have, c.Denom, c)
		}
		v.add(from, c.Denom, new(big.Int).Neg(c.Amount.BigInt()))
		v.add(to, c.Denom, c.Amount.BigInt())
	}
	return nil
}

func (v vault) SendCoinsFromAccountToModule(_ context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error {
	return v.move(from.String(), module, amt)
}

func (v vault) SendCoinsFromModuleToAccount(_ context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error {
	return v.move(module, to.String(), amt)
}

func (v vault) BurnCoins(_ context.Context, module string, amt sdk.Coins) error {
	return v.move(module, "burned", amt)
}

func (v vault) SpendableCoin(_ context.Context, addr sdk.AccAddress, denom string) sdk.Coin {
	return sdk.NewCoin(denom, sdkmath.NewIntFromUint64(v.of(addr.String(), denom)))
}

// Take burns 3 % and gives 2 % to the network, as the credit module does.
func (v vault) Take(_ context.Context, module string, amount money.Credit) (net, burned money.Credit, err error) {
	burned, rest := money.Share(amount, 300), money.Share(amount, 200)
	if err := v.move(module, "burned", credits(burned)); err != nil {
		return 0, 0, err
	}
	return amount - burned - rest, burned, v.move(module, "network", credits(rest))
}

// world is a market with one registered device, a clock and its judgements.
type world struct {
	*Keeper
	vault
	ctx     sdk.Context
	msgs    marketpb.MsgServer
	epoch   uint64
	outcome map[uint64]lease.Outcome // by epoch; Proven when absent
	device  ed25519.PrivateKey
	session ed25519.PrivateKey
	id      [32]byte
	payer   sdk.AccAddress
	owner   sdk.AccAddress
	others  map[[32]byte]unit // more devices, see addUnit
	minted  uint64            // ucredit in all accounts
}

func (w *world) CurrentEpoch(context.Context) (uint64, error) { return w.epoch, nil }

func (w *world) LeaseOutcome(_ context.Context, _ [32]byte, epoch uint64) (lease.Outcome, error) {
	if o, ok := w.outcome[epoch]; ok {
		return o, nil
	}
	return lease.Proven, nil
}

func (w *world) Info(_ context.Context, id [32]byte) (DeviceInfo, error) {
	if u, ok := w.others[id]; ok {
		return DeviceInfo{Owner: u.owner.String(), Key: [32]byte(u.key.Public().(ed25519.PublicKey)), Ed25519: true, Active: true}, nil
	}
	if id != w.id {
		return DeviceInfo{}, fmt.Errorf("not registered")
	}
	return DeviceInfo{Owner: w.owner.String(), Key: [32]byte(w.device.Public().(ed25519.PublicKey)), Ed25519: true, Active: true}, nil
}

func (w *world) Split(_ context.Context, id [32]byte, _ string, amount uint64) ([]Payout, error) {
	if u, ok := w.others[id]; ok {
		return []Payout{{To: u.owner, Amount: amount}}, nil
	}
	if id != w.id {
		return nil, fmt.Errorf("not registered")
	}
	return []Payout{{To: w.owner, Amount: amount}}, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	key := storetypes.NewKVStoreKey(ModuleName)
	w := &world{
		vault: vault{}, epoch: 1, outcome: map[uint64]lease.Outcome{},
		ctx:     testutil.DefaultContext(key, storetypes.NewTransientStoreKey("t")).WithChainID(testChain),
		device:  ed25519.NewKeyFromSeed([]byte(strings.Repeat("d", 32))),
		session: ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32))),
		id:      [32]byte{7}, payer: sdk.AccAddress("payer---------------"), owner: sdk.AccAddress("owner---------------"),
	}
	w.Keeper = NewKeeper(Config{
		Codec: codec.NewProtoCodec(codectypes.NewInterfaceRegistry()), Store: runtime.NewKVStoreService(key),
		Logger: log.NewNopLogger(), Authority: "gov", Bank: w.vault, Devices: w, Credits: w.vault, ProvenKinds: []string{"storage"},
	})
	w.SetEpochs(w)
	g := DefaultGenesis()
	g.Params.GraceEpochs, g.Params.WindowEpochs, g.Params.HistoryEpochs, g.Params.MinBond = 2, 1, 6, 1000
	if err := w.InitGenesis(w.ctx, *g); err != nil {
		t.Fatal(err)
	}
	w.msgs = NewMsgServer(w.Keeper)
	w.minted = 1_000_000
	w.add(w.payer.String(), money.CreditDenom, big.NewInt(1_000_000))
	w.add(w.owner.String(), money.GrainDenom, big.NewInt(10_000))
	return w
}

func (w *world) post(t testing.TB) uint64 {
	t.Helper()
	r, err := w.msgs.Post(w.ctx, &marketpb.MsgPost{
		Owner: w.owner.String(), Device: w.id[:], Kind: "storage", Capacity: 1000, Bond: 1000,
		Use: marketpb.Price{Credits: 1, Per: 1}, Hold: marketpb.Price{Credits: 1, Per: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.OfferId
}

func (w *world) accept(t testing.TB, offer uint64, hold, limit uint64) [32]byte {
	t.Helper()
	r, err := w.msgs.Accept(w.ctx, &marketpb.MsgAccept{
		Payer: w.payer.String(), OfferId: offer, Capacity: 500, HoldBudget: hold,
		Use: marketpb.Price{Credits: 1, Per: 1}, Hold: marketpb.Price{Credits: 1, Per: 1},
		Lanes: []marketpb.Lane{{Id: 0, Key: w.session.Public().(ed25519.PublicKey), Cap: limit}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(r.LeaseId)
}

func (w *world) receipt(t testing.TB, id [32]byte, seq, units uint64) []byte {
	t.Helper()
	r := receipt.Receipt{Lease: id, Seq: seq, Units: units, Epoch: w.epoch}
	if err := r.SignPayer(receipt.ChainOf(testChain), w.session); err != nil {
		t.Fatal(err)
	}
	if err := r.CountersignProvider(receipt.ChainOf(testChain), w.device); err != nil {
		t.Fatal(err)
	}
	return r.Encode()
}

func (w *world) commitment(t testing.TB, id [32]byte, revision, units uint64) []byte {
	t.Helper()
	c := receipt.Commitment{Lease: id, Revision: revision, Root: [32]byte{1}, Units: units}
	if err := c.SignPayer(receipt.ChainOf(testChain), w.session); err != nil {
		t.Fatal(err)
	}
	if err := c.CountersignProvider(receipt.ChainOf(testChain), w.device); err != nil {
		t.Fatal(err)
	}
	return c.Encode()
}

func (w *world) settle(receipts, commitments [][]byte) (uint64, error) {
	r, err := w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: w.owner.String(), Receipts: receipts, Commitments: commitments})
	if err != nil {
		return 0, err
	}
	return r.Paid, nil
}

func (w *world) turnTo(t testing.TB, epoch uint64) {
	t.Helper()
	for w.epoch < epoch {
		w.epoch++
		if err := w.EndBlock(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) lease(t testing.TB, id [32]byte) lease.Lease {
	t.Helper()
	l, err := w.load(w.ctx, id[:])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestHoldIsPaidForProvenEpochsOnly(t *testing.T) {
	w := newWorld(t)
	id := w.accept(t, w.post(t), 10_000, 100)
	if _, err := w.settle(nil, [][]byte{w.commitment(t, id, 1, 100)}); err != nil {
		t.Fatal(err)
	}
	w.outcome[3], w.outcome[4] = lease.Faulted, lease.Undecided
	w.turnTo(t, 3) // epoch 1: nothing in force; epoch 2: 100 held and proven
	if got := w.of(w.owner.String(), money.CreditDenom); got != 95 {
		t.Fatalf("after a proven epoch the owner has %d ucredit, want 95", got)
	}
	w.turnTo(t, 5)
	l := w.lease(t, id)
	if l.HoldPaid != 100 || l.Next != 4 || l.Faults != 1 {
		t.Fatalf("paid %d, next %d, faults %d after a fault and an open epoch", l.HoldPaid, l.Next, l.Faults)
	}
	offer, _ := w.Offers.Get(w.ctx, 1)
	if offer.Bond != 990 || offer.Slashed != 10 || w.of("burned", money.GrainDenom) != 10 {
		t.Fatalf("bond %d, slashed %d, burned %d", offer.Bond, offer.Slashed, w.of("burned", money.GrainDenom))
	}
	delete(w.outcome, 4) // decided at last
	w.turnTo(t, 6)
	if l = w.lease(t, id); l.HoldPaid != 300 || l.Next != 6 || l.Faults != 0 {
		t.Fatalf("paid %d, next %d, faults %d after the open epoch was decided", l.HoldPaid, l.Next, l.Faults)
	}
	x, err := NewQueryServer(w.Keeper).Explain(w.ctx, &marketpb.QueryExplainRequest{Epoch: 3, Device: w.id[:]})
	if err != nil || !x.Faulted || x.Slashed != 10 || len(x.Leases) != 1 || x.Leases[0].Outcome != marketpb.OUTCOME_FAULTED || x.Leases[0].HoldPaid != 0 {
		t.Fatalf("explain epoch 3: %+v, %v", x, err)
	}
}

func TestSettleRefusesWhatDoesNotHold(t *testing.T) {
	w := newWorld(t)
	offer := w.post(t)
	id, other := w.accept(t, offer, 100, 100), w.accept(t, offer, 100, 100)
	good := w.receipt(t, id, 1, 10)
	flip := func(b []byte, at int) []byte { c := append([]byte(nil), b...); c[at] ^= 1; return c }
	moved := append([]byte(nil), good...)
	copy(moved, other[:])
	for _, c := range []struct {
		name string
		in   []byte
		want *errorsmod.Error
	}{
		{"cut short", good[:219], ErrInvalid},
		{"another lease", moved, ErrSignature},
		{"unknown lease", flip(good, 0), ErrNotFound},
		{"unknown lane", flip(good, 35), ErrNotFound},
		{"more units", flip(good, 51), ErrSignature},
		{"other evidence", flip(good, 60), ErrSignature},
		{"payer signature", flip(good, 100), ErrSignature},
		{"provider signature", flip(good, 200), ErrSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := w.settle([][]byte{good, c.in}, nil); !errorsmod.IsOf(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
	if l := w.lease(t, id); l.Paid() != 0 {
		t.Fatalf("a refused batch paid %d", l.Paid())
	}
	w.ctx = w.ctx.WithChainID("another-chain-1")
	if _, err := w.settle([][]byte{good}, nil); !errorsmod.IsOf(err, ErrSignature) {
		t.Fatalf("a receipt of another chain: %v", err)
	}
	w.ctx = w.ctx.WithChainID(testChain)
	if paid, err := w.settle([][]byte{good}, nil); err != nil || paid != 10 {
		t.Fatalf("the receipt itself paid %d, %v", paid, err)
	}
	if paid, err := w.settle([][]byte{good, good}, nil); err != nil || paid != 0 {
		t.Fatalf("replayed, it paid %d, %v", paid, err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	offer := w.post(t)
	post := func(change func(*marketpb.MsgPost)) error {
		m := &marketpb.MsgPost{Owner: w.owner.String(), Device: w.id[:], Kind: "storage", Capacity: 10, Bond: 1000}
		change(m)
		_, err := w.msgs.Post(w.ctx, m)
		return err
	}
	accept := func(change func(*marketpb.MsgAccept)) error {
		m := &marketpb.MsgAccept{Payer: w.payer.String(), OfferId: offer, Capacity: 10, Use: marketpb.Price{Credits: 1, Per: 1}, Hold: marketpb.Price{Credits: 1, Per: 1},
			Lanes: []marketpb.Lane{{Key: w.session.Public().(ed25519.PublicKey), Cap: 1}}}
		change(m)
		_, err := w.msgs.Accept(w.ctx, m)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want *errorsmod.Error
	}{
		{"unknown device", post(func(m *marketpb.MsgPost) { m.Device = make([]byte, 32) }), ErrNotFound},
		{"short device", post(func(m *marketpb.MsgPost) { m.Device = []byte{1} }), ErrInvalid},
		{"another's device", post(func(m *marketpb.MsgPost) { m.Owner = w.payer.String() }), ErrNotYours},
		{"bad kind", post(func(m *marketpb.MsgPost) { m.Kind = "Storage!" }), ErrInvalid},
		{"no capacity", post(func(m *marketpb.MsgPost) { m.Capacity = 0 }), ErrInvalid},
		{"price per nothing", post(func(m *marketpb.MsgPost) { m.Use.Credits = 1 }), ErrInvalid},
		{"small bond", post(func(m *marketpb.MsgPost) { m.Bond = 1 }), ErrBond},
		{"bond not owned", post(func(m *marketpb.MsgPost) { m.Bond = 1 << 40 }), ErrBond},
		{"another's offer", post(func(m *marketpb.MsgPost) { m.OfferId = offer; m.Owner = w.payer.String() }), ErrNotYours},
		{"unknown offer", accept(func(m *marketpb.MsgAccept) { m.OfferId = 9 }), ErrNotFound},
		{"sold out", accept(func(m *marketpb.MsgAccept) { m.Capacity = 1001 }), ErrSoldOut},
		{"old price", accept(func(m *marketpb.MsgAccept) { m.Use.Credits = 2 }), ErrPrice},
		{"no lane", accept(func(m *marketpb.MsgAccept) { m.Lanes = nil }), ErrInvalid},
		{"short key", accept(func(m *marketpb.MsgAccept) { m.Lanes[0].Key = nil }), ErrInvalid},
		{"a key that verifies nothing", accept(func(m *marketpb.MsgAccept) { m.Lanes[0].Key = make([]byte, 32) }), ErrInvalid},
		{"not enough credits", accept(func(m *marketpb.MsgAccept) {
			m.Lanes[0].Key = w.session.Public().(ed25519.PublicKey)
			m.HoldBudget = 1 << 40
		}), ErrFunds},
		{"unpayable bech32", accept(func(m *marketpb.MsgAccept) { m.Payer = "grange1nobody" }), ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !errorsmod.IsOf(c.err, c.want) {
				t.Fatalf("got %v, want %v", c.err, c.want)
			}
		})
	}
}

func TestGenesisIsByteStable(t *testing.T) {
	w := newWorld(t)
	id := w.accept(t, w.post(t), 1000, 100)
	if _, err := w.settle([][]byte{w.receipt(t, id, 1, 10)}, [][]byte{w.commitment(t, id, 1, 100)}); err != nil {
		t.Fatal(err)
	}
	w.turnTo(t, 4)
	first, err := w.ExportGenesis(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	v := newWorld(t)
	if err := v.InitGenesis(v.ctx, *first); err != nil {
		t.Fatal(err)
	}
	second, err := v.ExportGenesis(v.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := w.cdc.MustMarshal(first), w.cdc.MustMarshal(second); string(a) != string(b) {
		t.Fatalf("exported, imported and exported again, the market differs:\n%x\n%x", a, b)
	}
	if due, err := v.due(v.ctx, 99, 10); err != nil || len(due) != 1 {
		t.Fatalf("%d leases due after import, %v", len(due), err)
	}
}

// Whatever is posted, accepted, funded, settled and closed: the escrow account
// holds exactly what the leases and bonds say, nothing appears or vanishes, and
// every closed lease ends with all its money paid or refunded.
func TestMarketConservesValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		offer := w.post(t)
		var ids [][32]byte
		seq := map[[32]byte][2]uint64{}
		pick := func(r *rapid.T) [32]byte {
			if len(ids) == 0 {
				r.Skip("no lease yet")
			}
			return rapid.SampledFrom(ids).Draw(r, "lease")
		}
		r.Repeat(map[string]func(*rapid.T){
			"accept": func(r *rapid.T) {
				m := &marketpb.MsgAccept{Payer: w.payer.String(), OfferId: offer, Capacity: rapid.Uint64Range(1, 400).Draw(r, "capacity"),
					HoldBudget: rapid.Uint64Range(0, 2000).Draw(r, "hold"), TermEpochs: rapid.Uint64Range(0, 8).Draw(r, "term"),
					Use: marketpb.Price{Credits: 1, Per: 1}, Hold: marketpb.Price{Credits: 1, Per: 1},
					Lanes: []marketpb.Lane{{Key: w.session.Public().(ed25519.PublicKey), Cap: rapid.Uint64Range(0, 500).Draw(r, "cap")}}}
				if res, err := w.msgs.Accept(w.ctx, m); err == nil {
					ids = append(ids, [32]byte(res.LeaseId))
				}
			},
			"settle": func(r *rapid.T) {
				id := pick(r)
				s := seq[id]
				units := s[1] + rapid.Uint64Range(0, 200).Draw(r, "units")
				if _, err := w.settle([][]byte{w.receipt(t, id, s[0]+1, units)}, nil); err == nil {
					seq[id] = [2]uint64{s[0] + 1, units}
				}
			},
			"commit": func(r *rapid.T) {
				id := pick(r)
				_, _ = w.settle(nil, [][]byte{w.commitment(t, id, rapid.Uint64Range(1, 50).Draw(r, "revision"), rapid.Uint64Range(0, 500).Draw(r, "units"))})
			},
			"fund": func(r *rapid.T) {
				id := pick(r)
				_, _ = w.msgs.Fund(w.ctx, &marketpb.MsgFund{Funder: w.payer.String(), LeaseId: id[:], HoldBudget: rapid.Uint64Range(0, 500).Draw(r, "hold")})
			},
			"close": func(r *rapid.T) {
				id := pick(r)
				_, _ = w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: w.owner.String(), LeaseId: id[:]})
			},
			"epoch": func(r *rapid.T) {
				w.outcome[w.epoch] = lease.Outcome(rapid.IntRange(0, 2).Draw(r, "outcome"))
				w.turnTo(t, w.epoch+1)
			},
			"": func(r *rapid.T) { w.checkBooks(r) },
		})
		for _, id := range ids {
			_, _ = w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: w.payer.String(), LeaseId: id[:]})
		}
		clear(w.outcome)
		w.turnTo(t, w.epoch+6)
		w.checkBooks(r)
		for _, id := range ids {
			if l := w.lease(t, id); l.State != lease.Closed || l.Held() != 0 {
				r.Fatalf("lease %x is %s with %d held after its window", id[:4], l.State, l.Held())
			}
		}
		if o, _ := w.Offers.Get(w.ctx, offer); o.Sold != 0 || o.Leases != 0 {
			r.Fatalf("all leases are closed, yet %d units of %d leases are sold", o.Sold, o.Leases)
		}
	})
}

func (w *world) checkBooks(r fataler) {
	leases, err := values(w.ctx, w.Leases)
	if err != nil {
		r.Fatalf("%v", err)
	}
	var held money.Credit
	for _, p := range leases {
		l, err := LeaseOf(p)
		if err != nil {
			r.Fatalf("%v", err)
		}
		held += l.Held()
	}
	held += w.heldByOrders(r)
	if got := w.of(ModuleName, money.CreditDenom); got != uint64(held) {
		r.Fatalf("the market holds %d ucredit, its leases %d", got, held)
	}
	offers, err := values(w.ctx, w.Offers)
	if err != nil {
		r.Fatalf("%v", err)
	}
	bonds := w.bidDeposits(r)
	for _, o := range offers {
		bonds += o.Bond
		if o.Sold > o.Capacity {
			r.Fatalf("offer %d has sold %d of %d units", o.Id, o.Sold, o.Capacity)
		}
	}
	if got := w.of(ModuleName, money.GrainDenom); got != bonds {
		r.Fatalf("the market holds %d ugrain, its offers bond %d", got, bonds)
	}
	var sum uint64
	for who := range w.vault {
		sum += w.of(who, money.CreditDenom)
	}
	if sum != w.minted {
		r.Fatalf("%d ucredit in all accounts, want %d", sum, w.minted)
	}
}

func TestEndBlockIsBounded(t *testing.T) {
	w := newWorld(t)
	p, _ := w.Params.Get(w.ctx)
	p.LeasesPerBlock = 2
	if err := w.Params.Set(w.ctx, p); err != nil {
		t.Fatal(err)
	}
	offer := w.post(t)
	for range 2 {
		w.accept(t, offer, 0, 0)
	}
	o, _ := w.Offers.Get(w.ctx, offer)
	o.Capacity = 5000
	_ = w.Offers.Set(w.ctx, offer, o)
	for range 3 {
		w.accept(t, offer, 0, 0)
	}
	w.epoch++
	for _, want := range []int{3, 1, 0} {
		if err := w.EndBlock(w.ctx); err != nil {
			t.Fatal(err)
		}
		if due, _ := w.due(w.ctx, w.epoch, 100); len(due) != want {
			t.Fatalf("%d leases still due, want %d", len(due), want)
		}
	}
}

func TestOldRecordsArePruned(t *testing.T) {
	w := newWorld(t)
	id := w.accept(t, w.post(t), 100_000, 0)
	if _, err := w.settle(nil, [][]byte{w.commitment(t, id, 1, 10)}); err != nil {
		t.Fatal(err)
	}
	w.turnTo(t, 20)
	err := w.LeaseEpochs.Walk(w.ctx, nil, func(key collections.Triple[uint64, []byte, []byte], _ marketpb.LeaseEpoch) (bool, error) {
		if key.K1() < 14 {
			t.Errorf("a record of epoch %d is kept in epoch 20 with a history of 6", key.K1())
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
