package cluster_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node/cluster"
)

// What clients do to the one lease and to the one device's claims.
const (
	opFund   = iota // out: deposited in all
	opSettle        // out: paid now
	opClose         // out: nothing
	opClaim         // out: paid now
)

// input and output of an operation on the ledger. Nobody knows the output of
// one that no answer came for: it may have happened, or not, or will.
type input struct {
	op   int
	n    uint64 // fund: ucredit; settle: units of the receipt; claim: lifetime
	base uint64 // fund: what was deposited before any
}

type output struct {
	unknown, refused bool
	n                uint64
}

// account is the sequential model: one lease's escrow and one device's claims.
type account struct {
	deposited, units, claimed uint64
	closed                    bool
}

// step says whether an output can be that of an input, and what is then. The
// price is 1 ucredit a unit, and the cap is never reached.
func step(a account, in input, out output) (bool, account) {
	var want uint64
	refuse := false
	switch in.op {
	case opFund:
		if refuse = a.closed; !refuse {
			a.deposited += in.n
			want = in.base + a.deposited
		}
	case opSettle: // after closing it counts within a window only
		if refuse = out.refused && a.closed; !refuse && in.n > a.units {
			want, a.units = in.n-a.units, in.n
		}
	case opClose:
		refuse, a.closed = a.closed, true
	case opClaim:
		if in.n > a.claimed {
			want, a.claimed = in.n-a.claimed, in.n
		}
	}
	return out.unknown || out.refused == refuse && (refuse || out.n == want), a
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, 2) // claims have nothing to do with the lease
		for _, o := range history {
			i := 0
			if o.Input.(input).op == opClaim {
				i = 1
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() any { return account{} },
	Step: func(state, in, out any) (bool, any) { return step(state.(account), in.(input), out.(output)) },
}

// The model itself refuses what must not happen.
func TestModelSeesWhatIsNotLinearizable(t *testing.T) {
	op := func(call, ret int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
	}
	for _, c := range []struct {
		name    string
		history []porcupine.Operation
		want    bool
	}{
		{"funded twice, in either order", []porcupine.Operation{
			op(0, 10, input{op: opFund, n: 5}, output{n: 12}), op(0, 10, input{op: opFund, n: 7}, output{n: 7})}, true},
		{"a fund that was lost", []porcupine.Operation{
			op(0, 1, input{op: opFund, n: 5}, output{n: 5}), op(2, 3, input{op: opFund, n: 7}, output{n: 7})}, false},
		{"a fund that may have been lost", []porcupine.Operation{
			op(0, math.MaxInt64, input{op: opFund, n: 5}, output{unknown: true}), op(2, 3, input{op: opFund, n: 7}, output{n: 7})}, true},
		{"a receipt paid twice", []porcupine.Operation{
			op(0, 1, input{op: opSettle, n: 5}, output{n: 5}), op(0, 1, input{op: opSettle, n: 5}, output{n: 5})}, false},
		{"claimed twice", []porcupine.Operation{
			op(0, 1, input{op: opClaim, n: 5}, output{n: 5}), op(0, 1, input{op: opClaim, n: 5}, output{n: 5})}, false},
		{"funded after it was closed", []porcupine.Operation{
			op(0, 1, input{op: opClose}, output{}), op(2, 3, input{op: opFund, n: 5}, output{n: 5})}, false},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.want {
			t.Errorf("%s: linearizable %t, want %t", c.name, got, c.want)
		}
	}
}

// history is what all clients did and saw.
type history struct {
	mu    sync.Mutex
	began time.Time
	ops   []porcupine.Operation
}

// add runs an operation and records it. What was refused before it got into a
// block never happened and tells nothing: the node that said so may lag.
func (h *history) add(who int, in input, send func() (uint64, error)) {
	call := time.Since(h.began).Nanoseconds()
	n, err := send()
	op := porcupine.Operation{ClientId: who, Input: in, Call: call, Output: output{n: n}, Return: time.Since(h.began).Nanoseconds()}
	var refused *client.TxError
	switch {
	case errors.As(err, &refused) && refused.Height == 0, errors.Is(err, client.ErrExpired):
		return
	case errors.As(err, &refused):
		op.Output = output{refused: true}
	case err != nil:
		op.Output, op.Return = output{unknown: true}, math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// count is how many operations of a kind were answered, refused in a block, and
// never answered; and what they add up to.
func (h *history) count(op int) (known, refused, unknown int, sum uint64) {
	for _, o := range h.ops {
		switch out := o.Output.(output); {
		case o.Input.(input).op != op:
		case out.unknown:
			unknown++
		case out.refused:
			refused++
		default:
			known, sum = known+1, sum+out.n
		}
	}
	return known, refused, unknown, sum
}

// shop is a lease with four clients, each at a validator of its own.
type shop struct {
	*running
	ledgers []*client.Client
	signers []*client.Signer
	device  coredevice.ID
	key     ed25519.PrivateKey
	lane    ed25519.PrivateKey
	lease   [32]byte
	base    uint64

	mu    sync.Mutex
	units uint64 // of the newest receipt signed
	seq   uint64
}

func openShop(r *running) *shop {
	r.Helper()
	s := &shop{running: r, lane: ed25519.NewKeyFromSeed(make([]byte, 32))}
	user, err := key.Load(cluster.UserKeyPath(r.home))
	r.must(err)
	var sends []sdk.Msg
	for _, v := range r.net.Endpoints().Validators {
		c, err := client.Dial(r.Context(), client.Endpoints{GRPC: v.GRPC, RPC: v.RPC, Logger: slog.New(slog.DiscardHandler)})
		r.must(err)
		r.Cleanup(func() { c.Close() })
		k := key.New()
		s.ledgers, s.signers = append(s.ledgers, c), append(s.signers, c.Signer(k, nil))
		sends = append(sends, banktypes.NewMsgSend(user.Address(), k.Address(), sdk.NewCoins(sdk.NewInt64Coin("ugrain", 10_000_000_000))))
	}
	s.send(s.ledgers[0].Signer(user, nil), sends...)
	for _, signer := range s.signers {
		s.send(signer, &creditpb.MsgBuy{Buyer: signer.Address().String(), Ugrain: 5_000_000_000})
	}
	for i, signer := range s.signers {
		s.until("credits of a client", func() bool {
			b, err := s.ledgers[i].Bank.Balance(r.Context(), &banktypes.QueryBalanceRequest{Address: signer.Address().String(), Denom: "ucredit"})
			return err == nil && b.Balance.Amount.IsPositive()
		})
	}
	s.lend()
	return s
}

func (s *shop) send(signer *client.Signer, msgs ...sdk.Msg) client.Result {
	s.Helper()
	res, err := signer.Send(s.Context(), msgs...)
	s.must(err)
	return res
}

// until polls: other processes tell of no event.
func (s *shop) until(what string, done func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not in time\n%s", what, s.logs())
		}
	}
}

// lend registers a device of the second client and leases it to the first.
func (s *shop) lend() {
	s.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	s.must(err)
	k, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	s.must(err)
	s.key, s.device = private, k.ID()
	owner, payer := s.signers[1], s.signers[0]
	message, err := coredevice.RegisterBytes(cluster.ChainID, owner.Address(), 1)
	s.must(err)
	price := marketpb.Price{Credits: 1, Per: 1}
	res := s.send(owner, &devicepb.MsgRegister{Owner: owner.Address().String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
		Signature: ed25519.Sign(private, message), Profile: devicepb.Profile{Class: devicepb.CLASS_DRN, Status: devicepb.STATUS_ACTIVE}})
	s.until("the device", func() bool { h, _ := s.ledgers[1].Head(); return h > res.Height })
	res = s.send(owner, &marketpb.MsgPost{Owner: owner.Address().String(), Device: s.device[:], Kind: "storage", Use: price, Hold: price, Capacity: 1000, Bond: 1_000_000_000})
	var posted marketpb.MsgPostResponse
	s.must(res.Response(0, &posted))
	s.until("the offer", func() bool { h, _ := s.ledgers[0].Head(); return h > res.Height })
	res = s.send(payer, &marketpb.MsgAccept{Payer: payer.Address().String(), OfferId: posted.OfferId, Capacity: 1, HoldBudget: 1_000_000, Use: price, Hold: price,
		Lanes: []marketpb.Lane{{Id: 0, Key: s.lane.Public().(ed25519.PublicKey), Cap: 3_000_000_000}}})
	var opened marketpb.MsgAcceptResponse
	s.must(res.Response(0, &opened))
	s.lease, s.base = [32]byte(opened.LeaseId), 3_001_000_000
	for i := range s.ledgers {
		s.until("the lease at every validator", func() bool {
			_, err := s.ledgers[i].Market.Lease(s.Context(), &marketpb.QueryLeaseRequest{Id: opened.LeaseId})
			return err == nil
		})
	}
}

// paper is the next receipt, for more units than all before.
func (s *shop) paper(epoch uint64) (wire []byte, units uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq, s.units = s.seq+1, s.units+5_000_000
	r := receipt.Receipt{Lease: s.lease, Seq: s.seq, Units: s.units, Epoch: epoch}
	s.must(r.SignPayer(receipt.ChainOf(cluster.ChainID), s.lane))
	s.must(r.CountersignProvider(receipt.ChainOf(cluster.ChainID), s.key))
	return r.Encode(), s.units
}

// answer sends one message and reads one number of its response.
func answer[T any, P interface {
	*T
	Reset()
	String() string
	ProtoMessage()
}](ctx context.Context, s *client.Signer, msg sdk.Msg, number func(P) uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	res, err := s.Send(ctx, msg)
	if err != nil {
		return 0, err
	}
	var out T
	if err := res.Response(0, P(&out)); err != nil {
		return 0, err
	}
	return number(&out), nil
}

// trade is one client: it funds, settles and claims until told to stop.
func (s *shop) trade(h *history, i int, stop <-chan struct{}) {
	self, me := s.signers[i], s.signers[i].Address().String()
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			return
		default:
		}
		if (turn+i)%3 == 0 {
			n := uint64(1000*turn + i + 1)
			h.add(i, input{op: opFund, n: n, base: s.base}, func() (uint64, error) {
				return answer(s.Context(), self, &marketpb.MsgFund{Funder: me, LeaseId: s.lease[:], HoldBudget: n}, func(r *marketpb.MsgFundResponse) uint64 { return r.Deposited })
			})
			continue
		}
		if (turn+i)%3 == 1 && s.claim(h, i) {
			continue
		}
		wire, units := s.paper(1)
		h.add(i, input{op: opSettle, n: units}, func() (uint64, error) {
			return answer(s.Context(), self, &marketpb.MsgSettle{Signer: me, Receipts: [][]byte{wire}}, func(r *marketpb.MsgSettleResponse) uint64 { return r.Paid })
		})
	}
}

