package app

import (
	"context"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/key"
)

const anteChain = "ante-1"

// signatures counts how often the SDK's check verifies them.
type signatures struct {
	sdk.AnteDecorator
	verified int
}

func (s *signatures) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if ctx.IsSigverifyTx() {
		s.verified++
	}
	return s.AnteDecorator.AnteHandle(ctx, tx, simulate, next)
}

// anteWorld is one account and the check of its signatures.
type anteWorld struct {
	*App
	ctx     sdk.Context
	signer  key.Key
	check   verifyOnce
	counted *signatures
}

func newAnteWorld(t *testing.T) *anteWorld {
	t.Helper()
	a, err := New(log.NewNopLogger(), dbm.NewMemDB(), anteChain, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	w := &anteWorld{App: a, signer: key.New()}
	//nolint:staticcheck // the only context that writes straight through; a block would need a validator
	w.ctx = a.NewUncachedContext(false, cmtproto.Header{ChainID: anteChain, Height: 5, Time: time.Unix(1_700_000_000, 0)}).WithIsSigverifyTx(true)
	if err := a.Standard.Account.Params.Set(w.ctx, authtypes.DefaultParams()); err != nil {
		t.Fatal(err)
	}
	w.set(3, w.signer)
	w.counted = &signatures{AnteDecorator: ante.NewSigVerificationDecorator(a.Standard.Account, a.Tx.SignModeHandler())}
	w.check = verifyOnce{w.counted, a.Standard.Account, &recent{}}
	return w
}

// set writes the account with a number and the public key of k.
func (w *anteWorld) set(number uint64, k key.Key) {
	w.Standard.Account.SetAccount(w.ctx, authtypes.NewBaseAccount(w.signer.Address(), k.Public(), number, 0))
}

// tx signs a transfer of an amount as account 3.
func (w *anteWorld) tx(t *testing.T, amount int64) (raw []byte) {
	t.Helper()
	b := w.Tx.NewTxBuilder()
	coins := sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, amount))
	if err := b.SetMsgs(banktypes.NewMsgSend(w.signer.Address(), key.New().Address(), coins)); err != nil {
		t.Fatal(err)
	}
	b.SetGasLimit(100_000)
	if err := w.Sign(context.Background(), b, encoding.Signer{Key: w.signer, ChainID: anteChain, AccountNumber: 3}); err != nil {
		t.Fatal(err)
	}
	raw, err := w.Tx.TxEncoder()(b.GetTx())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// run checks the transaction in a mode and returns the gas it took.
func (w *anteWorld) run(t *testing.T, mode sdk.ExecMode, raw []byte) (gas uint64, err error) {
	t.Helper()
	tx, err := w.Tx.TxDecoder()(raw)
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := w.ctx.CacheContext()
	ctx = ctx.WithTxBytes(raw).WithExecMode(mode).WithGasMeter(storetypes.NewInfiniteGasMeter())
	last, err := w.check.AnteHandle(ctx, tx, false, func(ctx sdk.Context, _ sdk.Tx, _ bool) (sdk.Context, error) { return ctx, nil })
	if err == nil && !last.IsSigverifyTx() {
		t.Fatal("what follows is told not to verify signatures")
	}
	return ctx.GasMeter().GasConsumed(), err
}

func TestSignaturesAreVerifiedOnce(t *testing.T) {
	w := newAnteWorld(t)
	raw := w.tx(t, 1)
	before, err := w.run(t, sdk.ExecModeFinalize, raw) // as a node that never had it in its pool
	if err != nil || w.counted.verified != 1 {
		t.Fatalf("block without pool: %d verified, %v", w.counted.verified, err)
	}
	if _, err := w.run(t, sdk.ExecModeCheck, raw); err != nil || w.counted.verified != 2 {
		t.Fatalf("pool: %d verified, %v", w.counted.verified, err)
	}
	after, err := w.run(t, sdk.ExecModeFinalize, raw)
	if err != nil || w.counted.verified != 2 {
		t.Fatalf("block after pool: %d verified, want none more: %v", w.counted.verified, err)
	}
	if before != after {
		t.Fatalf("gas is %d after the pool and %d without", after, before)
	}
	if _, err := w.run(t, sdk.ExecModeFinalize, raw); err != nil || w.counted.verified != 3 {
		t.Fatalf("once more: %d verified, want it forgotten: %v", w.counted.verified, err)
	}
}

// What was verified helps nothing but the same transaction of the same account.
func TestVerifiedSignaturesDoNotHelpOthers(t *testing.T) {
	for name, change := range map[string]func(w *anteWorld, raw []byte) []byte{
		"a signature with a bit turned": func(_ *anteWorld, raw []byte) []byte {
			raw[len(raw)-1] ^= 1
			return raw
		},
		"another public key": func(w *anteWorld, raw []byte) []byte {
			w.set(3, key.New())
			return raw
		},
		"another account number": func(w *anteWorld, raw []byte) []byte {
			w.set(4, w.signer)
			return raw
		},
		"another chain": func(w *anteWorld, raw []byte) []byte {
			w.ctx = w.ctx.WithChainID("ante-2")
			return raw
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAnteWorld(t)
			raw := w.tx(t, 1)
			if _, err := w.run(t, sdk.ExecModeCheck, raw); err != nil {
				t.Fatal(err)
			}
			raw = change(w, append([]byte(nil), raw...))
			if _, err := w.run(t, sdk.ExecModeFinalize, raw); err == nil {
				t.Fatal("the block accepts it")
			}
			if _, err := w.run(t, sdk.ExecModeCheck, raw); err == nil {
				t.Fatal("the pool accepts it")
			}
			if _, err := w.run(t, sdk.ExecModeFinalize, raw); err == nil {
				t.Fatal("the block accepts it after the pool refused it")
			}
		})
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	var r recent
	name := func(i int) (key [32]byte) { return [32]byte{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 2*recentSize + 1 {
		r.add(name(i))
	}
	if r.take(name(0)) {
		t.Fatal("the first of three generations is known")
	}
	for i := recentSize; i <= 2*recentSize; i++ {
		if !r.take(name(i)) || r.take(name(i)) {
			t.Fatalf("key %d of the last two generations is not known exactly once", i)
		}
	}
	if len(r.new)+len(r.old) != 0 {
		t.Fatalf("%d keys are left", len(r.new)+len(r.old))
	}
}
