package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/ledger/client"
)

// Chain is where blocks come from; *client.Client is one.
type Chain interface {
	ChainID() string
	// Head is the newest block that exists.
	Head() (height int64, at time.Time)
	WaitHeight(ctx context.Context, height int64) error
	// BlockAt returns a block that exists, or an error when the node has
	// pruned it or does not answer.
	BlockAt(ctx context.Context, height int64) (client.Block, error)
	// Earliest is the oldest block that the node keeps.
	Earliest(ctx context.Context) (int64, error)
}

// Limits of one batch: large ones are faster, small ones are seen sooner.
const (
	maxBatchBlocks = 500
	maxBatchEvents = 20_000
	// behindBy is how many blocks late an index is said to be catching up.
	behindBy = 5
)

// Progress is how an index stands to its chain.
type Progress struct {
	State   string // following, catching_up, stalled, stopped
	Message string // in words, when there is something to say
	Node    int64  // newest block of the node; 0 before it answered
	Rebuilt bool
}

// Follower keeps a store up to date with a chain.
type Follower struct {
	store *Store
	chain Chain
	log   *slog.Logger

	mu       sync.Mutex
	progress Progress
	gap      string        // words about blocks that are missing for good
	from     int64         // first block that can be had; of the writer
	moved    chan struct{} // closed and replaced after each batch
}

// NewFollower follows chain into store; rebuilt says that Open emptied it.
func NewFollower(store *Store, chain Chain, rebuilt bool, log *slog.Logger) *Follower {
	return &Follower{store: store, chain: chain, log: log, moved: make(chan struct{}), progress: Progress{State: "catching_up", Rebuilt: rebuilt}}
}

// Progress returns how the index stands.
func (f *Follower) Progress() Progress {
	f.mu.Lock()
	p := f.progress
	if p.Message == "" {
		p.Message = f.gap
	}
	f.mu.Unlock()
	p.Node, _ = f.chain.Head()
	if behind := p.Node - f.store.Height(); p.State == "following" && behind > behindBy {
		p.State = "catching_up"
	}
	return p
}

// Moved returns a channel that is closed when the next blocks are indexed.
func (f *Follower) Moved() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved
}

// errWrite marks a failure of the database rather than of the node.
var errWrite = errors.New("the database of the index does not take blocks")

