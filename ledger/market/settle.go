package market

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Gas of one settled item: two ed25519 signatures checked in a batch, about a
// third of what the SDK charges for checking them one by one, and its storage.
const gasPerItem = 2_500

// Settle hands in receipts and commitments of any leases. The signatures are
// checked in one batch before anything is applied.
func (m msgServer) Settle(ctx context.Context, msg *marketpb.MsgSettle) (*marketpb.MsgSettleResponse, error) {
	params, err := m.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	n := len(msg.Receipts) + len(msg.Commitments) + len(msg.Statements) + len(msg.Leaves)
	for _, d := range msg.Disputes {
		n += max(1, len(d.Receipts))
	}
	if n == 0 {
		return nil, errorsmod.Wrap(ErrInvalid, "nothing to settle: hand in a receipt, a commitment, a statement, a leaf or a dispute")
	}
	if n > int(params.MaxSettleItems) {
		return nil, errorsmod.Wrapf(ErrTooMany, "%d items, at most %d are allowed: send several messages", n, params.MaxSettleItems)
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(uint64(n)*gasPerItem, "settled items")
	s := settling{keeper: m.Keeper, signer: msg.Signer, rules: m.rules(params), batch: receipt.NewBatch(receipt.ChainOf(sdkCtx.ChainID()), n)}
	if err := s.read(ctx, msg); err != nil {
		return nil, err
	}
	for i, err := range s.batch.Verify() {
		if err != nil {
			return nil, errorsmod.Wrapf(ErrSignature, "%s: %v", s.name(i), err)
		}
	}
	if s.epoch, err = m.epochs.CurrentEpoch(ctx); err != nil {
		return nil, err
	}
	paid, err := s.apply(ctx)
	if err != nil {
		return nil, err
	}
	standing, err := s.applyStanding(ctx, msg)
	return &marketpb.MsgSettleResponse{Paid: uint64(paid + standing)}, err
}

// settling is one Settle under way. Leases are kept in the order of their first
// mention, so that nothing depends on the order of a map.
type settling struct {
	keeper      *Keeper
	signer      string
	rules       lease.Rules
	epoch       uint64
	batch       *receipt.Batch
	receipts    []receipt.Receipt
	commitments []receipt.Commitment
	leases      []lease.Lease
	device      [][32]byte // public key of the provider, for each lease
	standings   []lease.Standing
	contests    []contest
}

func (s *settling) name(i int) string {
	if i < len(s.receipts) {
		return fmt.Sprintf("receipt %d", i)
	}
	if i -= len(s.receipts); i < len(s.commitments) {
		return fmt.Sprintf("commitment %d", i)
	}
	i -= len(s.commitments)
	for n, c := range s.contests {
		if i < len(c.claims) {
			return fmt.Sprintf("dispute %d, receipt %d", n, i)
		}
		i -= len(c.claims)
	}
	return "signature"
}

// lease finds or loads a lease and returns its place in s.leases.
func (s *settling) lease(ctx context.Context, id [32]byte) (int, error) {
	if at := slices.IndexFunc(s.leases, func(l lease.Lease) bool { return l.ID == id }); at >= 0 {
		return at, nil
	}
	l, err := s.keeper.load(ctx, id[:])
	if err != nil {
		return 0, err
	}
	info, err := s.keeper.devices.Info(ctx, l.Device)
	if err != nil {
		return 0, err
	}
	s.leases, s.device = append(s.leases, l), append(s.device, info.Key)
	return len(s.leases) - 1, nil
}

// read decodes every item and adds its signatures to the batch.
func (s *settling) read(ctx context.Context, msg *marketpb.MsgSettle) error {
	for i, wire := range msg.Receipts {
		r, err := receipt.Decode(wire)
		if err != nil {
			return errorsmod.Wrapf(ErrInvalid, "receipt %d: %v", i, err)
		}
		at, err := s.lease(ctx, r.Lease)
		if err != nil {
			return errorsmod.Wrapf(err, "receipt %d", i)
		}
		lane, ok := s.leases[at].Lane(r.Lane)
		if !ok {
			return errorsmod.Wrapf(ErrNotFound, "receipt %d: lease %x has no lane %d", i, r.Lease[:8], r.Lane)
		}
		s.receipts = append(s.receipts, r)
		s.batch.Receipt(r, lane.Key, s.device[at])
	}
	for i, wire := range msg.Commitments {
		c, err := receipt.DecodeCommitment(wire)
		if err != nil {
			return errorsmod.Wrapf(ErrInvalid, "commitment %d: %v", i, err)
		}
		at, err := s.lease(ctx, c.Lease)
		if err != nil {
			return errorsmod.Wrapf(err, "commitment %d", i)
		}
		s.commitments = append(s.commitments, c)
		s.batch.Commitment(c, s.leases[at].Lanes[0].Key, s.device[at])
	}
	for i, d := range msg.Disputes {
		if err := s.readDispute(ctx, d); err != nil {
			return errorsmod.Wrapf(err, "dispute %d", i)
		}
	}
	return nil
}

// apply lets the leases take the verified items, pays, and stores them.
func (s *settling) apply(ctx context.Context) (total money.Credit, err error) {
	for i, c := range s.commitments {
		at, _ := s.lease(ctx, c.Lease)
		s.leases[at], err = s.leases[at].Commit(lease.Commitment{Revision: c.Revision, Root: c.Root, Units: c.Units}, s.epoch)
		if err != nil {
			return 0, errorsmod.Wrapf(ErrState, "commitment %d: %v", i, err)
		}
	}
	for i, r := range s.receipts {
		paid, err := s.claim(ctx, r)
		if err != nil {
			return 0, errorsmod.Wrapf(err, "receipt %d", i)
		}
		total += paid
	}
	for _, l := range s.leases {
		if err := s.keeper.store(ctx, l); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// claim pays what one receipt adds to its lane.
func (s *settling) claim(ctx context.Context, r receipt.Receipt) (money.Credit, error) {
	at, _ := s.lease(ctx, r.Lease)
	l := s.leases[at]
	before, _ := l.Lane(r.Lane)
	next, paid, err := l.Claim(lease.Claim{Lane: r.Lane, Seq: r.Seq, Units: r.Units, Epoch: r.Epoch}, s.epoch)
	if err != nil {
		return 0, errorsmod.Wrap(ErrState, err.Error())
	}
	after, _ := next.Lane(r.Lane)
	if after.Seq == before.Seq {
		return 0, nil
	}
	net, burned, err := s.keeper.pay(ctx, l.Device, l.ID, paid)
	if err != nil {
		return 0, err
	}
	s.leases[at] = next
	err = s.keeper.addUsage(ctx, s.epoch, l.Device, l.Kind, func(u *marketpb.Usage) {
		u.UsePaid += uint64(paid)
		u.Burned += uint64(burned)
		u.Net += uint64(net)
	})
	if err != nil {
		return 0, err
	}
	err = s.keeper.addLeaseEpoch(ctx, s.epoch, l.Device, l.ID, func(e *marketpb.LeaseEpoch) {
		e.UnitsUsed += after.Units - before.Units
		e.UsePaid += uint64(paid)
		e.Take += uint64(paid - net)
		e.Net += uint64(net)
	})
	emit(ctx, EventSettle, "lease", hex.EncodeToString(l.ID[:]), "device", hex.EncodeToString(l.Device[:]),
		"lane", number(r.Lane), "units", number(after.Units), "paid", number(paid), "net", number(net))
	return paid, err
}

// Head is what a device must be able to prove for one lease in an epoch.
type Head struct {
	Lease [32]byte
	Root  [32]byte
	Units uint64
}

// HeadsAt lists what a device holds in an epoch that is not over, by lease id.
func (k *Keeper) HeadsAt(ctx context.Context, device [32]byte, epoch uint64) ([]Head, error) {
	ids, err := k.leasesOf(ctx, device)
	if err != nil {
		return nil, err
	}
	var heads []Head
	for _, id := range ids {
		l, err := k.load(ctx, id)
		if err != nil {
			return nil, err
		}
		head := l.HeadAt(epoch)
		if head.Units == 0 || (l.HoldEnd != 0 && epoch > l.HoldEnd) {
			continue
		}
		heads = append(heads, Head{Lease: l.ID, Root: head.Root, Units: head.Units})
	}
	return heads, nil
}

// leasesOf lists the leases of a device that are not closed, by id.
func (k *Keeper) leasesOf(ctx context.Context, device [32]byte) ([][]byte, error) {
	it, err := k.ByDevice.Iterate(ctx, pairPrefix(device[:]))
	if err != nil {
		return nil, err
	}
	keys, err := it.Keys()
	if err != nil {
		return nil, err
	}
	ids := make([][]byte, 0, len(keys))
	for _, key := range keys {
		ids = append(ids, bytes.Clone(key.K2()))
	}
	return ids, nil
}
