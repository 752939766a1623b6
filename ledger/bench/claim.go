package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Shape of the claims: how many devices claim alone and in batches.
const (
	claimVertical = "storage"
	claimBatch    = 256
	single        = 2_000
	batched       = 40 * claimBatch
	claimGas      = 110_000 // for each
)

// claim measures claims against a tree of a million leaves.
func claim(ctx context.Context, s settings, dir string) (rows []row, err error) {
	w, err := newWorld(ctx, filepath.Join(dir, "chain"), 10_000, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	ids, err := w.claimants(single + batched)
	if err != nil {
		return nil, err
	}
	tree, err := w.report(ids, s.of(1_000_000))
	if err != nil {
		return nil, err
	}
	one, err := w.claims(ctx, tree, ids[:single], 1)
	if err != nil {
		return nil, err
	}
	many, err := w.claims(ctx, tree, ids[single:], claimBatch)
	if err != nil {
		return nil, err
	}
	proof, err := proofCost(tree, ids[:single])
	if err != nil {
		return nil, err
	}
	leaves := benchtable.Human(float64(len(tree.Leaves())))
	return []row{
		{What: "a claim in its own transaction, tree of " + leaves + " leaves: execution and commit", Unit: "CPU-ms", Ours: 1_000 / one, Target: 1, Less: true, Bound: 1_000 / proof, BoundIs: "verifying its proof alone"},
		{What: fmt.Sprintf("claims executed, %d to a transaction, per CPU-second", claimBatch), Unit: "/s", Ours: many, Target: 10_000, Bound: proof, BoundIs: "their proofs alone"},
	}, nil
}

// claimants registers devices straight in the state. They are in order of their
// ids, as the leaves of a tree are: the verifier claims them in this order, and
// neighbours share most of what the state tree has to hash and write.
func (w *world) claimants(n int) (ids [][32]byte, err error) {
	ctx := w.state()
	for i := range n {
		key, err := coredevice.NewPublicKey(coredevice.Ed25519, seedKey("claimant", i).Public().(ed25519.PublicKey))
		if err != nil {
			return nil, err
		}
		id := key.ID()
		ids = append(ids, id)
		err = w.Ours.Device.Devices.Set(ctx, id[:], devicepb.Device{
			Id: id.String(), Did: key.DID(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: key.Bytes(), Nonce: 1,
			Owner:   w.accounts[i%len(w.accounts)].address.String(),
			Profile: devicepb.Profile{Class: devicepb.CLASS_DRN, Status: devicepb.STATUS_ACTIVE},
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(ids, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return ids, nil
}

// report writes an accepted report of n leaves, those of ids among them.
func (w *world) report(ids [][32]byte, n int) (*merkle.SumTree, error) {
	leaves := make([]merkle.SumLeaf, 0, n)
	for _, id := range ids {
		leaves = append(leaves, merkle.SumLeaf{Key: id, Amount: 5})
	}
	for i := len(ids); i < n; i++ {
		leaves = append(leaves, merkle.SumLeaf{Key: deviceOf(i), Amount: 5})
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	if err != nil {
		return nil, err
	}
	ctx := w.state()
	budget, err := w.Ours.Credit.Totals.Get(ctx)
	if err != nil {
		return nil, err
	}
	budget.RewardsBudget += tree.Root().Total
	if err := w.Ours.Credit.Totals.Set(ctx, budget); err != nil {
		return nil, err
	}
	root := tree.Root()
	err = w.Ours.Oracle.Reports.Set(ctx, collections.Join(claimVertical, uint64(1)), oraclepb.Report{
		Epoch: 1, Vertical: claimVertical,
		Content: oraclepb.Content{RewardRoot: root.Hash[:], InputsRoot: make([]byte, 32), Total: root.Total, Leaves: root.Size},
	})
	if err != nil {
		return nil, err
	}
	_, err = w.block()
	return tree, err
}

// claims executes claims of size devices to a transaction and returns how many a
// second of processor takes.
func (w *world) claims(ctx context.Context, tree *merkle.SumTree, ids [][32]byte, size int) (float64, error) {
	var txs [][]byte
	for i := 0; i < len(ids); i += size {
		from := w.accounts[i%len(w.accounts)]
		m := &oraclepb.MsgClaim{Signer: from.address.String(), Vertical: claimVertical, Epoch: 1}
		for _, id := range ids[i:min(i+size, len(ids))] {
			leaf, proof, err := tree.Prove(id)
			if err != nil {
				return 0, err
			}
			m.Claims = append(m.Claims, oraclepb.DeviceClaim{Device: id[:], Lifetime: leaf.Amount, Proof: proof.Encode()})
		}
		tx, err := from.sign(ctx, w.Config, w.ChainID(), 60_000+claimGas*uint64(size), []sdk.Msg{m}...)
		if err != nil {
			return 0, err
		}
		txs = append(txs, tx)
	}
	each := max(perBlock/size, 1)
	took, err := measure(func() error {
		for i := 0; i < len(txs); i += each {
			if _, err := w.block(txs[i:min(i+each, len(txs))]...); err != nil {
				return err
			}
		}
		return nil
	})
	return took.perCPU(len(ids)), err
}

// proofCost is how many proofs a second of processor verifies.
func proofCost(tree *merkle.SumTree, ids [][32]byte) (float64, error) {
	proofs, leaves := make([]merkle.SumProof, len(ids)), make([]merkle.SumLeaf, len(ids))
	for i, id := range ids {
		var err error
		if leaves[i], proofs[i], err = tree.Prove(id); err != nil {
			return 0, err
		}
	}
	took, err := measure(func() error {
		for i := range ids {
			if _, err := proofs[i].Verify(tree.Root(), leaves[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return took.perCPU(len(ids)), err
}
