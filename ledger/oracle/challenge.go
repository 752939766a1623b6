package oracle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"cosmossdk.io/collections"
	sdkmath "cosmossdk.io/math"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// errNoFraud is evidence that reads well and shows nothing.
var errNoFraud = errors.New("no fraud")

// Challenge refutes an accepted report that is not payable yet, if the evidence
// shows what is wrong with it: the report is gone, everybody who voted for it is
// fined, and the challenger gets a part of the fines. Evidence that shows
// nothing costs the deposit, so that too is no error: an error would give it back.
func (m msgServer) Challenge(ctx context.Context, msg *oraclepb.MsgChallenge) (*oraclepb.MsgChallengeResponse, error) {
	challenger, err := m.accounts.StringToBytes(msg.Challenger)
	if err != nil {
		return nil, ErrInvalid.Wrapf("challenger: %v", err)
	}
	r, err := m.challengeable(ctx, msg)
	if err != nil {
		return nil, err
	}
	evidence, err := readEvidence(msg)
	if err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	params, err := m.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.takeDeposit(ctx, challenger, params.ChallengeDeposit); err != nil {
		return nil, err
	}
	gas := sdk.UnwrapSDKContext(ctx).GasMeter()
	gas.ConsumeGas(gasPerClaim*uint64(1+len(evidence.leaves)), "check evidence")
	reason, err := evidence.show(r, func(device [32]byte) (uint64, error) { return m.paidBefore(ctx, r, device) })
	if errors.Is(err, errNoFraud) {
		reason = err.Error()
		emitChallenge(ctx, msg, "false", reason)
		return &oraclepb.MsgChallengeResponse{Reason: reason}, m.forfeitDeposit(ctx, params.ChallengeDeposit)
	}
	if err != nil {
		return nil, err
	}
	emitChallenge(ctx, msg, "true", reason)
	reward, err := m.refute(unmetered(ctx), r, msg, reason, params)
	if err != nil {
		return nil, err
	}
	return &oraclepb.MsgChallengeResponse{Proven: true, Reason: reason, Reward: uint64(reward)},
		m.payChallenger(ctx, challenger, params.ChallengeDeposit, uint64(reward))
}

// challengeable is the accepted report a challenge is about, while its window is open.
func (k *Keeper) challengeable(ctx context.Context, msg *oraclepb.MsgChallenge) (oraclepb.Report, error) {
	r, found, err := k.report(ctx, msg.Vertical, msg.Epoch)
	if err != nil {
		return r, err
	}
	if !found {
		return r, ErrNotFound.Wrapf("no report of %q is accepted for epoch %d", msg.Vertical, msg.Epoch)
	}
	current, err := k.CurrentEpoch(ctx)
	if err != nil {
		return r, err
	}
	if current >= r.PayableEpoch {
		return r, ErrTooLate.Wrapf("report of %s, epoch %d is payable since epoch %d", msg.Vertical, msg.Epoch, r.PayableEpoch)
	}
	return r, nil
}

// placed is a leaf and where it is said to be.
type placed struct {
	merkle.SumLeaf
	proof merkle.SumProof
}

// evidence is a challenge, decoded.
type evidence struct {
	fraud  oraclepb.Fraud
	leaves []placed
	device [32]byte
	trace  merkle.SumTrace
}

// readEvidence decodes what the kind of fraud needs and refuses anything else.
func readEvidence(msg *oraclepb.MsgChallenge) (e evidence, err error) {
	e.fraud = msg.Fraud
	least, most := 1, 1
	switch msg.Fraud {
	case oraclepb.FRAUD_ORDER:
		least, most = 2, 2
	case oraclepb.FRAUD_MISSING:
		most = 2
		if e.device, err = bytes32("device", msg.Device); err != nil {
			return e, err
		}
	case oraclepb.FRAUD_SUM:
		if e.trace, err = merkle.DecodeSumTrace(msg.Trace); err != nil {
			return e, err
		}
	case oraclepb.FRAUD_FALLING:
	default:
		return e, fmt.Errorf("fraud %d is unknown", msg.Fraud)
	}
	if n := len(msg.Leaves); n < least || n > most {
		return e, fmt.Errorf("%d leaves, %s takes %d to %d", n, msg.Fraud, least, most)
	}
	for _, l := range msg.Leaves {
		p := placed{SumLeaf: merkle.SumLeaf{Amount: l.Lifetime}}
		if p.Key, err = bytes32("device", l.Device); err != nil {
			return e, err
		}
		if msg.Fraud != oraclepb.FRAUD_SUM {
			if p.proof, err = merkle.DecodeSumProof(l.Proof); err != nil {
				return e, err
			}
		}
		e.leaves = append(e.leaves, p)
	}
	return e, nil
}

