package ledgerport

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/market"
)

// Standing reads a standing lease.
func (p *Port) Standing(ctx context.Context, id [32]byte) (lease.Standing, error) {
	r, err := p.market.Standing(ctx, &marketpb.QueryStandingRequest{Id: id[:]})
	if err != nil {
		return lease.Standing{}, fmt.Errorf("read standing lease %x: %w", id[:8], err)
	}
	return market.StandingOf(r.Standing)
}

// Stand returns this account's open standing lease of a kind with the session key
// of a lane, or opens one: what it takes for the escrow, which is the lane's cap,
// and the bond is bought.
func (p *Port) Stand(ctx context.Context, kind string, use money.Price, lane lease.Lane, bond money.Credit) (lease.Standing, error) {
	found, err := p.standing(ctx, kind, func(l lease.Lane) bool { return l.Key == lane.Key })
	if err != nil || found.ID != [32]byte{} {
		return found, err
	}
	if err := p.Buy(ctx, uint64(lane.Cap)+uint64(bond)); err != nil {
		return lease.Standing{}, err
	}
	r, err := p.send(ctx, &marketpb.MsgPost{
		Owner: p.Address(), Side: marketpb.SIDE_STANDING, Kind: kind, Use: marketpb.Price{Credits: use.Credits, Per: use.Per},
		Lanes: []marketpb.Lane{lanePB(lane)}, PayerBond: uint64(bond),
	})
	if err != nil {
		return lease.Standing{}, fmt.Errorf("open standing lease of %s: %w", kind, err)
	}
	var answer marketpb.MsgPostResponse
	if err := r.Response(0, &answer); err != nil {
		return lease.Standing{}, err
	}
	if len(answer.LeaseId) != 32 {
		return lease.Standing{}, fmt.Errorf("open standing lease of %s: ledger answered a lease id of %d bytes", kind, len(answer.LeaseId))
	}
	return p.Standing(ctx, [32]byte(answer.LeaseId))
}

// OpenStanding returns this account's standing lease of a kind that is open or may
// be funded.
func (p *Port) OpenStanding(ctx context.Context, kind string) (lease.Standing, error) {
	found, err := p.standing(ctx, kind, func(lease.Lane) bool { return true })
	if err == nil && found.ID == [32]byte{} {
		err = fmt.Errorf("find standing lease of %s: %s has none that is open", kind, p.Address())
	}
	return found, err
}

// standing finds the account's lease of a kind that is open or may be funded and
// has one lane, which matches; the zero Standing when there is none.
func (p *Port) standing(ctx context.Context, kind string, match func(lease.Lane) bool) (found lease.Standing, err error) {
	err = pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		r, err := p.market.Standings(ctx, &marketpb.QueryStandingsRequest{Payer: p.Address(), Kind: kind, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list standing leases: %w", err)
		}
		for _, one := range r.Standings {
			s, err := market.StandingOf(one)
			if err != nil {
				return nil, err
			}
			if (s.State == lease.Open || s.State == lease.Grace) && s.Kind == kind && len(s.Lanes) == 1 && match(s.Lanes[0]) {
				found = s
			}
		}
		return r.Pagination, nil
	})
	return found, err
}

// FundStanding adds to the escrow of a standing lease, by its lane, and to its bond.
func (p *Port) FundStanding(ctx context.Context, id [32]byte, lane lease.Lane, bond money.Credit) error {
	if err := p.Buy(ctx, uint64(lane.Cap)+uint64(bond)); err != nil {
		return err
	}
	if _, err := p.send(ctx, &marketpb.MsgFund{Funder: p.Address(), LeaseId: id[:], Lanes: []marketpb.Lane{lanePB(lane)}, Bond: uint64(bond)}); err != nil {
		return fmt.Errorf("fund standing lease %x: %w", id[:8], err)
	}
	return nil
}

// State posts the statement of what a standing lease owes in an epoch, and collects
// it for the devices, whose owners are paid.
func (p *Port) State(ctx context.Context, id [32]byte, epoch uint64, tree *merkle.SumTree, devices [][32]byte) error {
	root := tree.Root()
	m := &marketpb.MsgSettle{Signer: p.Address(), Statements: []marketpb.StatementItem{
		{Standing: id[:], Epoch: epoch, Root: root.Hash[:], Size_: root.Size, Total: root.Total},
	}}
	for {
		n := min(maxSettle-len(m.Statements), len(devices))
		for _, d := range devices[:n] {
			leaf, proof, err := tree.Prove(d)
			if err != nil {
				return fmt.Errorf("state for lease %x: %w", id[:8], err)
			}
			m.Leaves = append(m.Leaves, marketpb.LeafItem{Standing: id[:], Device: d[:], Units: leaf.Amount, Proof: proof.Encode()})
		}
		devices = devices[n:]
		if _, err := p.send(ctx, m); err != nil {
			return fmt.Errorf("state %d units for lease %x in epoch %d: %w", root.Total, id[:8], epoch, err)
		}
		if len(devices) == 0 {
			return nil
		}
		m = &marketpb.MsgSettle{Signer: p.Address()}
	}
}