// claim claims what the newest payable report says of the only device, as the
// verifiers and the other clients do at the same time.
func (s *shop) claim(h *history, i int) bool {
	r, ok := s.payable(i)
	if !ok {
		return false
	}
	leaf := merkle.SumLeaf{Key: s.device, Amount: r.Content.Total}
	tree, err := merkle.NewSumTree([]merkle.SumLeaf{leaf}, math.MaxUint64)
	s.must(err)
	_, proof, err := tree.Prove(s.device)
	s.must(err)
	msg := &oraclepb.MsgClaim{Signer: s.signers[i].Address().String(), Vertical: r.Vertical, Epoch: r.Epoch,
		Claims: []oraclepb.DeviceClaim{{Device: s.device[:], Lifetime: leaf.Amount, Proof: proof.Encode()}}}
	h.add(i, input{op: opClaim, n: leaf.Amount}, func() (uint64, error) {
		return answer(s.Context(), s.signers[i], msg, func(r *oraclepb.MsgClaimResponse) uint64 { return r.Paid[0] })
	})
	return true
}

func (s *shop) payable(i int) (oraclepb.Report, bool) {
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Second)
	defer cancel()
	list, err := s.ledgers[i].Oracle.Reports(ctx, &oraclepb.QueryReportsRequest{Vertical: "storage"})
	if err != nil {
		return oraclepb.Report{}, false
	}
	e, err := s.ledgers[i].Oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{})
	if err != nil {
		return oraclepb.Report{}, false
	}
	for _, r := range list.Reports {
		if r.PayableEpoch <= e.Epoch.Number && r.Content.Leaves == 1 && r.Content.Total > 0 {
			return r, true
		}
	}
	return oraclepb.Report{}, false
}

