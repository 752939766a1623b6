package verify

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	_ "github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/oracle"
)

// books is a ledger in memory as far as a verifier sees it: an epoch, keys,
// reports, claims, usage and records, and the transactions it was sent.
type books struct {
	oraclepb.QueryClient // the queries that no duty asks

	mu      sync.Mutex
	epoch   oraclepb.QueryEpochResponse
	keys    []oraclepb.Key
	reports []oraclepb.Report // newest first
	votes   map[uint64]oraclepb.Vote
	claimed map[string]uint64
	usage   map[uint64][]marketpb.Usage
	gone    map[uint64]bool // epochs whose record is no longer kept
	sent    []sdk.Msg
	refuse  func(sdk.Msg) error
	refuted []string // reasons
	lost    []string // challenges that showed nothing
	down    bool
	me      sdk.AccAddress
}

func newBooks() *books {
	return &books{
		votes: map[uint64]oraclepb.Vote{}, claimed: map[string]uint64{}, usage: map[uint64][]marketpb.Usage{}, gone: map[uint64]bool{},
		me: sdk.AccAddress(strings.Repeat("v", 20)),
	}
}

func (b *books) lock() func() { b.mu.Lock(); return b.mu.Unlock }

func (b *books) Epoch(context.Context, *oraclepb.QueryEpochRequest, ...grpc.CallOption) (*oraclepb.QueryEpochResponse, error) {
	defer b.lock()()
	if b.down {
		return nil, client.ErrUnavailable
	}
	e := b.epoch
	e.Epoch.StartHeight = beginning
	return &e, nil
}

// beginning is the height at which epochs begin.
const beginning = 1000

func (b *books) Params(context.Context, *oraclepb.QueryParamsRequest, ...grpc.CallOption) (*oraclepb.QueryParamsResponse, error) {
	return &oraclepb.QueryParamsResponse{Params: oracle.DefaultParams()}, nil
}

func (b *books) Keys(context.Context, *oraclepb.QueryKeysRequest, ...grpc.CallOption) (*oraclepb.QueryKeysResponse, error) {
	defer b.lock()()
	return &oraclepb.QueryKeysResponse{Keys: slices.Clone(b.keys)}, nil
}

func (b *books) Reports(context.Context, *oraclepb.QueryReportsRequest, ...grpc.CallOption) (*oraclepb.QueryReportsResponse, error) {
	defer b.lock()()
	return &oraclepb.QueryReportsResponse{Reports: slices.Clone(b.reports)}, nil
}

func (b *books) Report(_ context.Context, r *oraclepb.QueryReportRequest, _ ...grpc.CallOption) (*oraclepb.QueryReportResponse, error) {
	defer b.lock()()
	out := new(oraclepb.QueryReportResponse)
	for _, x := range b.reports {
		if x.Epoch == r.Epoch {
			out.Report = &x
		}
	}
	if v, ok := b.votes[r.Epoch]; ok {
		out.Votes = append(out.Votes, v)
	}
	if out.Report == nil && len(out.Votes) == 0 {
		return nil, client.ErrNotFound
	}
	return out, nil
}

func (b *books) Claimed(_ context.Context, r *oraclepb.QueryClaimedRequest, _ ...grpc.CallOption) (*oraclepb.QueryClaimedResponse, error) {
	defer b.lock()()
	if b.down {
		return nil, client.ErrUnavailable
	}
	return &oraclepb.QueryClaimedResponse{Claimed: []oraclepb.Claimed{{Vertical: "storage", Paid: b.claimed[r.Device]}, {Vertical: "beacon", Paid: b.claimed[r.Device]}}}, nil
}

// market and credit are the other two modules' side of the books.
type market struct {
	marketpb.QueryClient
	b *books
}

func (m market) Usage(_ context.Context, r *marketpb.QueryUsageRequest, _ ...grpc.CallOption) (*marketpb.QueryUsageResponse, error) {
	defer m.b.lock()()
	return &marketpb.QueryUsageResponse{Usage: m.b.usage[r.Epoch]}, nil
}

type credit struct {
	creditpb.QueryClient
	b *books
}

func (c credit) Params(context.Context, *creditpb.QueryParamsRequest, ...grpc.CallOption) (*creditpb.QueryParamsResponse, error) {
	return &creditpb.QueryParamsResponse{Params: creditpb.Params{RoundSeconds: 10}}, nil
}

