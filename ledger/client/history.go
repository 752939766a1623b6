package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// BlockAt returns the committed block at height without trying again: a node
// that has pruned it, or does not answer, is an error.
func (c *Client) BlockAt(ctx context.Context, height int64) (Block, error) {
	if b, ok := c.hub.cached(height); ok {
		return b, nil
	}
	return c.hub.fetch(ctx, height)
}

// Earliest returns the oldest block that the node still keeps.
func (c *Client) Earliest(ctx context.Context) (int64, error) {
	s, err := c.rpc.Status(ctx)
	if err != nil {
		return 0, rpcError("read status of node", err)
	}
	return s.SyncInfo.EarliestBlockHeight, nil
}

// Round returns the state of the consensus round under way, as CometBFT's
// consensus_state writes it.
func (c *Client) Round(ctx context.Context) (json.RawMessage, error) {
	r, err := c.rpc.ConsensusState(ctx)
	if err != nil {
		return nil, rpcError("read consensus state", err)
	}
	if len(r.RoundState) == 0 {
		return nil, fmt.Errorf("read consensus state: empty answer: %w", ErrUnavailable)
	}
	return r.RoundState, nil
}
