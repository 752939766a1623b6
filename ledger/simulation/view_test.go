package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/oracle"
)

// view is the state that actors and invariants read, after one block.
type view struct {
	ctx         sdk.Context
	epoch       oraclepb.Epoch
	devices     []devicepb.Device
	offers      []marketpb.Offer
	leases      []marketpb.Lease
	standings   []marketpb.Standing
	demands     []marketpb.Demand
	accounts    []marketpb.Account
	disputes    []marketpb.Dispute
	reports     []oraclepb.Report
	claimed     map[string]uint64 // by device
	redemptions []creditpb.Redemption
	totals      creditpb.Totals
}

func all[K, V any](w *world, ctx context.Context, m collections.Map[K, V]) []V {
	w.Helper()
	it, err := m.Iterate(ctx, nil)
	w.must(err)
	out, err := it.Values()
	w.must(err)
	return out
}

func (w *world) view() view {
	w.Helper()
	ctx := w.ctx()
	k := w.app.Ours
	v := view{
		ctx: ctx, devices: all(w, ctx, k.Device.Devices), offers: all(w, ctx, k.Market.Offers), leases: all(w, ctx, k.Market.Leases),
		standings: all(w, ctx, k.Market.Standings), demands: all(w, ctx, k.Market.Demands), accounts: all(w, ctx, k.Market.Accounts),
		disputes: all(w, ctx, k.Market.Disputes), reports: all(w, ctx, k.Oracle.Reports), redemptions: all(w, ctx, k.Credit.Redemptions),
		claimed: map[string]uint64{},
	}
	number, err := k.Oracle.CurrentEpoch(ctx)
	w.must(err)
	v.epoch, err = k.Oracle.Epochs.Get(ctx, number)
	w.must(err)
	v.totals, err = k.Credit.Totals.Get(ctx)
	w.must(err)
	w.must(k.Oracle.Claimed.Walk(ctx, nil, func(key collections.Pair[[]byte, string], paid uint64) (bool, error) {
		v.claimed[string(key.K1())] += paid
		return false, nil
	}))
	return v
}

// newest is the accepted report of the highest epoch.
func (v view) newest() (r oraclepb.Report) {
	for _, o := range v.reports {
		if o.Epoch > r.Epoch {
			r = o
		}
	}
	return r
}

// hashProver asks for the hash of a head's root and an offset.
type hashProver struct{}

func (hashProver) Challenges(seed, device [32]byte, heads []oracle.Head, c int) []oracle.Challenge {
	if len(heads) == 0 {
		return nil
	}
	out := make([]oracle.Challenge, c)
	for i := range out {
		h := sha256.Sum256(binary.BigEndian.AppendUint32(append(seed[:], device[:]...), uint32(i)))
		n := int(binary.BigEndian.Uint64(h[:]) % uint64(len(heads)))
		out[i] = oracle.Challenge{Head: n, Offset: binary.BigEndian.Uint64(h[8:]) % heads[n].Units}
	}
	return out
}

func answer(head oracle.Head, ch oracle.Challenge) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(head.Root[:], ch.Offset))
	return h[:]
}

func (hashProver) Verify(head oracle.Head, ch oracle.Challenge, proof []byte) error {
	if string(proof) != string(answer(head, ch)) {
		return errors.New("hash differs")
	}
	return nil
}
