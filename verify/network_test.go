package verify_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/verify"
)

// oneUSD is the price of a GRAIN on the test network.
const oneUSD = 1_000_000

// network is a ledger of one validator in this process, and a rich user.
type network struct {
	*testing.T
	ctx      context.Context
	c        *client.Client
	operator key.Key
	user     *client.Signer
	rest     string
}

func newNetwork(t *testing.T, oracleParams string) network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	user, home := key.New(), t.TempDir()
	_, err := server.InitHome(ctx, home, server.LocalGenesis{
		Balances: []server.Balance{{Address: user.Address(), Coins: sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 1_000_000_000))}},
		Modules: map[string]json.RawMessage{
			"oracle": json.RawMessage(`{"params":{` + oracleParams + `}}`),
			"credit": json.RawMessage(fmt.Sprintf(`{"params":{"round_seconds":"1"},"price":{"last":"%d","average":"%d","updated":"%d"}}`, oneUSD, uint64(oneUSD)<<16, time.Now().Unix())),
			"market": json.RawMessage(`{"params":{"min_bond":"1000"}}`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	})
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	operator, _, err := key.LoadOrCreate(server.OperatorKeyPath(home))
	if err != nil {
		t.Fatal(err)
	}
	return network{t, ctx, c, operator, c.Signer(user, nil), "http://" + n.Endpoints().REST}
}

func (n network) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// until looks after every block until done says so.
func (n network) until(what string, done func() bool) {
	n.Helper()
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	for range n.c.Blocks(ctx) {
		if done() {
			return
		}
	}
	n.Fatalf("gave up waiting for: %s", what)
}

// verifier runs one in the background until the test is over.
func (n network) verifier(home string, sender verify.Sender, others ...string) {
	ctx, cancel := context.WithCancel(n.ctx)
	done := make(chan error, 1)
	go func() {
		done <- verify.Run(ctx, verify.Config{Home: home, Ledger: verify.LedgerOf(n.c), Sender: sender, Prices: verify.FixedPrice(oneUSD), Others: others})
	}()
	n.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			n.Errorf("verifier ended with %v", err)
		}
	})
}

// unit is a registered device with an offer.
type unit struct {
	private ed25519.PrivateKey
	id      coredevice.ID
}

// provider registers a device of the user and offers its service.
func (n network) provider() unit {
	n.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	n.must(err)
	k, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	n.must(err)
	u := unit{private, k.ID()}
	owner := n.user.Address()
	message, err := coredevice.RegisterBytes(n.c.ChainID(), owner, 1)
	n.must(err)
	_, err = n.user.Send(n.ctx, &devicepb.MsgRegister{
		Owner: owner.String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
		Signature: ed25519.Sign(private, message),
		Profile:   devicepb.Profile{Class: devicepb.CLASS_DRN, Endpoint: "127.0.0.1:7000", Capabilities: []string{"storage-node"}, Status: devicepb.STATUS_ACTIVE},
	})
	n.must(err)
	return u
}

var unitPrice = marketpb.Price{Credits: 1, Per: 1}

// use buys units from a device and settles them: ucredit are spent, part of
// them burned.
func (n network) use(u unit, units uint64) {
	n.Helper()
	owner := n.user.Address().String()
	r, err := n.user.Send(n.ctx, &marketpb.MsgPost{Owner: owner, Device: u.id[:], Kind: "storage", Use: unitPrice, Hold: unitPrice, Capacity: 1000, Bond: 1000})
	n.must(err)
	var offer marketpb.MsgPostResponse
	n.must(r.Response(0, &offer))
	session, secret, err := ed25519.GenerateKey(nil)
	n.must(err)
	r, err = n.user.Send(n.ctx, &marketpb.MsgAccept{
		Payer: owner, OfferId: offer.OfferId, Capacity: 10, HoldBudget: 1000, Use: unitPrice, Hold: unitPrice,
		Lanes: []marketpb.Lane{{Id: 1, Key: session, Cap: units}},
	})
	n.must(err)
	var lease marketpb.MsgAcceptResponse
	n.must(r.Response(0, &lease))
	c := receipt.ChainOf(n.c.ChainID())
	bill := receipt.Receipt{Lease: [32]byte(lease.LeaseId), Lane: 1, Seq: 1, Units: units, Epoch: 1}
	n.must(bill.SignPayer(c, secret))
	n.must(bill.CountersignProvider(c, u.private))
	_, err = n.user.Send(n.ctx, &marketpb.MsgSettle{Signer: owner, Receipts: [][]byte{bill.Encode()}})
	n.must(err)
}