// Examine says what a challenge shows of an accepted report, exactly as the
// ledger does when it is sent, or returns an error. paid is what a device was
// paid for the report's vertical so far, in ugrain; it fails when a report of a
// later epoch is payable, whose payments prove nothing.
func Examine(r oraclepb.Report, msg *oraclepb.MsgChallenge, paid func(device [32]byte) (uint64, error)) (reason string, err error) {
	e, err := readEvidence(msg)
	if err != nil {
		return "", ErrInvalid.Wrap(err.Error())
	}
	return e.show(r, paid)
}

// show says what the evidence shows, or returns errNoFraud.
func (e evidence) show(r oraclepb.Report, paid func(device [32]byte) (uint64, error)) (string, error) {
	if e.fraud == oraclepb.FRAUD_SUM {
		return wrongSum(r, e)
	}
	for _, l := range e.leaves {
		if _, err := l.proof.Verify(rootOf(r), l.SumLeaf); err != nil {
			return "", fmt.Errorf("%w: %w", errNoFraud, err)
		}
	}
	device, lifetime := e.leaves[0].Key, e.leaves[0].Amount
	switch e.fraud {
	case oraclepb.FRAUD_ORDER:
		return outOfOrder(e)
	case oraclepb.FRAUD_MISSING:
		if err := absent(e, r.Content.Leaves); err != nil {
			return "", err
		}
		device, lifetime = e.device, 0
	}
	was, err := paid(device)
	if err != nil {
		return "", err
	}
	if was <= lifetime {
		return "", fmt.Errorf("%w: device %x has %d and was paid %d", errNoFraud, device, lifetime, was)
	}
	return fmt.Sprintf("device %x has %d and was paid %d", device, lifetime, was), nil
}

func rootOf(r oraclepb.Report) merkle.SumRoot {
	return merkle.SumRoot{Hash: merkle.Hash(r.Content.RewardRoot), Size: r.Content.Leaves, Total: r.Content.Total}
}

func wrongSum(r oraclepb.Report, e evidence) (string, error) {
	root := rootOf(r)
	full, fault, err := e.trace.Verify(root.Hash, e.leaves[0].SumLeaf)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", errNoFraud, err)
	case fault != nil:
		return fault.Error(), nil
	case full != root:
		return fmt.Sprintf("root %x has %d leaves with total %d, reported are %d with %d", root.Hash[:8], full.Size, full.Total, root.Size, root.Total), nil
	}
	return "", fmt.Errorf("%w: the sums above leaf %d add up", errNoFraud, e.trace.Index)
}

func outOfOrder(e evidence) (string, error) {
	a, b := e.leaves[0], e.leaves[1]
	if a.proof.Index >= b.proof.Index || bytes.Compare(a.Key[:], b.Key[:]) < 0 {
		return "", fmt.Errorf("%w: leaf %d of %x and leaf %d of %x may both be there", errNoFraud, a.proof.Index, a.Key[:8], b.proof.Index, b.Key[:8])
	}
	return fmt.Sprintf("leaf %d is of device %x, leaf %d of %x", a.proof.Index, a.Key, b.proof.Index, b.Key), nil
}

// absent checks that the leaves are the two between which the device would be,
// or the one at the end beyond which it would be.
func absent(e evidence, size uint64) error {
	first, last := e.leaves[0], e.leaves[len(e.leaves)-1]
	after := bytes.Compare(first.Key[:], e.device[:]) < 0 // the device comes after the first leaf
	before := bytes.Compare(e.device[:], last.Key[:]) < 0
	switch {
	case len(e.leaves) == 2 && first.proof.Index+1 == last.proof.Index && after && before,
		len(e.leaves) == 1 && first.proof.Index == 0 && before,
		len(e.leaves) == 1 && last.proof.Index+1 == size && after:
		return nil
	}
	return fmt.Errorf("%w: the leaves are not the neighbours of device %x", errNoFraud, e.device)
}

