package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/chain"
)

// perBlock is how many plain transfers a block has.
const perBlock = 2_000

// batch is how many transfers share a transaction.
const batch = 100

// execute measures FinalizeBlock and Commit for plain transfers, one to a
// transaction.
func execute(ctx context.Context, s settings, dir string) (rows []row, err error) {
	w, err := newWorld(ctx, dir, 10_000, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	single, err := w.run(ctx, s.of(20_000), 1, func(from *account, to []*account) []sdk.Msg { return []sdk.Msg{send(from, to[0])} })
	if err != nil {
		return nil, err
	}
	return []row{{
		What: "transfers executed, one to a transaction, per CPU-second", Unit: "/s", Ours: single, Target: 2_200,
		Bound: w.verifications(s.of(5_000)), BoundIs: "their secp256k1 signatures alone",
	}}, nil
}

// batches measures the same for a hundred transfers to a transaction.
func batches(ctx context.Context, s settings, dir string) (rows []row, err error) {
	w, err := newWorld(ctx, dir, 10_000, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	direct, err := w.transfers(s.of(40_000))
	if err != nil {
		return rows, err
	}
	const bank = "the bank keeper alone: no transactions, a sender for each"
	separate, err := w.run(ctx, s.of(400), batch, func(from *account, to []*account) (msgs []sdk.Msg) {
		for _, a := range to {
			msgs = append(msgs, send(from, a))
		}
		return msgs
	})
	if err != nil {
		return rows, err
	}
	rows = append(rows, row{What: "transfers executed, 100 messages to a transaction, per CPU-second", Unit: "/s", Ours: separate, Target: 10_000, Bound: direct, BoundIs: bank})
	joint, err := w.run(ctx, s.of(400), batch, func(from *account, to []*account) []sdk.Msg { return []sdk.Msg{sendAll(from, to)} })
	return append(rows, row{What: "transfers executed, one message to 100 receivers, per CPU-second", Unit: "/s", Ours: joint, Target: 10_000, Bound: direct, BoundIs: bank}), err
}

// run executes n transactions to size receivers each and returns the transfers
// for a second of processor.
func (w *world) run(ctx context.Context, n, size int, messages func(from *account, to []*account) []sdk.Msg) (float64, error) {
	var blocks [][][]byte
	each := max(perBlock/size, 1)
	for i := range n {
		if i%each == 0 {
			blocks = append(blocks, nil)
		}
		from := w.accounts[i%len(w.accounts)]
		var to []*account
		for j := range size {
			to = append(to, w.accounts[(i*size+j+len(w.accounts)/2)%len(w.accounts)])
		}
		tx, err := from.sign(ctx, w.Config, w.ChainID(), 50_000+70_000*uint64(size), messages(from, to)...)
		if err != nil {
			return 0, err
		}
		blocks[len(blocks)-1] = append(blocks[len(blocks)-1], tx)
	}
	took, err := measure(func() error {
		for _, txs := range blocks {
			if _, err := w.block(txs...); err != nil {
				return err
			}
		}
		return nil
	})
	return took.perCPU(n * size), err
}

// transfers moves coins through the bank keeper, as many between commits as
// blocks of batches have.
func (w *world) transfers(n int) (float64, error) {
	coins := sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 1))
	took, err := measure(func() error {
		for i := 0; i < n; i += perBlock {
			ctx, write := w.state().CacheContext()
			for j := range perBlock {
				from, to := w.accounts[(i+j)%len(w.accounts)], w.accounts[(i+j+len(w.accounts)/2)%len(w.accounts)]
				if err := w.Standard.Bank.SendCoins(ctx, from.address, to.address, coins); err != nil {
					return err
				}
			}
			write()
			if _, err := w.block(); err != nil {
				return err
			}
		}
		return nil
	})
	return took.perCPU(n), err
}

// verifications is how many account signatures a second of processor checks.
func (w *world) verifications(n int) float64 {
	message := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	private := w.accounts[0].key
	signature, err := private.Private().Sign(message[:])
	if err != nil {
		panic(fmt.Sprintf("sign: %v", err)) // the key was made a moment ago
	}
	took, _ := measure(func() error {
		for range n {
			private.Public().VerifySignature(message[:], signature)
		}
		return nil
	})
	return took.perCPU(n)
}
