package market

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// addUsage adds to the record of what a device was paid in an epoch for one kind
// of offers.
func (k *Keeper) addUsage(ctx context.Context, epoch uint64, device [32]byte, kind string, change func(*marketpb.Usage)) error {
	key := collections.Join3(epoch, device[:], kind)
	u, err := k.Usage.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		u, err = marketpb.Usage{Epoch: epoch, Device: append([]byte(nil), device[:]...), Kind: kind}, nil
	}
	if err != nil {
		return err
	}
	before := u.Burned
	change(&u)
	return errors.Join(k.Usage.Set(ctx, key, u), k.addBurn(ctx, epoch, kind, u.Burned-before))
}

// addBurn adds to what usage burned, of the kind's vertical and of all.
func (k *Keeper) addBurn(ctx context.Context, epoch uint64, kind string, burned uint64) error {
	if burned == 0 {
		return nil
	}
	for _, vertical := range []string{"", lease.Vertical(kind)} {
		key := collections.Join(epoch, vertical)
		sum, err := k.Burns.Get(ctx, key)
		if err != nil && !errors.Is(err, collections.ErrNotFound) {
			return err
		}
		if err := k.Burns.Set(ctx, key, sum+burned); err != nil { // cannot wrap: below the supply
			return err
		}
	}
	return nil
}

// Burned returns what settlements that ran in an epoch burned: of a vertical, and
// of all.
func (k *Keeper) Burned(ctx context.Context, epoch uint64, vertical string) (own, all money.Credit, err error) {
	read := func(vertical string) money.Credit {
		sum, e := k.Burns.Get(ctx, collections.Join(epoch, vertical))
		if !errors.Is(e, collections.ErrNotFound) {
			err = errors.Join(err, e)
		}
		return money.Credit(sum)
	}
	return read(vertical), read(""), err
}

// usageOf lists what a device was paid in an epoch, by kind, and the sum.
func (k *Keeper) usageOf(ctx context.Context, epoch uint64, device []byte) (sum *marketpb.Usage, byKind []marketpb.Usage, err error) {
	it, err := k.Usage.Iterate(ctx, collections.NewSuperPrefixedTripleRange[uint64, []byte, string](epoch, device))
	if err != nil {
		return nil, nil, err
	}
	if byKind, err = it.Values(); err != nil || len(byKind) == 0 {
		return nil, nil, err
	}
	all := byKind[0]
	for _, u := range byKind[1:] {
		all.Kind = ""
		all.HoldPaid += u.HoldPaid
		all.UsePaid += u.UsePaid
		all.Burned += u.Burned
		all.Net += u.Net
		all.Slashed += u.Slashed
	}
	return &all, byKind, nil
}