func (c credit) EpochPrice(_ context.Context, r *creditpb.QueryEpochPriceRequest, _ ...grpc.CallOption) (*creditpb.QueryEpochPriceResponse, error) {
	defer c.b.lock()()
	if c.b.gone[r.Epoch] {
		return nil, client.ErrNotFound
	}
	return &creditpb.QueryEpochPriceResponse{Record: creditpb.EpochRecord{
		Epoch: r.Epoch, DemandPool: 500, RebateBps: 8000, Quote: creditpb.Quote{Low: 1, Mid: 2, High: 1_000_000},
		Grants: []creditpb.EpochGrant{{Vertical: "beacon", Ugrain: 300}}, Time: 1000 + 10*int64(r.Epoch),
	}}, nil
}

// Address and Send make the books a Sender.
func (b *books) Address() sdk.AccAddress { return b.me }

func (b *books) Send(_ context.Context, msgs ...sdk.Msg) (client.Result, error) {
	defer b.lock()()
	for _, m := range msgs {
		if b.refuse != nil {
			if err := b.refuse(m); err != nil {
				return client.Result{}, err
			}
		}
		b.sent = append(b.sent, m)
		b.apply(m)
	}
	return client.Result{}, nil
}

func (b *books) apply(m sdk.Msg) {
	switch m := m.(type) {
	case *oraclepb.MsgRegisterKey:
		b.keys = append(b.keys, oraclepb.Key{Validator: m.Validator, PublicKey: m.PublicKey, Since: b.epoch.Epoch.Number + 1})
	case *oraclepb.MsgReport:
		b.votes[m.Epoch] = oraclepb.Vote{Epoch: m.Epoch, Validator: m.Validator, Content: m.Content}
		b.reports = append([]oraclepb.Report{{Epoch: m.Epoch, Vertical: m.Vertical, Content: m.Content, PayableEpoch: m.Epoch + 2}}, b.reports...)
	case *oraclepb.MsgChallenge:
		b.judge(m)
	case *oraclepb.MsgClaim:
		for _, c := range m.Claims {
			b.claimed[hex.EncodeToString(c.Device)] = c.Lifetime
		}
	}
}

// judge does with a challenge what the ledger does.
func (b *books) judge(m *oraclepb.MsgChallenge) {
	i := slices.IndexFunc(b.reports, func(r oraclepb.Report) bool { return r.Epoch == m.Epoch })
	reason, err := oracle.Examine(b.reports[i], m, func(device [32]byte) (uint64, error) { return b.claimed[hex.EncodeToString(device[:])], nil })
	if err != nil {
		b.lost = append(b.lost, err.Error())
		return
	}
	b.refuted = append(b.refuted, reason)
	b.reports = slices.Delete(b.reports, i, i+1)
}

// took returns the messages of one type and forgets all.
func took[M sdk.Msg](b *books) (out []M) {
	defer b.lock()()
	for _, m := range b.sent {
		if x, ok := m.(M); ok {
			out = append(out, x)
		}
	}
	b.sent = nil
	return out
}

func (b *books) ledger(blocks func(context.Context) <-chan client.Block) Ledger {
	return Ledger{ChainID: "chain-1", Oracle: b, Market: market{b: b}, Credit: credit{b: b}, Blocks: blocks}
}

