package ledgerport

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/provider"
)

const bond = 1_000_000_000

// world is a real ledger of one validator with three accounts.
type world struct {
	client                *client.Client
	sponsor, owner, buyer *Port
}

func begin(t *testing.T) world {
	t.Helper()
	home := t.TempDir()
	sponsor, owner, buyer := key.New(), key.New(), key.New()
	give := func(k key.Key, ugrain int64) server.Balance {
		return server.Balance{Address: k.Address(), Coins: sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, ugrain))}
	}
	_, err := server.InitHome(t.Context(), home, server.LocalGenesis{
		Balances: []server.Balance{give(sponsor, 1e12), give(owner, bond), give(buyer, 1e13)},
		Modules: map[string]json.RawMessage{
			"device": issuers(sponsor),
			"oracle": json.RawMessage(`{"params":{"epoch_seconds":"2"}}`),
			"credit": json.RawMessage(`{"params":{"round_seconds":"1"},"price":{"last":"1000000","average":"65536000000","updated":"` + unix() + `"}}`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 100 * time.Millisecond, Prover: Prover{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop ledger:", err)
		}
	})
	c, err := client.Dial(t.Context(), client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	voteOnPrice(t, c, home)
	return world{
		client: c, sponsor: New(c, sponsor, nil), owner: New(c, owner, sponsor.Address()), buyer: New(c, buyer, nil),
	}
}

// voteOnPrice has the validator close rounds, as its verifier does: purchases wait
// for them.
func voteOnPrice(t *testing.T, c *client.Client, home string) {
	t.Helper()
	operator, _, err := key.LoadOrCreate(server.OperatorKeyPath(home))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	dir := t.TempDir()
	go func() {
		done <- verify.Run(ctx, verify.Config{Home: dir, Ledger: verify.LedgerOf(c), Sender: c.Signer(operator, nil), Prices: verify.FixedPrice(1_000_000)})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error("verifier:", err)
		}
	})
}

func unix() string {
	b, _ := json.Marshal(time.Now().Unix())
	return string(b)
}

// TestLifeOfADeviceAndALease goes through every call of the adapters on a real
// ledger, because each step needs the one before.
func TestLifeOfADeviceAndALease(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a ledger: not with -short")
	}
	w := begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	device, supply := w.onboard(t, ctx)
	w.attest(t, ctx, device)
	offer := w.buy(t, ctx, device)
	w.trade(t, ctx, offer, supply)
}

