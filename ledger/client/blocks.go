package client

import (
	"context"
	"fmt"
	"time"
)

// Head returns the newest block this client has seen.
func (c *Client) Head() (height int64, at time.Time) {
	b, _ := c.hub.position()
	return b.Height, b.Time
}

// Blocks streams every block after the present head, in order and without gaps
// even across reconnections, until ctx ends; then the channel is closed. A slow
// reader falls behind, it loses nothing.
func (c *Client) Blocks(ctx context.Context) <-chan Block {
	head, _ := c.Head()
	return c.BlocksFrom(ctx, head+1)
}

// BlocksFrom is Blocks beginning at height, which may lie in the past as far as
// the node keeps blocks.
func (c *Client) BlocksFrom(ctx context.Context, height int64) <-chan Block {
	out := make(chan Block)
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		defer close(out)
		for ; ; height++ {
			b, ok := c.block(ctx, height)
			if !ok {
				return
			}
			select {
			case out <- b:
			case <-ctx.Done():
				return
			case <-c.hub.done:
				return
			}
		}
	}()
	return out
}

// WaitHeight returns when the block at height is committed.
func (c *Client) WaitHeight(ctx context.Context, height int64) error {
	for {
		head, moved := c.hub.position()
		if head.Height >= height {
			return nil
		}
		select {
		case <-moved:
		case <-c.hub.done:
			return ErrUnavailable
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaken waits until the newest block is young enough for a transaction.
func (c *Client) awaken(ctx context.Context) error {
	for {
		height, at := c.Head()
		lag := time.Since(at)
		if lag < maxLag {
			return nil
		}
		if err := c.WaitHeight(ctx, height+1); err != nil {
			return fmt.Errorf("wait for the ledger, whose newest block %d is %s old: %w", height, lag.Round(time.Second), err)
		}
	}
}

// block returns the block at height as soon as it exists; false if ctx or the
// client ended first.
func (c *Client) block(ctx context.Context, height int64) (Block, bool) {
	if c.WaitHeight(ctx, height) != nil {
		return Block{}, false
	}
	if b, ok := c.hub.cached(height); ok {
		return b, true
	}
	for wait := newBackoff(); ; {
		b, err := c.hub.fetch(ctx, height)
		if err == nil {
			return b, true
		}
		c.log.Warn("read block failed, trying again", "height", height, "error", err)
		select {
		case <-c.hub.done:
			return Block{}, false
		default:
		}
		if !wait.sleep(ctx) {
			return Block{}, false
		}
	}
}
