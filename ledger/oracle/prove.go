package oracle

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Gas of checking one answer, besides what its bytes cost in the transaction:
// a few dozen hashes.
const gasPerProof = 5_000

// Prove records that a device answered all its challenges of the current epoch.
func (m msgServer) Prove(ctx context.Context, msg *oraclepb.MsgProve) (*oraclepb.MsgProveResponse, error) {
	if _, err := m.accounts.StringToBytes(msg.Signer); err != nil {
		return nil, ErrInvalid.Wrapf("signer: %v", err)
	}
	device, err := bytes32("device", msg.Device)
	if err != nil {
		return nil, err
	}
	e, err := m.provable(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if done, err := m.ProofOf.Has(ctx, collections.Join(msg.Device, e.Number)); err != nil {
		return nil, err
	} else if done {
		return nil, ErrDone.Wrapf("device %x has proven epoch %d", device, e.Number)
	}
	heads, challenges, err := m.challenges(ctx, device, e)
	if err != nil {
		return nil, err
	}
	if len(challenges) == 0 {
		return nil, ErrNothing.Wrapf("device %x, epoch %d", device, e.Number)
	}
	size, err := m.checkProofs(ctx, heads, challenges, msg.Proofs)
	if err != nil {
		return nil, err
	}
	p, err := m.recordProof(ctx, msg, heads, len(challenges), size)
	if err != nil {
		return nil, err
	}
	emit(ctx, EventProof, "device", hex.EncodeToString(msg.Device), "epoch", number(e.Number), "sequence", number(p.Sequence),
		"units", number(p.Units), "size", number(p.Size_), "challenges", number(p.Challenges))
	return &oraclepb.MsgProveResponse{Sequence: p.Sequence}, nil
}

// provable is the current epoch, if that is the one asked for and has a seed.
func (k *Keeper) provable(ctx context.Context, epoch uint64) (oraclepb.Epoch, error) {
	e, err := k.current(ctx)
	if err != nil {
		return e, err
	}
	switch {
	case epoch > e.Number:
		return e, ErrTooEarly.Wrapf("proof for epoch %d in epoch %d", epoch, e.Number)
	case epoch < e.Number:
		return e, ErrTooLate.Wrapf("proof for epoch %d in epoch %d", epoch, e.Number)
	case e.Status == oraclepb.EPOCH_STATUS_NEUTRAL:
		return e, ErrNeutral.Wrapf("epoch %d", e.Number)
	case e.Status != oraclepb.EPOCH_STATUS_DECIDED:
		return e, ErrTooEarly.Wrapf("the seed of epoch %d is not known yet", e.Number)
	}
	return e, nil
}

// challenges draws what a device must answer in an epoch whose seed is known.
func (k *Keeper) challenges(ctx context.Context, device [32]byte, e oraclepb.Epoch) ([]Head, []Challenge, error) {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	heads, err := k.heads.HeadsAt(ctx, device, e.Number)
	if err != nil {
		return nil, nil, err
	}
	heads = slices.DeleteFunc(slices.Clone(heads), func(h Head) bool { return h.Units == 0 })
	slices.SortFunc(heads, func(a, b Head) int { return bytes.Compare(a.Lease[:], b.Lease[:]) })
	if len(heads) == 0 {
		return nil, nil, nil
	}
	return heads, k.prover.Challenges([32]byte(e.Seed), device, heads, int(params.Challenges)), nil
}

// checkProofs verifies every answer and returns their bytes.
func (k *Keeper) checkProofs(ctx context.Context, heads []Head, challenges []Challenge, proofs [][]byte) (size uint64, err error) {
	if len(proofs) != len(challenges) {
		return 0, ErrCount.Wrapf("%d proofs for %d challenges", len(proofs), len(challenges))
	}
	gas := sdk.UnwrapSDKContext(ctx).GasMeter()
	for i, ch := range challenges {
		if len(proofs[i]) > MaxProofSize {
			return 0, ErrInvalid.Wrapf("proof %d has %d bytes, at most %d are allowed", i, len(proofs[i]), MaxProofSize)
		}
		if ch.Head < 0 || ch.Head >= len(heads) {
			return 0, ErrInvalid.Wrapf("challenge %d names head %d of %d", i, ch.Head, len(heads))
		}
		gas.ConsumeGas(gasPerProof, "check proof")
		if err := k.prover.Verify(heads[ch.Head], ch, proofs[i]); err != nil {
			return 0, ErrProof.Wrapf("proof %d of lease %x at offset %d: %v", i, heads[ch.Head].Lease, ch.Offset, err)
		}
		size += uint64(len(proofs[i]))
	}
	return size, nil
}

func (k *Keeper) recordProof(ctx context.Context, msg *oraclepb.MsgProve, heads []Head, challenges int, size uint64) (oraclepb.Proof, error) {
	last, err := k.LastProof.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return oraclepb.Proof{}, err
	}
	time, height := now(ctx)
	p := oraclepb.Proof{
		Sequence: last + 1, Epoch: msg.Epoch, Device: msg.Device, Signer: msg.Signer,
		Height: height, Time: time, Challenges: uint32(challenges), Size_: size,
	}
	for _, h := range heads {
		p.Units += h.Units
	}
	if err := k.LastProof.Set(ctx, p.Sequence); err != nil {
		return oraclepb.Proof{}, err
	}
	if err := k.ProofOf.Set(ctx, collections.Join(msg.Device, msg.Epoch), p.Sequence); err != nil {
		return oraclepb.Proof{}, err
	}
	return p, k.Proofs.Set(ctx, p.Sequence, p)
}
