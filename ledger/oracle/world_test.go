package oracle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/chain"
)

const testChain = "oracle-test-1"

// validatorSet is consensus power by operator.
type validatorSet map[string]int64

func (v validatorSet) GetLastValidatorPower(_ context.Context, operator sdk.ValAddress) (int64, error) {
	return v[string(operator)], nil
}

func (v validatorSet) GetLastTotalPower(context.Context) (sdkmath.Int, error) {
	var total int64
	for _, p := range v {
		total += p
	}
	return sdkmath.NewInt(total), nil
}

// holdings is what devices hold, the same in every epoch but for until.
type holdings struct {
	heads map[[32]byte][]Head
	until map[[32]byte]uint64 // last epoch in which the device holds anything
}

func (h *holdings) HeadsAt(_ context.Context, device [32]byte, epoch uint64) ([]Head, error) {
	if last, ends := h.until[device]; ends && epoch > last {
		return nil, nil
	}
	return slices.Clone(h.heads[device]), nil
}

// hashProver asks for sha256(root ‖ offset): a real proof for tests, whose
// challenges depend on seed, device and heads.
type hashProver struct{}

func (hashProver) Challenges(seed, device [32]byte, heads []Head, c int) []Challenge {
	out := make([]Challenge, c)
	for i := range out {
		h := sha256.Sum256(binary.BigEndian.AppendUint32(append(seed[:], device[:]...), uint32(i)))
		n := int(binary.BigEndian.Uint64(h[:]) % uint64(len(heads)))
		out[i] = Challenge{Head: n, Offset: binary.BigEndian.Uint64(h[8:]) % heads[n].Units}
	}
	return out
}

func answer(head Head, ch Challenge) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(head.Root[:], ch.Offset))
	return h[:]
}

func (hashProver) Verify(head Head, ch Challenge, proof []byte) error {
	if string(proof) != string(answer(head, ch)) {
		return errors.New("hash differs")
	}
	return nil
}

// treasury sets a budget per epoch, makes ugrain and pays devices.
type treasury struct {
	budget  uint64
	minted  uint64
	held    map[string]uint64
	paid    map[[32]byte]uint64
	refuses map[[32]byte]bool
}

func (t *treasury) BonusBudget(_ context.Context, vertical string, epoch uint64) (uint64, error) {
	if vertical != "storage" {
		return 0, fmt.Errorf("no budget for %s", vertical)
	}
	return t.budget, nil
}

func (t *treasury) Mint(_ context.Context, module string, amount money.Grain) error {
	t.minted += uint64(amount)
	t.held[module] += uint64(amount)
	return nil
}

func (t *treasury) Payout(_ context.Context, module, denom string, earned []Earning) error {
	for _, e := range earned {
		if t.refuses[e.Device] {
			return fmt.Errorf("device %x is unknown", e.Device)
		}
		if t.held[module] < e.Amount || denom != money.GrainDenom {
			return fmt.Errorf("%s holds %d, less than %d%s", module, t.held[module], e.Amount, denom)
		}
		t.held[module] -= e.Amount
		t.paid[e.Device] += e.Amount
	}
	return nil
}

// stakes is what validators have at stake, in ugrain, and who is jailed.
type stakes struct {
	left   map[string]uint64
	burned uint64
	until  map[string]time.Time
	broken bool // refuses everything
}

func (s *stakes) Fine(_ context.Context, operator sdk.ValAddress, _ int64, power uint64, share money.BPS) (money.Grain, error) {
	if s.broken {
		return 0, errors.New("no stake can be reached")
	}
	burned := min(money.Share(power*1_000_000, share), s.left[string(operator)])
	s.left[string(operator)] -= burned
	s.burned += burned
	return money.Grain(burned), nil
}

func (s *stakes) Jail(_ context.Context, operator sdk.ValAddress, until time.Time) (bool, error) {
	if s.broken {
		return false, errors.New("nobody can be jailed")
	}
	if _, jailed := s.until[string(operator)]; jailed {
		return false, nil
	}
	s.until[string(operator)] = until
	return true, nil
}

