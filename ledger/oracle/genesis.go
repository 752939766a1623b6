package oracle

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// DefaultGenesis is an oracle before its first epoch.
func DefaultGenesis() *oraclepb.GenesisState {
	return &oraclepb.GenesisState{Params: DefaultParams()}
}

// CheckGenesis reports why a genesis cannot be loaded, or nil.
func CheckGenesis(g oraclepb.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	for i, e := range g.Epochs {
		if i > 0 && e.Number != g.Epochs[i-1].Number+1 {
			return fmt.Errorf("epoch %d follows epoch %d", e.Number, g.Epochs[i-1].Number)
		}
		newest := i == len(g.Epochs)-1
		if open := e.Status == oraclepb.EPOCH_STATUS_REVEALING; open && (!newest || len(e.Seed) != 0) {
			return fmt.Errorf("epoch %d is revealing and has a seed or a successor", e.Number)
		} else if !open && len(e.Seed) != 32 {
			return fmt.Errorf("epoch %d has a seed of %d bytes, want 32", e.Number, len(e.Seed))
		}
	}
	for _, p := range g.Proofs {
		if len(p.Device) != 32 || p.Sequence == 0 || p.Sequence > g.LastProof {
			return fmt.Errorf("proof %d of device %x is out of order: the last is %d", p.Sequence, p.Device, g.LastProof)
		}
	}
	for _, r := range g.Reports {
		if len(r.Content.RewardRoot) != 32 || len(r.Content.InputsRoot) != 32 {
			return fmt.Errorf("report of %s, epoch %d has roots of %d and %d bytes, want 32", r.Vertical, r.Epoch, len(r.Content.RewardRoot), len(r.Content.InputsRoot))
		}
	}
	for _, c := range g.Claimed {
		if len(c.Device) != 32 {
			return fmt.Errorf("claim of device %x: want 32 bytes", c.Device)
		}
	}
	return nil
}