func (b *books) verifier(t *testing.T, home string) *verifier {
	t.Helper()
	v, err := newVerifier(Config{Home: home, Ledger: b.ledger(nil), Sender: b, Prices: FixedPrice(7), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// at is the tick of a block in an epoch.
func (b *books) at(epoch uint64, status oraclepb.EpochStatus, seconds int64) tick {
	defer b.lock()()
	b.epoch = oraclepb.QueryEpochResponse{Epoch: oraclepb.Epoch{Number: epoch, Status: status}}
	return tick{block: client.Block{Time: time.Unix(seconds, 0)}, epoch: b.epoch}
}

func TestRevealRegistersThenSignsEveryEpochOnce(t *testing.T) {
	b := newBooks()
	v := b.verifier(t, t.TempDir())
	ctx := t.Context()
	first := b.at(4, oraclepb.EPOCH_STATUS_REVEALING, 0)
	for range 3 {
		if err := v.reveal(ctx, first); err != nil {
			t.Fatal(err)
		}
	}
	keys := took[*oraclepb.MsgRegisterKey](b)
	if len(keys) != 1 || beacon.VerifyPossession(keys[0].PublicKey, keys[0].Possession, "chain-1", b.me) != nil {
		t.Fatalf("registered %d keys", len(keys))
	}
	second := b.at(5, oraclepb.EPOCH_STATUS_REVEALING, 0)
	for range 3 {
		if err := v.reveal(ctx, second); err != nil {
			t.Fatal(err)
		}
	}
	reveals := took[*oraclepb.MsgReveal](b)
	if len(reveals) != 1 || reveals[0].Epoch != 5 || beacon.Verify(keys[0].PublicKey, reveals[0].Signature, "chain-1", 5) != nil {
		t.Fatalf("reveals %+v", reveals)
	}
	if err := v.reveal(ctx, b.at(6, oraclepb.EPOCH_STATUS_NEUTRAL, 0)); err != nil || len(took[*oraclepb.MsgReveal](b)) != 0 {
		t.Fatalf("revealed a neutral epoch (%v)", err)
	}
	b.refuse = func(sdk.Msg) error { return oracle.ErrTooLate }
	if err := v.reveal(ctx, b.at(7, oraclepb.EPOCH_STATUS_REVEALING, 0)); err != nil || v.revealed != 7 {
		t.Fatalf("too late: %v", err)
	}
	b.refuse = func(sdk.Msg) error { return client.ErrUnavailable }
	eighth := b.at(8, oraclepb.EPOCH_STATUS_REVEALING, 0)
	if err := v.reveal(ctx, eighth); !errors.Is(err, client.ErrUnavailable) {
		t.Fatalf("ledger away: %v", err)
	}
	b.refuse = nil
	if err := v.reveal(ctx, eighth); err != nil || len(took[*oraclepb.MsgReveal](b)) != 1 {
		t.Fatalf("did not try again (%v)", err)
	}
	// A restart finds its reveal on the ledger.
	again := b.at(8, oraclepb.EPOCH_STATUS_REVEALING, 0)
	again.epoch.Reveals = []oraclepb.Reveal{{Epoch: 8, Validator: v.operator}}
	fresh := b.verifier(t, v.Home)
	if err := fresh.reveal(ctx, again); err != nil || len(took[*oraclepb.MsgReveal](b)) != 0 {
		t.Fatalf("revealed twice (%v)", err)
	}
}

func TestPriceIsVotedOncePerRound(t *testing.T) {
	b := newBooks()
	v := b.verifier(t, t.TempDir())
	for second := int64(100); second < 130; second++ {
		if err := v.votePrice(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, second)); err != nil {
			t.Fatal(err)
		}
	}
	votes := took[*creditpb.MsgPrice](b)
	if len(votes) != 3 || votes[0].MicroUsdPerGrain != 7 {
		t.Fatalf("%d votes in 30 s of rounds of 10 s: %+v", len(votes), votes)
	}
	v.Prices = nil
	if err := v.votePrice(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 500)); err != nil || len(took[*creditpb.MsgPrice](b)) != 0 {
		t.Fatalf("voted without a source (%v)", err)
	}
}

func use(epoch uint64, d byte, burned uint64) marketpb.Usage {
	id := device(d)
	return marketpb.Usage{Epoch: epoch, Device: id[:], Kind: "storage", UsePaid: 30 * burned, Burned: burned}
}

func TestReportComputesEveryEpochAndVotesOnTheNewest(t *testing.T) {
	b := newBooks()
	b.usage[1] = []marketpb.Usage{use(1, 1, 400)}
	b.usage[3] = []marketpb.Usage{use(3, 2, 100), use(3, 1, 1000)}
	v := b.verifier(t, t.TempDir())
	for range 2 {
		if err := v.report(t.Context(), b.at(4, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil {
			t.Fatal(err)
		}
	}
	votes := took[*oraclepb.MsgReport](b)
	// Epoch 1: 320 by the cap of 0.8·400. Epoch 3: the pool of 500 in the ratio 1000:100.
	if len(votes) != 1 || votes[0].Epoch != 3 || votes[0].Content.Total != 320+454+45 || votes[0].Content.Leaves != 2 {
		t.Fatalf("votes %+v", votes)
	}
	for epoch := uint64(1); epoch <= 3; epoch++ {
		if _, err := shelfOf(v.Home, "storage").get(epoch); err != nil {
			t.Errorf("epoch %d is not published: %v", epoch, err)
		}
	}
	// After a restart it goes on where it was, with the same result as without.
	b.usage[4] = []marketpb.Usage{use(4, 1, 10)}
	next := b.at(5, oraclepb.EPOCH_STATUS_DECIDED, 0)
	if err := b.verifier(t, v.Home).report(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	restarted := took[*oraclepb.MsgReport](b)
	delete(b.votes, 4)
	b.reports = b.reports[1:]
	if err := v.report(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	straight := took[*oraclepb.MsgReport](b)
	if len(restarted) != 1 || len(straight) != 1 || !same(restarted[0].Content, straight[0].Content) {
		t.Fatalf("restarted %+v, straight on %+v", restarted, straight)
	}
}

func TestReportNeedsTheRecordOrAPublishedEpoch(t *testing.T) {
	b := newBooks()
	b.usage[2] = []marketpb.Usage{use(2, 1, 400)}
	old := b.verifier(t, t.TempDir())
	if err := old.report(t.Context(), b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil {
		t.Fatal(err)
	}
	b.gone[1], b.gone[2] = true, true
	late := b.verifier(t, t.TempDir())
	now := b.at(4, oraclepb.EPOCH_STATUS_DECIDED, 0)
	if err := late.report(t.Context(), now); err == nil || !strings.Contains(err.Error(), "copy a published epoch") {
		t.Fatalf("without the past: %v", err)
	}
	p, err := shelfOf(old.Home, "storage").get(2)
	if err != nil {
		t.Fatal(err)
	}
	// A copy that the ledger's report contradicts is refused, a true one taken.
	forged := b.verifier(t, t.TempDir())
	lie := p
	lie.Leaves = []PublishedTip{{Device: p.Leaves[0].Device, Lifetime: 999}}
	tree, err := merkle.NewSumTree([]merkle.SumLeaf{{Key: device(1), Amount: 999}}, 999)
	if err != nil {
		t.Fatal(err)
	}
	lie.RewardRoot, lie.Total = tree.Root().Hash.String(), 999
	if err := shelfOf(forged.Home, "storage").put(lie); err != nil {
		t.Fatal(err)
	}
	if err := forged.report(t.Context(), now); err == nil || !strings.Contains(err.Error(), "the ledger accepted reward root") {
		t.Fatalf("forged leaves: %v", err)
	}
	if err := shelfOf(late.Home, "storage").put(p); err != nil {
		t.Fatal(err)
	}
	took[*oraclepb.MsgReport](b)
	if err := late.report(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if err := old.report(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	a, err := shelfOf(late.Home, "storage").get(3)
	if err != nil {
		t.Fatal(err)
	}
	c, err := shelfOf(old.Home, "storage").get(3)
	if err != nil || a.RewardRoot != c.RewardRoot || a.InputsRoot != c.InputsRoot {
		t.Fatalf("the one who came late got %+v, the other %+v (%v)", a, c, err)
	}
}

// ready is a verifier with a payable report of n devices.
func ready(t *testing.T, n int) (*books, *verifier, tick) {
	b := newBooks()
	for d := range n {
		b.usage[1] = append(b.usage[1], use(1, byte(d), 1000))
	}
	v := b.verifier(t, t.TempDir())
	if err := v.reveal(t.Context(), b.at(1, oraclepb.EPOCH_STATUS_REVEALING, 0)); err != nil {
		t.Fatal(err)
	}
	if err := v.report(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil {
		t.Fatal(err)
	}
	took[sdk.Msg](b)
	return b, v, b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)
}

func TestClaimsAreBatchedAndProven(t *testing.T) {
	b, v, now := ready(t, 230)
	if err := v.claim(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil || len(took[*oraclepb.MsgClaim](b)) != 0 {
		t.Fatalf("claimed before it is payable (%v)", err)
	}
	for range 2 {
		if err := v.claim(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	claims := took[*oraclepb.MsgClaim](b)
	if len(claims) != 3 || len(claims[0].Claims) != 100 || len(claims[2].Claims) != 30 {
		t.Fatalf("%d messages", len(claims))
	}
	r := b.reports[0].Content
	root := merkle.SumRoot{Hash: merkle.Hash(r.RewardRoot), Size: r.Leaves, Total: r.Total}
	for _, m := range claims {
		for _, c := range m.Claims {
			proof, err := merkle.DecodeSumProof(c.Proof)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := proof.Verify(root, merkle.SumLeaf{Key: [32]byte(c.Device), Amount: c.Lifetime}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// After a restart nothing is owed.
	if err := b.verifier(t, v.Home).claim(t.Context(), now); err != nil || len(took[*oraclepb.MsgClaim](b)) != 0 {
		t.Fatalf("claimed again (%v)", err)
	}
}

func TestOneRefusedDeviceDoesNotHoldUpTheOthers(t *testing.T) {
	b, v, now := ready(t, 5)
	bad := device(3)
	b.refuse = func(m sdk.Msg) error {
		if c, ok := m.(*oraclepb.MsgClaim); ok && slices.ContainsFunc(c.Claims, func(x oraclepb.DeviceClaim) bool { return bytes.Equal(x.Device, bad[:]) }) {
			return &client.TxError{Codespace: "device", Code: 3, Log: "unknown device"}
		}
		return nil
	}
	if err := v.claim(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	var claimed [][]byte
	for _, m := range took[*oraclepb.MsgClaim](b) {
		for _, c := range m.Claims {
			claimed = append(claimed, c.Device)
		}
	}
	if len(claimed) != 4 || slices.ContainsFunc(claimed, func(id []byte) bool { return bytes.Equal(id, bad[:]) }) {
		t.Fatalf("%x claimed, want the 4 others", claimed)
	}
}

func TestBreakerIsLeftAloneUntilTheNextReport(t *testing.T) {
	b, v, now := ready(t, 3)
	tries := 0
	b.refuse = func(sdk.Msg) error {
		tries++
		return &client.TxError{Codespace: oracle.ModuleName, Code: oracle.ErrBreaker.ABCICode(), Log: "at its limit"}
	}
	for range 5 {
		if err := v.claim(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if tries != 1 {
		t.Fatalf("tried %d times", tries)
	}
}

func TestClaimsTakeTurns(t *testing.T) {
	b, v, now := ready(t, 1)
	// Of two validators, epoch 1 is the second one's in the order of addresses.
	b.keys = append(b.keys, oraclepb.Key{Validator: "zzz"})
	if err := v.claim(t.Context(), now); err != nil || len(took[*oraclepb.MsgClaim](b)) != 0 {
		t.Fatalf("took another's turn (%v)", err)
	}
	if err := v.claim(t.Context(), b.at(5, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil || len(took[*oraclepb.MsgClaim](b)) != 1 {
		t.Fatalf("left it forever (%v)", err)
	}
}

// stream is a source of blocks that the test drives.
func stream(blocks <-chan client.Block) func(context.Context) <-chan client.Block {
	return func(ctx context.Context) <-chan client.Block {
		out := make(chan client.Block)
		go func() {
			defer close(out)
			for {
				select {
				case <-ctx.Done():
					return
				case b, ok := <-blocks:
					if !ok {
						return
					}
					select {
					case out <- b:
					case <-ctx.Done():
						return
					}
				}
			}
		}()
		return out
	}
}

func TestRunWorksThroughOutagesAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := newBooks()
	b.down = true
	ctx, cancel := context.WithCancel(t.Context())
	blocks, done := make(chan client.Block), make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Home: t.TempDir(), Ledger: b.ledger(stream(blocks)), Sender: b, Prices: FixedPrice(7), Logger: slog.New(slog.DiscardHandler)})
	}()
	send := func(until func() bool) {
		t.Helper()
		for n := int64(0); !until(); n++ {
			blocks <- client.Block{Height: n, Time: time.Unix(n, 0)}
		}
	}
	n := 0
	send(func() bool { n++; return n > 20 })
	b.mu.Lock()
	b.down = false
	b.epoch.Epoch = oraclepb.Epoch{Number: 3, Status: oraclepb.EPOCH_STATUS_REVEALING}
	b.mu.Unlock()
	send(func() bool {
		defer b.lock()()
		return len(b.votes) > 0 && len(b.keys) > 0 && slices.ContainsFunc(b.sent, func(m sdk.Msg) bool { _, ok := m.(*creditpb.MsgPrice); return ok })
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
}

func TestRunEndsWithItsBlocks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := newBooks()
	blocks := make(chan client.Block)
	close(blocks)
	if err := Run(t.Context(), Config{Home: t.TempDir(), Ledger: b.ledger(stream(blocks)), Sender: b}); err == nil || errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
	if err := Run(t.Context(), Config{Home: "/dev/null/x", Ledger: b.ledger(nil), Sender: b}); err == nil {
		t.Fatal("ran without a home")
	}
}

func TestWatcherSendsNothing(t *testing.T) {
	b := newBooks()
	b.usage[1] = []marketpb.Usage{use(1, 1, 400)}
	v, err := newVerifier(Config{Home: t.TempDir(), Ledger: b.ledger(nil), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.report(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil || len(b.sent) != 0 {
		t.Fatalf("sent %d messages (%v)", len(b.sent), err)
	}
	if _, err := shelfOf(v.Home, "storage").get(1); err != nil {
		t.Fatal(err)
	}
}