// purse is the ugrain of accounts and modules.
type purse struct {
	of     map[string]uint64
	minted uint64
}

func (p *purse) move(from, to string, amt sdk.Coins) error {
	n := amt.AmountOf(money.GrainDenom).Uint64()
	if p.of[from] < n {
		return fmt.Errorf("%s has %d, less than %s", from, p.of[from], amt)
	}
	p.of[from] -= n
	p.of[to] += n
	return nil
}

func (p *purse) SendCoinsFromAccountToModule(_ context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error {
	return p.move(string(from), module, amt)
}

func (p *purse) SendCoinsFromModuleToAccount(_ context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error {
	return p.move(module, string(to), amt)
}

func (p *purse) MintCoins(_ context.Context, module string, amt sdk.Coins) error {
	p.minted += amt.AmountOf(money.GrainDenom).Uint64()
	p.of[module] += amt.AmountOf(money.GrainDenom).Uint64()
	return nil
}

func (p *purse) FundCommunityPool(_ context.Context, amt sdk.Coins, _ sdk.AccAddress) error {
	return p.move(ModuleName, "community", amt)
}

// journal remembers the epochs it was told of.
type journal struct{ ended []uint64 }

func (j *journal) EpochEnded(_ context.Context, epoch uint64) error {
	j.ended = append(j.ended, epoch)
	return nil
}

// world is an oracle module with a clock, validators and what it is wired to.
type world struct {
	*Keeper
	t        testing.TB
	ctx      sdk.Context
	cdc      codec.Codec
	msgs     oraclepb.MsgServer
	asks     oraclepb.QueryServer
	set      validatorSet
	holds    *holdings
	treasury *treasury
	journal  *journal
	stakes   *stakes
	purse    *purse
}

func operator(name string) sdk.ValAddress {
	return sdk.ValAddress(name + strings.Repeat("-", 20-len(name)))
}

func valoper(name string) string { return operator(name).String() }

func account(name string) string { return sdk.AccAddress(operator(name)).String() }

func secret(name string) *beacon.Key {
	seed := sha256.Sum256([]byte(name))
	k, err := beacon.NewKey(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

func deviceID(n byte) [32]byte { return [32]byte{0: n, 31: 1} }

// newWorld is an oracle with three validators of power 50, 30 and 20, epochs of
// 100 s, and no block yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := emptyWorld(t)
	g := DefaultGenesis()
	g.Params.EpochSeconds = 100
	g.Params.HistoryEpochs = 10
	g.Params.BreakerLimit = 1_000_000
	w.must(w.InitGenesis(w.ctx, *g))
	return w
}

func emptyWorld(t testing.TB) *world {
	t.Helper()
	key := storetypes.NewKVStoreKey(ModuleName)
	w := &world{
		t: t, set: validatorSet{string(operator("big")): 50, string(operator("mid")): 30, string(operator("small")): 20},
		holds:    &holdings{heads: map[[32]byte][]Head{}, until: map[[32]byte]uint64{}},
		treasury: &treasury{budget: 1000, held: map[string]uint64{}, paid: map[[32]byte]uint64{}, refuses: map[[32]byte]bool{}},
		journal:  &journal{},
		stakes:   &stakes{left: map[string]uint64{}, until: map[string]time.Time{}},
		purse:    &purse{of: map[string]uint64{}},
	}
	for name, power := range w.set {
		w.stakes.left[name] = uint64(power) * 1_000_000
	}
	w.ctx = testutil.DefaultContextWithKeys(map[string]*storetypes.KVStoreKey{ModuleName: key}, nil, nil).
		WithBlockTime(time.Unix(1_800_000_000, 0)).WithBlockHeight(1).WithChainID(testChain)
	w.cdc = codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
	var err error
	w.Keeper, err = NewKeeper(Config{
		Codec: w.cdc, Store: runtime.NewKVStoreService(key), Logger: log.NewNopLogger(), Authority: "gov",
		Accounts: address.NewBech32Codec(chain.Prefix), Operators: address.NewBech32Codec(chain.Prefix + "valoper"),
		Validators: w.set, Heads: w.holds, Prover: hashProver{}, Budget: w.treasury, Payouts: w.treasury,
		Stakes: w.stakes, Bank: w.purse, Community: w.purse,
	})
	w.must(err)
	w.SetHooks(w.journal)
	w.msgs, w.asks = NewMsgServer(w.Keeper), NewQueryServer(w.Keeper)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// refused checks that err is the wanted refusal and says why.
func (w *world) refused(err, want error, words string) {
	w.t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		w.t.Fatalf("got %v, want %v with %q", err, want, words)
	}
}

// block starts a block after some seconds.
func (w *world) block(seconds int) {
	w.t.Helper()
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(time.Duration(seconds) * time.Second)).WithBlockHeight(w.ctx.BlockHeight() + 1)
	w.must(w.BeginBlock(w.ctx))
}

// try runs a message as a transaction: what fails leaves no trace.
func (w *world) try(f func(ctx context.Context) error) error {
	w.t.Helper()
	cached, write := w.ctx.CacheContext()
	err := f(cached)
	if err == nil {
		write()
	}
	return err
}

func (w *world) epoch() oraclepb.Epoch {
	w.t.Helper()
	e, err := w.current(w.ctx)
	w.must(err)
	return e
}

// nextEpoch runs blocks of ten seconds until another epoch has begun.
func (w *world) nextEpoch() {
	w.t.Helper()
	for n := w.epoch().Number; w.epoch().Number == n; {
		w.block(10)
	}
}

func (w *world) register(name string) error {
	k := secret(name)
	public := k.Public()
	proof, err := k.Prove(testChain, operator(name))
	w.must(err)
	return w.try(func(ctx context.Context) error {
		_, err := w.msgs.RegisterKey(ctx, &oraclepb.MsgRegisterKey{Validator: valoper(name), PublicKey: public[:], Possession: proof[:]})
		return err
	})
}

func (w *world) reveal(name string) error {
	epoch := w.epoch().Number
	signature := secret(name).Sign(testChain, epoch)
	return w.try(func(ctx context.Context) error {
		_, err := w.msgs.Reveal(ctx, &oraclepb.MsgReveal{Validator: valoper(name), Epoch: epoch, Signature: signature[:]})
		return err
	})
}

// start opens the first epoch, registers everybody and goes to the second.
func (w *world) start() {
	w.t.Helper()
	w.block(1)
	for _, name := range []string{"big", "mid", "small"} {
		w.must(w.register(name))
	}
	w.nextEpoch()
}

// decide has everybody reveal.
func (w *world) decide() {
	w.t.Helper()
	for _, name := range []string{"big", "mid", "small"} {
		w.must(w.reveal(name))
	}
}

// hold gives a device n heads.
func (w *world) hold(device [32]byte, n int) {
	for i := range n {
		w.holds.heads[device] = append(w.holds.heads[device], Head{Lease: [32]byte{byte(n - i)}, Root: [32]byte{device[0], byte(i)}, Units: uint64(1000 * (i + 1))})
	}
}

// answers are right for the current epoch.
func (w *world) answers(device [32]byte) (proofs [][]byte) {
	w.t.Helper()
	heads, challenges, err := w.challenges(w.ctx, device, w.epoch())
	w.must(err)
	for _, ch := range challenges {
		proofs = append(proofs, answer(heads[ch.Head], ch))
	}
	return proofs
}

func (w *world) prove(device [32]byte, epoch uint64, proofs [][]byte) error {
	return w.try(func(ctx context.Context) error {
		_, err := w.msgs.Prove(ctx, &oraclepb.MsgProve{Signer: account("anybody"), Device: device[:], Epoch: epoch, Proofs: proofs})
		return err
	})
}