// InitGenesis loads the oracle. Indexes follow from the records.
func (k *Keeper) InitGenesis(ctx context.Context, g oraclepb.GenesisState) error {
	if err := CheckGenesis(g); err != nil {
		return err
	}
	if err := k.Params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.LastProof.Set(ctx, g.LastProof); err != nil {
		return err
	}
	if err := k.Breaker.Set(ctx, g.Breaker); err != nil {
		return err
	}
	for _, load := range []func(context.Context, oraclepb.GenesisState) error{
		k.loadEpochs, k.loadValidators, k.loadProofs, k.loadReports,
	} {
		if err := load(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) loadEpochs(ctx context.Context, g oraclepb.GenesisState) error {
	for _, e := range g.Epochs {
		if err := k.Epochs.Set(ctx, e.Number, e); err != nil {
			return err
		}
		if e.Status == oraclepb.EPOCH_STATUS_DECIDED {
			if err := k.Decided.Set(ctx, e.Number); err != nil {
				return err
			}
		}
	}
	for _, r := range g.Reveals {
		operator, err := k.operators.StringToBytes(r.Validator)
		if err != nil {
			return fmt.Errorf("reveal of %q: %w", r.Validator, err)
		}
		if len(r.Signature) != 48 {
			return fmt.Errorf("reveal of %s: signature of %d bytes, want 48", r.Validator, len(r.Signature))
		}
		if err := k.Reveals.Set(ctx, collections.Join(r.Epoch, operator), r.Signature); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) loadValidators(ctx context.Context, g oraclepb.GenesisState) error {
	for _, key := range g.Keys {
		if len(key.PublicKey) == 0 {
			return fmt.Errorf("key of %q is empty", key.Validator)
		}
		operator, err := k.operators.StringToBytes(key.Validator)
		if err != nil {
			return fmt.Errorf("key of %q: %w", key.Validator, err)
		}
		if err := k.Keys.Set(ctx, operator, key); err != nil {
			return err
		}
		for _, public := range [][]byte{key.PublicKey, key.Previous} {
			if len(public) == 0 {
				continue
			}
			if _, err := beacon.ParsePublicKey(public); err != nil {
				return fmt.Errorf("key of %s: %w", key.Validator, err)
			}
			if taken, err := k.KeyOwners.Has(ctx, public); err != nil {
				return err
			} else if taken {
				return fmt.Errorf("key of %s: %x… is another's as well", key.Validator, public[:8])
			}
			if err := k.KeyOwners.Set(ctx, public, operator); err != nil {
				return err
			}
		}
	}
	for _, c := range g.Conducts {
		operator, err := k.operators.StringToBytes(c.Validator)
		if err != nil {
			return fmt.Errorf("conduct of %q: %w", c.Validator, err)
		}
		if err := k.Conducts.Set(ctx, operator, c); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) loadProofs(ctx context.Context, g oraclepb.GenesisState) error {
	for _, p := range g.Proofs {
		if err := k.Proofs.Set(ctx, p.Sequence, p); err != nil {
			return err
		}
		if err := k.ProofOf.Set(ctx, collections.Join(p.Device, p.Epoch), p.Sequence); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) loadReports(ctx context.Context, g oraclepb.GenesisState) error {
	for _, v := range g.Votes {
		operator, err := k.operators.StringToBytes(v.Validator)
		if err != nil {
			return fmt.Errorf("vote of %q: %w", v.Validator, err)
		}
		if err := k.Votes.Set(ctx, collections.Join3(v.Epoch, v.Vertical, operator), v); err != nil {
			return err
		}
	}
	for _, r := range g.Reports {
		if err := k.Reports.Set(ctx, collections.Join(r.Vertical, r.Epoch), r); err != nil {
			return err
		}
	}
	for _, q := range g.Equivocations {
		operator, err := k.operators.StringToBytes(q.Validator)
		if err != nil {
			return fmt.Errorf("equivocation of %q: %w", q.Validator, err)
		}
		if err := k.Equivocations.Set(ctx, collections.Join3(q.Epoch, q.Vertical, operator), q); err != nil {
			return err
		}
	}
	for _, r := range g.Refutations {
		if err := k.Refutations.Set(ctx, collections.Join(r.Vertical, r.Epoch), r); err != nil {
			return err
		}
	}
	for _, b := range g.Budgets {
		if err := k.Budgets.Set(ctx, collections.Join(b.Vertical, b.Epoch), b.Total); err != nil {
			return err
		}
	}
	for _, c := range g.Claimed {
		if err := k.Claimed.Set(ctx, collections.Join(c.Device, c.Vertical), c.Paid); err != nil {
			return err
		}
		sum, err := k.paid(ctx, c.Vertical)
		if err != nil {
			return err
		}
		if sum, err = money.Add(sum, c.Paid); err != nil {
			return fmt.Errorf("claim of device %x: %w", c.Device, err)
		}
		if err := k.Paid.Set(ctx, c.Vertical, sum); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis writes the oracle, in the order of the stores' keys.
func (k *Keeper) ExportGenesis(ctx context.Context) (*oraclepb.GenesisState, error) {
	g := new(oraclepb.GenesisState)
	var err error
	if g.Params, err = k.Params.Get(ctx); err != nil {
		return nil, err
	}
	if g.LastProof, err = k.LastProof.Get(ctx); err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	if g.Breaker, err = k.Breaker.Get(ctx); err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	for _, save := range []func(context.Context, *oraclepb.GenesisState) error{k.saveEpochs, k.saveRecords} {
		if err := save(ctx, g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (k *Keeper) saveEpochs(ctx context.Context, g *oraclepb.GenesisState) (err error) {
	if g.Epochs, err = values(ctx, k.Epochs); err != nil {
		return err
	}
	if g.Keys, err = values(ctx, k.Keys); err != nil {
		return err
	}
	return k.Reveals.Walk(ctx, nil, func(key collections.Pair[uint64, []byte], signature []byte) (bool, error) {
		r, err := k.revealPB(key, signature)
		g.Reveals = append(g.Reveals, r)
		return false, err
	})
}

func (k *Keeper) revealPB(key collections.Pair[uint64, []byte], signature []byte) (oraclepb.Reveal, error) {
	validator, err := k.operators.BytesToString(key.K2())
	return oraclepb.Reveal{Epoch: key.K1(), Validator: validator, Signature: signature}, err
}

func (k *Keeper) saveRecords(ctx context.Context, g *oraclepb.GenesisState) (err error) {
	if g.Proofs, err = values(ctx, k.Proofs); err != nil {
		return err
	}
	if g.Votes, err = values(ctx, k.Votes); err != nil {
		return err
	}
	if g.Reports, err = values(ctx, k.Reports); err != nil {
		return err
	}
	if g.Equivocations, err = values(ctx, k.Equivocations); err != nil {
		return err
	}
	if g.Refutations, err = values(ctx, k.Refutations); err != nil {
		return err
	}
	if g.Conducts, err = values(ctx, k.Conducts); err != nil {
		return err
	}
	err = k.Budgets.Walk(ctx, nil, func(key collections.Pair[string, uint64], total uint64) (bool, error) {
		g.Budgets = append(g.Budgets, oraclepb.Budget{Vertical: key.K1(), Epoch: key.K2(), Total: total})
		return false, nil
	})
	if err != nil {
		return err
	}
	return k.Claimed.Walk(ctx, nil, func(key collections.Pair[[]byte, string], paid uint64) (bool, error) {
		g.Claimed = append(g.Claimed, oraclepb.Claimed{Vertical: key.K2(), Device: key.K1(), Paid: paid})
		return false, nil
	})
}

func values[K, V any](ctx context.Context, m collections.Map[K, V]) ([]V, error) {
	it, err := m.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return it.Values() // closes the iterator
}