func (n network) paid(u unit) uint64 {
	n.Helper()
	r, err := n.c.Oracle.Claimed(n.ctx, &oraclepb.QueryClaimedRequest{Device: u.id.String()})
	n.must(err)
	return r.Paid
}

// The whole life of a reward on a real ledger: seeds are decided, the price is
// voted, usage burns credits, a report is accepted, the device is paid, and what
// it got is worth less than what was burned for it.
func TestRewardFromUsageToPayment(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a ledger")
	}
	began := time.Now()
	n := newNetwork(t, `"epoch_seconds":"3"`)
	genesis := time.Now().Unix()
	home, watcher := t.TempDir(), t.TempDir()
	n.verifier(home, n.c.Signer(n.operator, nil))
	n.verifier(watcher, nil)

	n.until("a decided epoch", func() bool {
		e, err := n.c.Oracle.Epoch(n.ctx, &oraclepb.QueryEpochRequest{})
		n.must(err)
		return e.Epoch.Status == oraclepb.EPOCH_STATUS_DECIDED && e.Epoch.RevealedPower == e.Epoch.TotalPower
	})
	n.until("a price voted here", func() bool {
		p, err := n.c.Credit.Price(n.ctx, &creditpb.QueryPriceRequest{})
		n.must(err)
		return p.Price.Updated > genesis
	})

	mark := func(what string) { t.Logf("%v: %s", time.Since(began).Round(time.Second), what) }
	mark("beacon and price work")
	u := n.provider()
	_, err := n.user.Send(n.ctx, &creditpb.MsgBuy{Buyer: n.user.Address().String(), Ugrain: 20_000_000, MinCredit: 1})
	n.must(err)
	n.until("the purchase being priced", func() bool {
		r, err := n.c.Credit.Purchases(n.ctx, &creditpb.QueryPurchasesRequest{})
		n.must(err)
		return len(r.Purchases) == 0
	})
	n.use(u, 5_000_000)
	mark("settled")
	n.until("the device being paid", func() bool { return n.paid(u) > 0 })

	mark("paid")
	var burned uint64
	shelf := filepath.Join(home, "epochs", "storage")
	before, scored := verify.Published{}, uint64(0)
	for epoch := uint64(1); ; epoch++ {
		raw, err := os.ReadFile(filepath.Join(shelf, fmt.Sprint(epoch)+".json"))
		if err != nil {
			break
		}
		scored = epoch
		p, err := verify.DecodePublished(raw)
		n.must(err)
		n.must(p.Check(t.Context(), before, verify.Sources{}))
		before = p
		for _, x := range p.Usage {
			burned += x.Burned
		}
		// Who only watches computes the same bytes.
		n.until("the watcher", func() bool {
			other, err := os.ReadFile(filepath.Join(watcher, "epochs", "storage", fmt.Sprint(epoch)+".json"))
			if err == nil && string(other) != string(raw) {
				t.Fatalf("epoch %d: two verifiers published different bytes:\n%s\n%s", epoch, raw, other)
			}
			return err == nil
		})
	}
	if scored < 2 || burned == 0 {
		t.Fatalf("%d epochs scored, %d ucredit burned", scored, burned)
	}
	if paid := n.paid(u); paid >= burned { // at a price of 1 USD a ugrain is worth a ucredit
		t.Fatalf("burned %d ucredit, got %d ugrain", burned, paid)
	}

	// Anybody can fetch a leaf with its proof.
	s := httptest.NewServer(verify.Handler(home))
	defer s.Close()
	resp, err := http.Get(s.URL + "/v1/epochs/storage/newest/claims/" + u.id.String())
	n.must(err)
	defer resp.Body.Close()
	var claim verify.Claim
	n.must(json.NewDecoder(resp.Body).Decode(&claim))
	if proof, err := hex.DecodeString(claim.Proof); err != nil || len(proof) < 16 || claim.Lifetime < n.paid(u) {
		t.Fatalf("claim %+v (%v)", claim, err)
	}
	for _, path := range []string{"params", "epoch", "epochs/1", "keys", "proofs", "reports?vertical=storage", "reports/storage/1", "reports/storage/0",
		"claimed/" + u.id.String(), "challenges/" + u.id.String(), "outcomes/" + u.id.String() + "/1", "conducts", "equivocations"} {
		resp, err := http.Get(n.rest + "/grange/oracle/v1/" + path)
		n.must(err)
		var answer map[string]any
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("REST %s: status %d, %v (%v)", path, resp.StatusCode, answer, err)
		}
	}
	conduct, err := n.c.Oracle.Conducts(n.ctx, &oraclepb.QueryConductsRequest{})
	n.must(err)
	if len(conduct.Conducts) != 1 || conduct.Conducts[0].Dissented != 0 || conduct.Conducts[0].Equivocated != 0 || conduct.Conducts[0].Agreed == 0 {
		t.Fatalf("conduct %+v", conduct.Conducts)
	}
	t.Logf("%d epochs, burned %d ucredit, paid %d ugrain, %+v", scored, burned, n.paid(u), conduct.Conducts[0])
}

