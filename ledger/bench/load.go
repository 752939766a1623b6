package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
)

// senders is how many connections the load comes through.
const senders = 16

// taken is how many transactions nodes took: for a second, and for a second of
// their own processor time.
type taken struct{ rate, perCPU float64 }

// load hands each list of transactions to one sender, in order, over the nodes'
// RPC in turn, and returns when blocks have taken all of them: how many a second,
// from the first handed in to the last block.
func load(ctx context.Context, procs []*exec.Cmd, addresses []string, lists [][][]byte) (taken, error) {
	before, err := processorOf(procs...)
	if err != nil {
		return taken{}, err
	}
	began := time.Now()
	last, total, err := press(ctx, addresses, lists)
	if err != nil {
		return taken{}, err
	}
	after, err := processorOf(procs...)
	return taken{float64(total) / last.Sub(began).Seconds(), float64(total) / (after - before).Seconds()}, err
}

// press is load without the clock: it returns when the last of all transactions
// was seen in a block, and how many there are.
func press(ctx context.Context, addresses []string, lists [][][]byte) (last time.Time, total int, err error) {
	nodes := make([]*rpchttp.HTTP, len(addresses))
	for i, a := range addresses {
		if nodes[i], err = rpchttp.New("tcp://"+a, "/websocket"); err != nil {
			return last, 0, err
		}
	}
	from, err := height(ctx, nodes[0])
	if err != nil {
		return last, 0, err
	}
	errs := make([]error, len(lists))
	var wg sync.WaitGroup
	for i, txs := range lists {
		total += len(txs)
		wg.Go(func() { errs[i] = handIn(ctx, nodes[i%len(nodes)], txs) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return last, 0, err
	}
	last, err = included(ctx, nodes[0], from, total)
	return last, total, err
}

// handIn sends transactions one after the other; a full pool is waited for.
func handIn(ctx context.Context, node *rpchttp.HTTP, txs [][]byte) error {
	for _, tx := range txs {
		for {
			r, err := node.BroadcastTxSync(ctx, tx)
			if err == nil && r.Code != 0 {
				return fmt.Errorf("transaction refused: %s %d: %s", r.Codespace, r.Code, r.Log)
			}
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), "mempool is full") {
				return err
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func height(ctx context.Context, node *rpchttp.HTTP) (int64, error) {
	s, err := node.Status(ctx)
	if err != nil {
		return 0, err
	}
	return s.SyncInfo.LatestBlockHeight, nil
}

// included waits until the blocks after a height hold total transactions and
// returns when it saw that.
func included(ctx context.Context, node *rpchttp.HTTP, after int64, total int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for seen := 0; seen < total; {
		top, err := height(ctx, node)
		if err != nil {
			return time.Time{}, err
		}
		for ; after < top; after++ {
			next := after + 1
			info, err := node.BlockchainInfo(ctx, next, next)
			if err != nil {
				return time.Time{}, err
			}
			seen += info.BlockMetas[0].NumTxs
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return time.Time{}, fmt.Errorf("%d of %d transactions are in blocks: %w", seen, total, err)
		}
	}
	return time.Now(), nil
}