// TestEscrowAndClaimsAreLinearizable has four clients fund, settle, claim and
// close at four validators while partitions come and go. Every answer they got
// must be that of one order of all operations in which each took place between
// its call and its return.
func TestEscrowAndClaimsAreLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes")
	}
	o := options(t.TempDir())
	o.Commit, o.Epoch = 200*time.Millisecond, 5*time.Second
	r := start(t, o)
	s := openShop(r)
	h := &history{began: time.Now()}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range s.signers {
		wg.Go(func() { s.trade(h, i, stop) })
	}
	for _, side := range [][]int{{0, 1}, {3}, {0, 2}, {1}} {
		r.reach(r.top()+5, patience, 0, 1, 2, 3)
		r.split(side...)
		time.Sleep(2 * time.Second) // how long the fault lasts
		r.must(r.net.Links().Heal("", "", false))
	}
	s.until("claims", func() bool { _, ok := s.payable(0); return ok })
	r.reach(r.top()+5, patience, 0, 1, 2, 3)
	s.closeAll(h)
	close(stop)
	wg.Wait()
	for op, name := range []string{"fund", "settle", "close", "claim"} {
		known, refused, unknown, sum := h.count(op)
		t.Logf("%s: %d answered with %d in all, %d refused, %d unknown", name, known, sum, refused, unknown)
		if known == 0 {
			t.Errorf("no %s was answered", name)
		}
	}
	s.verifiersClaim(h)
	switch porcupine.CheckOperationsTimeout(model, h.ops, patience) {
	case porcupine.Illegal:
		t.Fatalf("no order explains what clients saw: %+v", h.ops)
	case porcupine.Unknown:
		t.Error("the checker found no answer in time")
	}
	r.agree(4)
}

// closeAll has the payer and the provider close the lease at the same time, with
// funds under way: one of them is refused, and so is every later fund.
func (s *shop) closeAll(h *history) {
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			msg := &marketpb.MsgClose{Signer: s.signers[i].Address().String(), LeaseId: s.lease[:]}
			h.add(i, input{op: opClose}, func() (uint64, error) {
				return answer(s.Context(), s.signers[i], msg, func(*marketpb.MsgCloseResponse) uint64 { return 0 })
			})
		})
	}
	wg.Wait()
}

// verifiersClaim adds what the verifiers may have claimed meanwhile: each report
// once, at a time and with an answer that nobody recorded.
func (s *shop) verifiersClaim(h *history) {
	list, err := s.ledgers[0].Oracle.Reports(s.Context(), &oraclepb.QueryReportsRequest{Vertical: "storage"})
	s.must(err)
	for _, r := range list.Reports {
		h.ops = append(h.ops, porcupine.Operation{ClientId: len(s.signers), Input: input{op: opClaim, n: r.Content.Total}, Output: output{unknown: true}, Return: math.MaxInt64})
	}
}
