package market

import (
	"context"
	"encoding/hex"
	"slices"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// contest is a dispute as it was handed in, its receipts in the batch.
type contest struct {
	standing [32]byte
	device   [32]byte
	claims   []lease.Claim
}

// standing finds or loads a standing lease and returns its place in s.standings.
func (s *settling) standing(ctx context.Context, id [32]byte) (int, error) {
	if at := slices.IndexFunc(s.standings, func(l lease.Standing) bool { return l.ID == id }); at >= 0 {
		return at, nil
	}
	l, err := s.keeper.standing(ctx, id[:])
	if err != nil {
		return 0, err
	}
	s.standings = append(s.standings, l)
	return len(s.standings) - 1, nil
}

// readDispute decodes the receipts of a dispute and adds them to the batch.
func (s *settling) readDispute(ctx context.Context, msg marketpb.DisputeItem) error {
	var c contest
	var err error
	if c.standing, err = bytes32("standing lease id", msg.Standing); err != nil {
		return errorsmod.Wrap(ErrInvalid, err.Error())
	}
	if c.device, err = bytes32("device id", msg.Device); err != nil {
		return errorsmod.Wrap(ErrInvalid, err.Error())
	}
	at, err := s.standing(ctx, c.standing)
	if err != nil {
		return err
	}
	info, err := s.keeper.devices.Info(ctx, c.device)
	if err != nil {
		return errorsmod.Wrapf(ErrNotFound, "device %x: %v", c.device[:8], err)
	}
	if !info.Ed25519 {
		return errorsmod.Wrapf(ErrDevice, "device %x signs no receipts: its key is not ed25519", c.device[:8])
	}
	account := lease.AccountID(c.standing, c.device)
	for i, wire := range msg.Receipts {
		r, err := receipt.Decode(wire)
		if err != nil {
			return errorsmod.Wrapf(ErrInvalid, "receipt %d: %v", i, err)
		}
		if r.Lease != account {
			return errorsmod.Wrapf(ErrInvalid, "receipt %d is of lease %x, device %x has %x under standing lease %x", i, r.Lease[:8], c.device[:8], account[:8], c.standing[:8])
		}
		lane, ok := s.standings[at].Lane(r.Lane)
		if !ok {
			return errorsmod.Wrapf(ErrNotFound, "receipt %d: standing lease %x has no lane %d", i, c.standing[:8], r.Lane)
		}
		s.batch.Receipt(r, lane.Key, info.Key)
		c.claims = append(c.claims, lease.Claim{Lane: r.Lane, Seq: r.Seq, Units: r.Units, Epoch: r.Epoch})
	}
	s.contests = append(s.contests, c)
	return nil
}

// applyStanding lets standing leases take statements, then leaves, then
// disputes, and stores them.
func (s *settling) applyStanding(ctx context.Context, msg *marketpb.MsgSettle) (total money.Credit, err error) {
	for i, st := range msg.Statements {
		if err := s.declare(ctx, st); err != nil {
			return 0, errorsmod.Wrapf(err, "statement %d", i)
		}
	}
	for i, leaf := range msg.Leaves {
		paid, err := s.collect(ctx, leaf)
		if err != nil {
			return 0, errorsmod.Wrapf(err, "leaf %d", i)
		}
		total += paid
	}
	for i, c := range s.contests {
		if err := s.contest(ctx, c); err != nil {
			return 0, errorsmod.Wrapf(err, "dispute %d", i)
		}
	}
	for _, l := range s.standings {
		if err := s.keeper.storeStanding(ctx, l); err != nil {
			return 0, err
		}
	}
	return total, nil
}

func (s *settling) declare(ctx context.Context, msg marketpb.StatementItem) error {
	id, err := bytes32("standing lease id", msg.Standing)
	if err != nil {
		return errorsmod.Wrap(ErrInvalid, err.Error())
	}
	root, err := bytes32("root", msg.Root)
	if err != nil {
		return errorsmod.Wrap(ErrInvalid, err.Error())
	}
	at, err := s.standing(ctx, id)
	if err != nil {
		return err
	}
	l := s.standings[at]
	if l.Payer != s.signer {
		return errorsmod.Wrapf(ErrNotYours, "standing lease %x belongs to %s: only its payer may state what it owes", id[:8], l.Payer)
	}
	l, err = l.Declare(lease.Statement{Epoch: msg.Epoch, Root: root, Size: msg.Size_, Total: msg.Total}, s.epoch)
	if err != nil {
		return errorsmod.Wrap(ErrState, err.Error())
	}
	s.standings[at] = l
	emit(ctx, EventStatement, "lease", hex.EncodeToString(id[:]), "epoch", number(msg.Epoch),
		"root", hex.EncodeToString(root[:]), "size", number(msg.Size_), "total", number(msg.Total))
	return nil
}

func (s *settling) collect(ctx context.Context, msg marketpb.LeafItem) (money.Credit, error) {
	id, err := bytes32("standing lease id", msg.Standing)
	if err != nil {
		return 0, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	device, err := bytes32("device id", msg.Device)
	if err != nil {
		return 0, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	proof, err := merkle.DecodeSumProof(msg.Proof)
	if err != nil {
		return 0, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	at, err := s.standing(ctx, id)
	if err != nil {
		return 0, err
	}
	before, err := s.keeper.account(ctx, id, device)
	if err != nil {
		return 0, err
	}
	l, after, paid, err := s.standings[at].Collect(before, merkle.SumLeaf{Key: device, Amount: msg.Units}, proof)
	if err != nil {
		return 0, errorsmod.Wrap(ErrProof, err.Error())
	}
	if after == before {
		return 0, nil
	}
	net, err := s.keeper.payUse(ctx, id, device, l.Kind, s.epoch, paid, after.Units-before.Units)
	if err != nil {
		return 0, err
	}
	s.standings[at] = l
	emit(ctx, EventSettle, "lease", hex.EncodeToString(id[:]), "device", hex.EncodeToString(device[:]),
		"units", number(after.Units), "paid", number(paid), "net", number(net))
	return paid, s.keeper.storeAccount(ctx, id, after)
}

func (s *settling) contest(ctx context.Context, c contest) error {
	at, err := s.standing(ctx, c.standing)
	if err != nil {
		return err
	}
	a, err := s.keeper.account(ctx, c.standing, c.device)
	if err != nil {
		return err
	}
	pending, err := s.keeper.dispute(ctx, c.standing, c.device)
	if err != nil {
		return err
	}
	l, d, err := s.standings[at].Contest(a, c.claims, pending, s.epoch, s.rules)
	if err != nil {
		return errorsmod.Wrap(ErrState, err.Error())
	}
	s.standings[at] = l
	key := slices.Concat(c.standing[:], c.device[:])
	if pending != nil {
		if err := s.keeper.DisputesDue.Remove(ctx, collections.Join(pending.Until+1, key)); err != nil {
			return err
		}
	}
	if err := s.keeper.DisputesDue.Set(ctx, collections.Join(d.Until+1, key)); err != nil {
		return err
	}
	emitDispute(ctx, d, "filed", lease.Verdict{}, 0)
	return s.keeper.Disputes.Set(ctx, collections.Join(c.standing[:], c.device[:]), disputePB(d))
}