// onboard: the owner owns its bond and nothing else, so every fee is the
// sponsor's.
func (w world) onboard(t *testing.T, ctx context.Context) ([32]byte, Supply) {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := Supply{
		Key: k, Endpoint: "tcp://127.0.0.1:7000", Capacity: 1 << 30, Bond: bond,
		Use: marketpb.Price{Credits: 2, Per: 1 << 20}, Hold: marketpb.Price{Credits: 5, Per: 1 << 20},
	}
	if _, err := w.owner.Onboard(ctx, s); err == nil {
		t.Error("a device was onboarded before anybody sponsored its owner")
	}
	for range 2 { // the second time there is nothing to do
		if err := w.sponsor.Sponsor(ctx, w.owner.Address(), 1e9); err != nil {
			t.Fatal(err)
		}
	}
	first, err := w.owner.Onboard(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	height, _ := w.client.Head()
	again, err := w.owner.Onboard(ctx, s)
	if err != nil || again != first {
		t.Errorf("onboard again: offer %d, first %d: %v", again, first, err)
	}
	if now, _ := w.client.Head(); now > height+1 {
		t.Errorf("onboarding again took %d blocks: it sent something", now-height)
	}
	s.Endpoint = "tcp://127.0.0.1:7001"
	if moved, err := w.owner.Onboard(ctx, s); err != nil || moved != first {
		t.Errorf("onboard at another endpoint: offer %d, first %d: %v", moved, first, err)
	}
	if _, err := w.sponsor.Onboard(ctx, s); err == nil {
		t.Error("somebody else onboarded the device")
	}
	return s.Device(), s
}

// buy: credits are bought once, and the offer is seen with its new endpoint.
func (w world) buy(t *testing.T, ctx context.Context, device [32]byte) gateway.Offer {
	t.Helper()
	for range 2 {
		if err := w.buyer.Buy(ctx, 5_000_000); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := w.buyer.Credits(ctx); err != nil || have < 5_000_000 || have > 6_000_000 {
		t.Errorf("credits: %d, %v", have, err)
	}
	offers, err := Gateway{w.buyer}.Offers(ctx)
	if err != nil || len(offers) != 1 {
		t.Fatalf("offers: %+v, %v", offers, err)
	}
	p := offers[0].Provider
	if p.Device != device || p.Owner != w.owner.Address() || p.Endpoint != "tcp://127.0.0.1:7001" || offers[0].Free != 1<<30 {
		t.Errorf("offer: %+v", offers[0])
	}
	return offers[0]
}

// trade: a lease is opened, funded, committed to and seen by both sides.
func (w world) trade(t *testing.T, ctx context.Context, o gateway.Offer, s Supply) {
	t.Helper()
	g, p := Gateway{w.buyer}, Provider{w.owner}
	session, sk, _ := ed25519.GenerateKey(nil)
	lane := lease.Lane{ID: 1, Key: [32]byte(session), Cap: 1000}
	l, err := g.Accept(ctx, gateway.Terms{Offer: o.ID, Capacity: 1 << 20, HoldBudget: 500, Lane: lane})
	if err != nil {
		t.Fatal(err)
	}
	if l.Deposited != 1500 || l.Provider != o.Provider {
		t.Errorf("lease: %+v", l)
	}
	lane.Cap = 10
	if err := g.Fund(ctx, l.ID, 5, []lease.Lane{lane}); err != nil {
		t.Fatal(err)
	}
	c := receipt.Commitment{Lease: l.ID, Revision: 1, Root: [32]byte{7}, Units: 4096}
	network := receipt.ChainOf(w.buyer.ChainID())
	if err := errors.Join(c.SignPayer(network, sk), c.CountersignProvider(network, s.Key)); err != nil {
		t.Fatal(err)
	}
	if err := g.Commit(ctx, []receipt.Commitment{c}); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(ctx, nil, []receipt.Commitment{c}); err != nil { // the other side may post it as well
		t.Error(err)
	}
	seen, err := p.Lease(ctx, l.ID)
	if err != nil || seen.Deposited != 1515 || len(seen.Commitments) == 0 || seen.Commitments[len(seen.Commitments)-1].Units != 4096 {
		t.Errorf("lease as the provider sees it: %+v, %v", seen, err)
	}
	if all, err := g.Leases(ctx); err != nil || len(all) != 1 || all[0].ID != l.ID {
		t.Errorf("leases: %+v, %v", all, err)
	}
	if _, err := p.Lease(ctx, [32]byte{1}); !errors.Is(err, provider.ErrNoLease) {
		t.Errorf("unknown lease: %v", err)
	}
	w.clock(t, ctx, p, s)
}

// clock: epochs pass and duties say so.
func (w world) clock(t *testing.T, ctx context.Context, p Provider, s Supply) {
	t.Helper()
	blocks, cancel := context.WithCancel(ctx)
	tick := p.Blocks(blocks)
	<-tick
	cancel()
	for range tick { // closed once nobody follows any more
	}
	before, err := p.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	after, err := p.WaitEpoch(ctx, before)
	if err != nil || after <= before {
		t.Errorf("epoch after %d: %d, %v", before, after, err)
	}
	d, err := p.Duty(ctx, s.Device())
	if err != nil || d.Epoch < after || d.Length <= 0 || d.Elapsed < 0 || d.Proven {
		t.Errorf("duty: %+v, %v", d, err)
	}
	gone, stop := context.WithCancel(ctx)
	stop()
	if _, err := p.WaitEpoch(gone, after+100); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a context that ended: %v", err)
	}
}
