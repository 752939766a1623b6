package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/oracle"
)

// claimBatch is how many devices one transaction pays.
const claimBatch = 100

// claim pays all devices what the newest payable reports owe them.
func (v *verifier) claim(ctx context.Context, t tick) error {
	verticals, err := v.verticals(ctx)
	if err != nil {
		return err
	}
	for _, vertical := range verticals {
		if err := v.claimFor(ctx, vertical, t.epoch.Epoch.Number); err != nil {
			return fmt.Errorf("claim for %s: %w", vertical, err)
		}
	}
	return nil
}

func (v *verifier) claimFor(ctx context.Context, vertical string, current uint64) error {
	r, found, err := v.payable(ctx, vertical, current)
	if err != nil || !found || v.claimed[vertical] >= r.Epoch {
		return err
	}
	mine, err := v.myTurn(ctx, r, current)
	if err != nil || !mine {
		return err
	}
	p, err := shelfOf(v.Home, vertical).get(r.Epoch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not computed here yet
	}
	if err != nil {
		return err
	}
	if p.RewardRoot != hex.EncodeToString(r.Content.RewardRoot) {
		return fmt.Errorf("epoch %d: ours is %s, accepted is %x: without its leaves nothing can be claimed", r.Epoch, p.RewardRoot, r.Content.RewardRoot)
	}
	tree, err := treeOf(p)
	if err != nil {
		return err
	}
	err = v.claimTree(ctx, r, tree)
	if errors.Is(err, oracle.ErrBreaker) {
		// What it holds back is found again when the next report is payable.
		v.log.Warn("claims held back", "vertical", vertical, "epoch", r.Epoch, "error", err)
		err = nil
	}
	if err == nil {
		v.claimed[vertical] = r.Epoch
	}
	return err
}

// payable is the newest report that can be claimed.
func (v *verifier) payable(ctx context.Context, vertical string, current uint64) (oraclepb.Report, bool, error) {
	// The newest ones come first, and all but a few of them are payable.
	list, err := v.ledger.Oracle.Reports(ctx, &oraclepb.QueryReportsRequest{Vertical: vertical, Pagination: &query.PageRequest{Limit: 50}})
	if err != nil {
		return oraclepb.Report{}, false, fmt.Errorf("list reports: %w", err)
	}
	for _, r := range list.Reports {
		if r.PayableEpoch <= current {
			return r, true, nil
		}
	}
	return oraclepb.Report{}, false, nil
}

// myTurn spreads the work: each report is one validator's, and everybody's when
// that one left it for two epochs.
func (v *verifier) myTurn(ctx context.Context, r oraclepb.Report, current uint64) (bool, error) {
	if current >= r.PayableEpoch+2 {
		return true, nil
	}
	var validators []string
	err := pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		keys, err := v.ledger.Oracle.Keys(ctx, &oraclepb.QueryKeysRequest{Pagination: p})
		if err != nil {
			return nil, fmt.Errorf("list beacon keys: %w", err)
		}
		for _, k := range keys.Keys {
			validators = append(validators, k.Validator)
		}
		return keys.Pagination, nil
	})
	slices.Sort(validators)
	i := slices.Index(validators, v.operator)
	return i >= 0 && uint64(i) == r.Epoch%uint64(len(validators)), err
}

func treeOf(p Published) (*merkle.SumTree, error) {
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	return state.Tree()
}

// claimTree pays every leaf that is not paid in full, in batches.
func (v *verifier) claimTree(ctx context.Context, r oraclepb.Report, tree *merkle.SumTree) error {
	paid := v.paid[r.Vertical]
	if paid == nil {
		paid = map[[32]byte]uint64{}
		v.paid[r.Vertical] = paid
	}
	var batch []merkle.SumLeaf
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := v.claimBatch(ctx, r, tree, batch)
		batch = batch[:0]
		return err
	}
	for _, leaf := range tree.Leaves() {
		owed, err := v.owed(ctx, r.Vertical, leaf, paid)
		if err != nil {
			return err
		}
		if !owed {
			continue
		}
		if batch = append(batch, leaf); len(batch) == claimBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// owed asks the ledger about a leaf that is not known to be paid.
func (v *verifier) owed(ctx context.Context, vertical string, leaf merkle.SumLeaf, paid map[[32]byte]uint64) (bool, error) {
	if paid[leaf.Key] >= leaf.Amount {
		return false, nil
	}
	amount, err := v.paidFor(ctx, vertical, leaf.Key)
	if err != nil {
		return false, err
	}
	paid[leaf.Key] = amount
	return paid[leaf.Key] < leaf.Amount, nil
}

// claimBatch sends one transaction. When it is refused for one device, its halves
// are tried, so that none keeps the others from their money.
func (v *verifier) claimBatch(ctx context.Context, r oraclepb.Report, tree *merkle.SumTree, batch []merkle.SumLeaf) error {
	msg := &oraclepb.MsgClaim{Signer: v.Sender.Address().String(), Vertical: r.Vertical, Epoch: r.Epoch}
	for _, leaf := range batch {
		_, proof, err := tree.Prove(leaf.Key)
		if err != nil {
			return err
		}
		msg.Claims = append(msg.Claims, oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount, Proof: proof.Encode()})
	}
	_, err := v.Sender.Send(ctx, msg)
	var refused *client.TxError
	switch {
	case err == nil:
		v.log.Info("claimed", "vertical", r.Vertical, "epoch", r.Epoch, "devices", len(batch))
		return nil
	case errors.Is(err, oracle.ErrBreaker), !errors.As(err, &refused):
		return err
	case len(batch) == 1:
		v.log.Warn("claim refused", "vertical", r.Vertical, "epoch", r.Epoch, "device", hex.EncodeToString(batch[0].Key[:]), "error", err)
		return nil
	}
	for part := range slices.Chunk(batch, (len(batch)+1)/2) {
		if err := v.claimBatch(ctx, r, tree, part); err != nil {
			return err
		}
	}
	return nil
}