// paidBefore is what a device was paid. Lifetimes never fall, so no later report
// can pay what this one does not owe any more; what was paid by a later report
// proves nothing about this one.
func (k *Keeper) paidBefore(ctx context.Context, r oraclepb.Report, device [32]byte) (uint64, error) {
	current, err := k.CurrentEpoch(ctx)
	if err != nil {
		return 0, err
	}
	later, found, err := k.newestReport(ctx, r.Vertical, func(o oraclepb.Report) bool { return o.PayableEpoch <= current })
	if err != nil {
		return 0, err
	}
	if found && later.Epoch > r.Epoch {
		return 0, fmt.Errorf("%w: the report of epoch %d is payable already", errNoFraud, later.Epoch)
	}
	return k.claimed(ctx, device[:], r.Vertical)
}

// refute removes a report, fines its voters and returns the challenger's reward.
func (k *Keeper) refute(ctx context.Context, r oraclepb.Report, msg *oraclepb.MsgChallenge, reason string, params oraclepb.Params) (money.Grain, error) {
	if err := k.Reports.Remove(ctx, collections.Join(r.Vertical, r.Epoch)); err != nil {
		return 0, err
	}
	votes, err := k.votes(ctx, r.Epoch, r.Vertical)
	if err != nil {
		return 0, err
	}
	var fined money.Grain
	for _, v := range votes {
		if !same(v.Content, r.Content) {
			continue
		}
		if err := k.conduct(ctx, v.operator, func(c *oraclepb.Conduct) { c.Refuted++ }); err != nil {
			return 0, err
		}
		burned, err := k.fine(ctx, v.operator, v.Vote, reasonFraud, params.FraudBps)
		if err != nil {
			return 0, err
		}
		if fined, err = money.Add(fined, burned); err != nil {
			return 0, err
		}
	}
	reward := money.Share(fined, money.BPS(params.ChallengerBps))
	_, height := now(ctx)
	return reward, k.Refutations.Set(ctx, collections.Join(r.Vertical, r.Epoch), oraclepb.Refutation{
		Epoch: r.Epoch, Vertical: r.Vertical, Content: r.Content, Fraud: msg.Fraud, Reason: reason,
		Challenger: msg.Challenger, Height: height, Fined: uint64(fined), Reward: uint64(reward),
	})
}

func (k *Keeper) takeDeposit(ctx context.Context, from sdk.AccAddress, ugrain uint64) error {
	if ugrain == 0 {
		return nil
	}
	if err := k.bank.SendCoinsFromAccountToModule(ctx, from, ModuleName, grains(ugrain)); err != nil {
		return ErrDeposit.Wrapf("a challenge takes %d ugrain, which come back if it is right: %v", ugrain, err)
	}
	return nil
}

func (k *Keeper) forfeitDeposit(ctx context.Context, ugrain uint64) error {
	if ugrain == 0 {
		return nil
	}
	return k.community.FundCommunityPool(ctx, grains(ugrain), authtypes.NewModuleAddress(ModuleName))
}

// payChallenger gives the deposit back and makes the reward anew: it is a part
// of what the fines have just burned.
func (k *Keeper) payChallenger(ctx context.Context, to sdk.AccAddress, deposit, reward uint64) error {
	if reward > 0 {
		if err := k.bank.MintCoins(ctx, ModuleName, grains(reward)); err != nil {
			return err
		}
	}
	if deposit+reward == 0 {
		return nil
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, to, grains(deposit).Add(grains(reward)...))
}

func grains(n uint64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(money.GrainDenom, sdkmath.NewIntFromUint64(n)))
}

func emitChallenge(ctx context.Context, msg *oraclepb.MsgChallenge, proven, reason string) {
	emit(ctx, EventChallenge, "vertical", msg.Vertical, "epoch", number(msg.Epoch), "challenger", msg.Challenger,
		"fraud", strings.ToLower(strings.TrimPrefix(msg.Fraud.String(), "FRAUD_")), "proven", proven, "reason", reason)
}
