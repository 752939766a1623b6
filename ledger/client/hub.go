package client

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
)

// keepBlocks is how many recent blocks the hub holds for readers that lag.
const keepBlocks = 128

// maxReplay bounds how many missed blocks the hub itself reads after a
// reconnection; transactions that wait are then looked up by hash instead.
const maxReplay = 1000

// hub follows the chain over one subscription and tells everybody who waits.
// Its blocks are in order and without gaps, except after a disconnection of more
// than maxReplay blocks.
type hub struct {
	remote string
	rpc    *rpchttp.HTTP
	log    *slog.Logger
	done   chan struct{} // closed when run returns

	mu      sync.Mutex
	head    Block
	recent  map[int64]Block
	moved   chan struct{} // closed and replaced when head moves
	waiting map[string]chan inclusion
}

// inclusion is the answer to a waiting transaction.
type inclusion struct {
	height int64
	tx     Tx
}

func newHub(remote string, rpc *rpchttp.HTTP, log *slog.Logger) *hub {
	return &hub{
		remote:  remote,
		rpc:     rpc,
		log:     log,
		done:    make(chan struct{}),
		recent:  map[int64]Block{},
		moved:   make(chan struct{}),
		waiting: map[string]chan inclusion{},
	}
}

// run follows the chain until ctx ends, reconnecting as needed.
func (h *hub) run(ctx context.Context) {
	defer close(h.done)
	for wait := newBackoff(); ; {
		err := h.follow(ctx, func() { wait = newBackoff() })
		if ctx.Err() != nil {
			return
		}
		h.log.Warn("ledger block stream interrupted, reconnecting", "rpc", h.remote, "error", err)
		if !wait.sleep(ctx) {
			return
		}
	}
}

// follow subscribes, catches up and reads events until something fails.
func (h *hub) follow(ctx context.Context, connected func()) error {
	s, err := subscribe(ctx, h.remote)
	if err != nil {
		return err
	}
	defer s.close()
	committed, err := committedHeight(ctx, h.rpc)
	if err != nil {
		return err
	}
	if err := h.catchUp(ctx, committed); err != nil {
		return err
	}
	connected()
	for {
		b, err := s.next()
		if err != nil {
			return err
		}
		if err := h.catchUp(ctx, b.Height-1); err != nil {
			return err
		}
		h.add(b)
	}
}

// committedHeight is the newest block whose effects queries see. CometBFT's own
// status counts a block before the application has executed it.
func committedHeight(ctx context.Context, rpc *rpchttp.HTTP) (int64, error) {
	info, err := rpc.ABCIInfo(ctx)
	if err != nil {
		return 0, rpcError("read ledger height", err)
	}
	return info.Response.LastBlockHeight, nil
}

// catchUp reads the blocks after head up to height.
func (h *hub) catchUp(ctx context.Context, height int64) error {
	h.mu.Lock()
	from := h.head.Height + 1
	h.mu.Unlock()
	if from == 1 || height-from >= maxReplay {
		if err := h.lookUpWaiting(ctx); err != nil {
			return err
		}
		from = height
	}
	for ; from <= height; from++ {
		b, err := h.fetch(ctx, from)
		if err != nil {
			return err
		}
		h.add(b)
	}
	return nil
}

func (h *hub) fetch(ctx context.Context, height int64) (Block, error) {
	block, err := h.rpc.Block(ctx, &height)
	if err != nil {
		return Block{}, rpcError(fmt.Sprintf("read block %d", height), err)
	}
	results, err := h.rpc.BlockResults(ctx, &height)
	if err != nil {
		return Block{}, rpcError(fmt.Sprintf("read results of block %d", height), err)
	}
	return blockFromResults(block, results)
}

// add makes b the head and answers the transactions in it.
func (h *hub) add(b Block) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.Height <= h.head.Height {
		return
	}
	if b.Height != h.head.Height+1 {
		clear(h.recent)
	}
	h.head = b
	h.recent[b.Height] = b
	delete(h.recent, b.Height-keepBlocks)
	for _, tx := range b.Txs {
		h.answer(inclusion{b.Height, tx})
	}
	close(h.moved)
	h.moved = make(chan struct{})
}

// answer is called with mu held.
func (h *hub) answer(in inclusion) {
	if c, ok := h.waiting[in.tx.Hash]; ok {
		c <- in // has room for the one answer
		delete(h.waiting, in.tx.Hash)
	}
}

// lookUpWaiting asks for every waiting transaction by its hash.
func (h *hub) lookUpWaiting(ctx context.Context) error {
	h.mu.Lock()
	hashes := make([]string, 0, len(h.waiting))
	for hash := range h.waiting {
		hashes = append(hashes, hash)
	}
	h.mu.Unlock()
	for _, hash := range hashes {
		in, ok, err := h.lookUp(ctx, hash)
		if err != nil {
			return err
		}
		if ok {
			h.mu.Lock()
			h.answer(in)
			h.mu.Unlock()
		}
	}
	return nil
}

// await registers for the inclusion of a transaction. Call it before the
// broadcast; forget it afterwards.
func (h *hub) await(hash string) (answer <-chan inclusion, forget func()) {
	c := make(chan inclusion, 1)
	h.mu.Lock()
	h.waiting[hash] = c
	h.mu.Unlock()
	return c, func() {
		h.mu.Lock()
		delete(h.waiting, hash)
		h.mu.Unlock()
	}
}

// position returns the head and a channel closed when it moves.
func (h *hub) position() (Block, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head, h.moved
}

func (h *hub) cached(height int64) (Block, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.recent[height]
	return b, ok
}

func (h *hub) waitHead(ctx context.Context) error {
	for {
		head, moved := h.position()
		if head.Height > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow blocks of %s: %w: %w", h.remote, ErrUnavailable, ctx.Err())
		case <-moved:
		}
	}
}
