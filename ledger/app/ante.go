package app

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
)

// anteHandler is the SDK's own chain of checks, except that a signature which was
// verified for the pool is not verified again for the block.
func (a *App) anteHandler() sdk.AnteHandler {
	k := a.Standard
	return sdk.ChainAnteDecorators(
		ante.NewSetUpContextDecorator(),
		ante.NewExtensionOptionsDecorator(nil),
		ante.NewValidateBasicDecorator(),
		ante.NewTxTimeoutHeightDecorator(),
		ante.NewValidateMemoDecorator(k.Account),
		ante.NewConsumeGasForTxSizeDecorator(k.Account),
		ante.NewDeductFeeDecorator(k.Account, k.Bank, k.FeeGrant, nil),
		ante.NewSetPubKeyDecorator(k.Account),
		ante.NewValidateSigCountDecorator(k.Account),
		ante.NewSigGasConsumeDecorator(k.Account, ante.DefaultSigVerificationGasConsumer),
		verifyOnce{ante.NewSigVerificationDecorator(k.Account, a.Tx.SignModeHandler()), k.Account, &recent{}},
		ante.NewIncrementSequenceDecorator(k.Account),
	)
}

// verifyOnce remembers which transactions passed the pool's check of signatures
// and spares the block that part of the same check; sequences and timeouts are
// looked at each time. Whether a signature is good depends on nothing but what
// the memory's key holds, so that a node that remembers and one that does not
// come to the same result, with the same gas.
type verifyOnce struct {
	check    sdk.AnteDecorator
	accounts ante.AccountKeeper
	verified *recent
}

// AnteHandle checks the signatures of tx.
func (d verifyOnce) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	mode := ctx.ExecMode()
	if simulate || !ctx.IsSigverifyTx() || mode != sdk.ExecModeCheck && mode != sdk.ExecModeFinalize {
		return d.check.AnteHandle(ctx, tx, simulate, next)
	}
	key, ok := d.key(ctx, tx)
	switch {
	case !ok:
		return d.check.AnteHandle(ctx, tx, simulate, next)
	case mode == sdk.ExecModeCheck:
		return d.check.AnteHandle(ctx, tx, simulate, func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
			d.verified.add(key)
			return next(ctx, tx, simulate)
		})
	}
	return d.check.AnteHandle(ctx.WithIsSigverifyTx(!d.verified.take(key)), tx, simulate, func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
		return next(ctx.WithIsSigverifyTx(true), tx, simulate)
	})
}

// key is a hash of all that the verification reads: the transaction with its
// signatures, the chain, and each signer's number and public key in the state.
// It costs no gas. It is false for what is not an ordinary transaction.
func (d verifyOnce) key(ctx sdk.Context, tx sdk.Tx) (key [32]byte, ok bool) {
	signed, ok := tx.(authsigning.SigVerifiableTx)
	if !ok || len(ctx.TxBytes()) == 0 || ctx.BlockHeight() == 0 { // genesis signs with number 0
		return key, false
	}
	signers, err := signed.GetSigners()
	if err != nil {
		return key, false
	}
	free := ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	part(ctx.TxBytes())
	part([]byte(ctx.ChainID()))
	for _, signer := range signers {
		account := d.accounts.GetAccount(free, signer)
		if account == nil || account.GetPubKey() == nil {
			return key, false
		}
		part(binary.BigEndian.AppendUint64(nil, account.GetAccountNumber()))
		part([]byte(account.GetPubKey().Type()))
		part(account.GetPubKey().Bytes())
	}
	h.Sum(key[:0])
	return key, true
}

// recentSize is how many keys a generation holds; the pool holds 5,000
// transactions.
const recentSize = 10_000

// recent remembers keys until they are taken, the last recentSize at least and
// twice as many at most. The zero value is empty.
type recent struct {
	mu       sync.Mutex
	new, old map[[32]byte]struct{}
}

func (r *recent) add(key [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.new == nil || len(r.new) >= recentSize {
		r.new, r.old = make(map[[32]byte]struct{}), r.new
	}
	r.new[key] = struct{}{}
}

// take forgets a key and reports whether it was known.
func (r *recent) take(key [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, young := r.new[key]
	_, known := r.old[key]
	delete(r.new, key)
	delete(r.old, key)
	return young || known
}
