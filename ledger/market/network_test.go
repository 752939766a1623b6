package market_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

// Orders through a real chain: signed transactions, gas, typed refusals, REST.
func TestOrdersOnAChain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	buyer, owner, home := key.New(), key.New(), t.TempDir()
	coins := sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 1_000_000_000), sdk.NewInt64Coin("ucredit", 1_000_000))
	_, err := server.InitHome(ctx, home, server.LocalGenesis{
		Balances: []server.Balance{{Address: buyer.Address(), Coins: coins}, {Address: owner.Address(), Coins: coins}},
		Modules: map[string]json.RawMessage{
			"oracle": json.RawMessage(`{"params":{"epoch_seconds":"600"}}`),
			"market": json.RawMessage(`{"params":{"min_bond":"1000","bid_deposit":"500"}}`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	}()
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(who key.Key, msg sdk.Msg, want string) {
		t.Helper()
		_, err := c.Signer(who, nil).Send(ctx, msg)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Fatalf("%T: %v, want %q", msg, err, want)
		}
	}
	rest := func(path string, out any) {
		t.Helper()
		resp, err := http.Get("http://" + n.Endpoints().REST + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s %v", path, resp.Status, body, err)
		}
		if err := json.Unmarshal(body, out); err != nil {
			t.Fatalf("%s: %v in %s", path, err, body)
		}
	}

	public, private, _ := ed25519.GenerateKey(nil)
	k, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	if err != nil {
		t.Fatal(err)
	}
	id := k.ID()
	register, err := coredevice.RegisterBytes(c.ChainID(), owner.Address(), 1)
	if err != nil {
		t.Fatal(err)
	}
	price := marketpb.Price{Credits: 5, Per: 1}
	lane := marketpb.Lane{Key: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey), Cap: 1000}
	send(owner, &devicepb.MsgRegister{Owner: owner.Address().String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
		Signature: ed25519.Sign(private, register), Profile: devicepb.Profile{Class: devicepb.CLASS_DRN}}, "")
	send(owner, &marketpb.MsgPost{Owner: owner.Address().String(), Device: id[:], Kind: "compute", Use: price, Hold: price, Capacity: 10, Bond: 1000}, "")
	send(buyer, &marketpb.MsgPost{Owner: buyer.Address().String(), Side: marketpb.SIDE_DEMAND, Kind: "compute", Use: price, Hold: price, Capacity: 10,
		OpenEpochs: 2, HoldBudget: 100, Lanes: []marketpb.Lane{lane}}, "")
	bid := func(credits uint64) *marketpb.MsgAccept {
		return &marketpb.MsgAccept{Payer: owner.Address().String(), OfferId: 2, Bid: 1, Use: marketpb.Price{Credits: credits, Per: 1}, Hold: price}
	}
	send(owner, bid(6), "demand 2 allows 5 ucredit / 1 units")
	send(owner, bid(4), "")
	var demand struct {
		Demand struct {
			Bids []struct{ Offer string }
		}
	}
	if rest("/grange/market/v1/demands/2", &demand); len(demand.Demand.Bids) != 1 || demand.Demand.Bids[0].Offer != "1" {
		t.Fatalf("demand %+v", demand)
	}
	award := bid(4)
	award.Payer = buyer.Address().String()
	send(buyer, award, "")

	send(buyer, &marketpb.MsgPost{Owner: buyer.Address().String(), Side: marketpb.SIDE_STANDING, Kind: "weather", Use: price, PayerBond: 100, Lanes: []marketpb.Lane{lane}}, "")
	var routes struct {
		Standings []struct{ ID, Payer string }
	}
	rest("/grange/market/v1/standings?kind=weather", &routes)
	if len(routes.Standings) != 1 || routes.Standings[0].Payer != buyer.Address().String() {
		t.Fatalf("standing leases %+v", routes)
	}
	standing, err := base64.StdEncoding.DecodeString(routes.Standings[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []merkle.SumLeaf
	for i := range byte(100) {
		leaves = append(leaves, merkle.SumLeaf{Key: sha256.Sum256([]byte{i}), Amount: 1})
	}
	tree, err := merkle.NewSumTree(append(leaves, merkle.SumLeaf{Key: id, Amount: 100}), 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	root := tree.Root()
	statement := marketpb.StatementItem{Standing: standing, Epoch: 1, Root: root.Hash[:], Size_: root.Size, Total: root.Total}
	send(buyer, &marketpb.MsgSettle{Signer: buyer.Address().String(), Statements: []marketpb.StatementItem{statement}}, "")
	send(owner, &marketpb.MsgSettle{Signer: owner.Address().String(), Statements: []marketpb.StatementItem{statement}}, "only its payer may state")
	leaf, proof, err := tree.Prove(id)
	if err != nil {
		t.Fatal(err)
	}
	item := marketpb.LeafItem{Standing: standing, Device: id[:], Units: leaf.Amount, Proof: proof.Encode()}
	send(owner, &marketpb.MsgSettle{Signer: owner.Address().String(), Leaves: []marketpb.LeafItem{item}}, "")
	item.Units++
	send(owner, &marketpb.MsgSettle{Signer: owner.Address().String(), Leaves: []marketpb.LeafItem{item}}, "leaf 0")
	var account struct {
		Account struct{ Paid, Units string }
	}
	q := url.Values{"standing": {base64.URLEncoding.EncodeToString(standing)}, "device": {base64.URLEncoding.EncodeToString(id[:])}}
	if rest("/grange/market/v1/account?"+q.Encode(), &account); account.Account.Paid != "500" || account.Account.Units != "100" {
		t.Fatalf("account %+v", account)
	}
}