// All validators report a tree with devices out of order; a user's verifier
// refutes it on a real ledger and is rewarded.
func TestWrongReportIsRefutedOnALedger(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a ledger")
	}
	n := newNetwork(t, `"epoch_seconds":"3","challenge_epochs":"60"`)
	n.until("the end of an epoch", func() bool {
		e, err := n.c.Oracle.Epoch(n.ctx, &oraclepb.QueryEpochRequest{})
		n.must(err)
		return e.Epoch.Number > 1
	})
	leaves := []merkle.SumLeaf{{Key: [32]byte{2}}, {Key: [32]byte{1}}}
	root := merkle.GivenSumTree(leaves).Root()
	lie := verify.Published{Vertical: "storage", Epoch: 1, RewardRoot: root.Hash.String()}
	for _, l := range leaves {
		lie.Leaves = append(lie.Leaves, verify.PublishedTip{Device: hex.EncodeToString(l.Key[:])})
	}
	raw, err := lie.Encode()
	n.must(err)
	liars, home := t.TempDir(), t.TempDir()
	n.must(os.MkdirAll(filepath.Join(liars, "epochs", "storage"), 0o700))
	n.must(os.WriteFile(filepath.Join(liars, "epochs", "storage", "1.json"), raw, 0o600))
	_, err = n.c.Signer(n.operator, nil).Send(n.ctx, &oraclepb.MsgReport{
		Validator: sdk.ValAddress(n.operator.Address()).String(), Epoch: 1, Vertical: "storage",
		Content: oraclepb.Content{RewardRoot: root.Hash[:], InputsRoot: make([]byte, 32), Leaves: 2},
	})
	n.must(err)

	s := httptest.NewServer(verify.Handler(liars))
	defer s.Close()
	n.verifier(home, n.user, s.URL)
	n.until("the challenge", func() bool {
		all, err := verify.Disagreements(home)
		n.must(err)
		return len(all) == 1 && all[0].Outcome == verify.Proven
	})
	list, err := n.c.Oracle.Refutations(n.ctx, &oraclepb.QueryRefutationsRequest{})
	n.must(err)
	if len(list.Refutations) != 1 || list.Refutations[0].Challenger != n.user.Address().String() || list.Refutations[0].Reward == 0 {
		t.Fatalf("refutations %+v", list.Refutations)
	}
}
