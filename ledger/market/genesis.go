package market

import (
	"context"
	"fmt"
	"slices"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// DefaultParams are those of a network with epochs of a day.
func DefaultParams() marketpb.Params {
	return marketpb.Params{
		GraceEpochs: 7, WindowEpochs: 1, FaultLimit: 3, SlashBps: 100, MinBond: 1_000_000,
		MaxSettleItems: 512, LeasesPerBlock: 100, HistoryEpochs: 400, MaxLeasesPerDevice: 1024,
		DisputeEpochs: 2, BondBps: 1000, PenaltyBps: 1000, BidDeposit: 100_000,
	}
}

// DefaultGenesis is an empty market.
func DefaultGenesis() *marketpb.GenesisState {
	return &marketpb.GenesisState{Params: DefaultParams()}
}

// CheckGenesis reports why a genesis cannot be loaded.
func CheckGenesis(g marketpb.GenesisState) error {
	if err := CheckParams(g.Params); err != nil {
		return err
	}
	for _, p := range g.Leases {
		if _, err := LeaseOf(p); err != nil {
			return fmt.Errorf("lease %x: %w", p.Id, err)
		}
	}
	for _, p := range g.Demands {
		if _, err := DemandOf(p); err != nil {
			return fmt.Errorf("demand %d: %w", p.Id, err)
		}
	}
	for _, p := range g.Standings {
		if _, err := StandingOf(p); err != nil {
			return fmt.Errorf("standing lease %x: %w", p.Id, err)
		}
	}
	for _, p := range g.Accounts {
		if _, err := accountOf(p); err != nil || len(p.Standing) != 32 {
			return fmt.Errorf("account of device %x under standing lease %x: ids of 32 bytes are wanted", p.Device, p.Standing)
		}
	}
	for _, p := range g.Disputes {
		if _, err := disputeOf(p); err != nil {
			return fmt.Errorf("dispute of device %x: %w", p.Device, err)
		}
	}
	return nil
}

// InitGenesis loads the market. Indexes and the queue follow from the leases.
func (k *Keeper) InitGenesis(ctx context.Context, g marketpb.GenesisState) error {
	if err := k.Params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.NextOffer.Set(ctx, g.NextOffer); err != nil {
		return err
	}
	if err := k.NextLease.Set(ctx, g.NextLease); err != nil {
		return err
	}
	for _, o := range g.Offers {
		if err := k.Offers.Set(ctx, o.Id, o); err != nil {
			return err
		}
	}
	for _, l := range g.Leases {
		if err := k.restore(ctx, l); err != nil {
			return err
		}
	}
	for _, r := range g.LeaseEpochs {
		if err := k.LeaseEpochs.Set(ctx, collections.Join3(r.Epoch, r.Device, r.Lease), r); err != nil {
			return err
		}
	}
	for _, u := range g.Usage {
		if err := k.Usage.Set(ctx, collections.Join3(u.Epoch, u.Device, u.Kind), u); err != nil {
			return err
		}
		if err := k.addBurn(ctx, u.Epoch, u.Kind, u.Burned); err != nil {
			return err
		}
	}
	for _, s := range g.Slashes {
		if err := k.Slashes.Set(ctx, collections.Join(s.Epoch, s.Device), s); err != nil {
			return err
		}
	}
	for _, d := range g.Demands {
		if err := k.restoreDemand(ctx, d); err != nil {
			return err
		}
	}
	for _, s := range g.Standings {
		if err := k.restoreStanding(ctx, s); err != nil {
			return err
		}
	}
	for _, a := range g.Accounts {
		if err := k.Accounts.Set(ctx, collections.Join(a.Standing, a.Device), a); err != nil {
			return err
		}
	}
	for _, d := range g.Disputes {
		if err := k.Disputes.Set(ctx, collections.Join(d.Standing, d.Device), d); err != nil {
			return err
		}
		if err := k.DisputesDue.Set(ctx, collections.Join(d.Until+1, slices.Concat(d.Standing, d.Device))); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) restoreDemand(ctx context.Context, d marketpb.Demand) error {
	due := d.Prune
	if d.Reason == "" {
		due = d.Expires + 1
	}
	if err := k.DemandsDue.Set(ctx, collections.Join(due, d.Id)); err != nil {
		return err
	}
	return k.Demands.Set(ctx, d.Id, d)
}

func (k *Keeper) restoreStanding(ctx context.Context, s marketpb.Standing) error {
	if err := k.Standings.Set(ctx, s.Id, s); err != nil {
		return err
	}
	if err := k.StandingsBy.Set(ctx, collections.Join(s.Payer, s.Id)); err != nil {
		return err
	}
	if lease.State(s.State) == lease.Closed {
		return k.Swept.Set(ctx, s.Id) // finds nothing when all is removed already
	}
	return k.StandingsDue.Set(ctx, collections.Join(s.Opened+1, s.Id))
}

func (k *Keeper) restore(ctx context.Context, l marketpb.Lease) error {
	if err := k.Leases.Set(ctx, l.Id, l); err != nil {
		return err
	}
	if err := k.ByPayer.Set(ctx, collections.Join(l.Payer, l.Id)); err != nil {
		return err
	}
	if lease.State(l.State) == lease.Closed {
		return nil
	}
	if err := k.ByDevice.Set(ctx, collections.Join(l.Device, l.Id)); err != nil {
		return err
	}
	// Due in its next epoch; one that is behind is simply due at once.
	return k.Due.Set(ctx, collections.Join(l.Next+1, l.Id))
}

// ExportGenesis writes the market, everything in the order of its keys.
func (k *Keeper) ExportGenesis(ctx context.Context) (*marketpb.GenesisState, error) {
	g := &marketpb.GenesisState{}
	var err error
	if g.Params, err = k.Params.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextOffer, err = k.NextOffer.Peek(ctx); err != nil {
		return nil, err
	}
	if g.NextLease, err = k.NextLease.Peek(ctx); err != nil {
		return nil, err
	}
	if g.Offers, err = values(ctx, k.Offers); err != nil {
		return nil, err
	}
	if g.Leases, err = values(ctx, k.Leases); err != nil {
		return nil, err
	}
	if g.LeaseEpochs, err = values(ctx, k.LeaseEpochs); err != nil {
		return nil, err
	}
	if g.Usage, err = values(ctx, k.Usage); err != nil {
		return nil, err
	}
	if g.Slashes, err = values(ctx, k.Slashes); err != nil {
		return nil, err
	}
	if g.Demands, err = values(ctx, k.Demands); err != nil {
		return nil, err
	}
	if g.Standings, err = values(ctx, k.Standings); err != nil {
		return nil, err
	}
	if g.Accounts, err = values(ctx, k.Accounts); err != nil {
		return nil, err
	}
	g.Disputes, err = values(ctx, k.Disputes)
	return g, err
}

// values lists a map in the order of its keys.
func values[K, V any](ctx context.Context, m collections.Map[K, V]) ([]V, error) {
	it, err := m.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return it.Values()
}