// Run indexes until ctx ends, and returns nil then. A node that fails is asked
// again, and so is a database server; only a file's own failure ends it.
func (f *Follower) Run(ctx context.Context) error {
	defer f.say("stopped", "the index is no longer kept up to date")
	if err := f.check(ctx); err != nil {
		return ended(ctx, err)
	}
	from, err := f.store.From(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	if f.from = from; from > 1 {
		f.missing(fmt.Sprintf("the node had pruned older blocks: sums begin at block %d", from))
	}
	wait := 50 * time.Millisecond
	for {
		next := max(f.store.Height()+1, f.from)
		if err := f.chain.WaitHeight(ctx, next); err != nil {
			return ended(ctx, err)
		}
		blocks, err := f.fetch(ctx, next)
		if len(blocks) > 0 {
			switch _, e := f.store.Apply(ctx, blocks); {
			case e == nil:
				f.advance()
				wait = 50 * time.Millisecond
			case !isURL(f.store.path) || ctx.Err() != nil:
				return ended(ctx, e)
			default:
				err = errors.Join(errWrite, e)
			}
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		f.stall(ctx, err)
		timer := time.NewTimer(wait)
		wait = min(2*wait, 5*time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *Follower) say(state, message string) {
	f.mu.Lock()
	f.progress.State, f.progress.Message = state, message
	f.mu.Unlock()
}

func (f *Follower) advance() {
	head, _ := f.chain.Head()
	f.mu.Lock()
	f.progress.State, f.progress.Message = "following", ""
	if head-f.store.Height() > behindBy {
		f.progress.State = "catching_up"
	}
	close(f.moved)
	f.moved = make(chan struct{})
	f.mu.Unlock()
}

// check makes the index anew when its newest block is not the chain's: the chain
// of that name was started again from nothing.
func (f *Follower) check(ctx context.Context) error {
	tip, err := f.store.Tip(ctx)
	if err != nil || tip.Height == 0 {
		return err
	}
	head, _ := f.chain.Head()
	same := head >= tip.Height
	if same {
		b, err := f.chain.BlockAt(ctx, tip.Height)
		if err != nil {
			f.log.Warn("newest indexed block cannot be compared", "height", tip.Height, "error", err)
			return nil
		}
		same = bytes.Equal(b.Hash, tip.Hash)
	}
	if same {
		return nil
	}
	f.log.Warn("index is of another history, making it anew", "height", tip.Height, "hash", fmt.Sprintf("%x", tip.Hash))
	f.mu.Lock()
	f.progress.Rebuilt = true
	f.mu.Unlock()
	return f.store.Reset(ctx, f.chain.ChainID())
}

// ahead is how many blocks are asked for at once while there are more: a node
// answers each in a millisecond or two, most of it on the way.
const ahead = 8

// fetch reads the blocks that follow, as many as make a batch. With an error it
// returns those before it.
func (f *Follower) fetch(ctx context.Context, next int64) ([]client.Block, error) {
	head, _ := f.chain.Head()
	var blocks []client.Block
	for events := 0; next <= head && len(blocks) < maxBatchBlocks && events < maxBatchEvents; {
		some := make([]client.Block, min(ahead, head-next+1))
		errs := make([]error, len(some))
		var wg sync.WaitGroup
		for i := range some {
			wg.Go(func() { some[i], errs[i] = f.chain.BlockAt(ctx, next+int64(i)) })
		}
		wg.Wait()
		for i, b := range some {
			if errs[i] != nil {
				return blocks, errs[i]
			}
			events += len(b.Events)
			for _, tx := range b.Txs {
				events += len(tx.Events)
			}
			blocks = append(blocks, b)
		}
		next += int64(len(some))
	}
	return blocks, nil
}

// stall says why the index does not move, and steps over blocks that the node has
// pruned.
func (f *Follower) stall(ctx context.Context, err error) {
	next := max(f.store.Height()+1, f.from)
	f.log.Warn("index blocks failed, trying again", "height", next, "error", err)
	if errors.Is(err, errWrite) {
		f.say("stalled", fmt.Sprintf("the database of the index does not take blocks since block %d: what is shown is as of that block", next-1))
		return
	}
	earliest, e := f.chain.Earliest(ctx)
	if e != nil {
		f.say("stalled", fmt.Sprintf("the node does not answer since block %d: what is shown is as of that block", next-1))
		return
	}
	if earliest <= next {
		f.say("stalled", fmt.Sprintf("the node answers but block %d cannot be read yet: %v", next, err))
		return
	}
	if err := f.store.Skip(ctx, earliest); err != nil {
		f.say("stalled", fmt.Sprintf("the index cannot be written: %v", err))
		return
	}
	f.from = earliest
	f.missing(fmt.Sprintf("the node had pruned blocks %d to %d before they were indexed: they are missing in sums", next, earliest-1))
}

func (f *Follower) missing(words string) {
	f.mu.Lock()
	f.gap = words
	f.mu.Unlock()
}

// newest sorts problems, newest first, and keeps n.
func newest(all []Problem, n int) []Problem {
	slices.SortStableFunc(all, func(a, b Problem) int { return cmp.Compare(b.Height, a.Height) })
	return all[:min(n, len(all))]
}

// Await returns when the block at height is indexed.
func (f *Follower) Await(ctx context.Context, height int64) error {
	for {
		moved := f.Moved()
		if f.store.Height() >= height {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for block %d in the index, which is at %d", height, f.store.Height()), ctx.Err())
		}
	}
}
