package simulation

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/market"
)

var (
	onlySeed = flag.Uint64("seed", 0, "run this seed alone; 0 runs all")
	blocks   = flag.Int("blocks", 500, "blocks of a run")
)

// seeds are those of continuous integration.
const seeds = 10

func TestSimulation(t *testing.T) {
	last := uint64(seeds)
	if testing.Short() {
		last = 1
	}
	for seed := uint64(1); seed <= last; seed++ {
		if *onlySeed != 0 {
			seed, last = *onlySeed, *onlySeed
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("run it again: go test ./ledger/simulation -run 'TestSimulation$' -seed %d -blocks %d", seed, *blocks)
				}
			})
			simulate(t, seed, *blocks)
		})
	}
}

// simulate runs blocks of random messages, is reborn in the middle, and winds
// everything down at the end.
func simulate(t *testing.T, seed uint64, blocks int) *world {
	w := newWorld(t, seed)
	w.step(nil)
	state := w.invariants(nil)
	for n := range blocks {
		w.wait()
		msgs := append(w.duties(state.view), w.traffic(state.view)...)
		if n == blocks/2 {
			w.reborn(msgs)
		} else {
			w.step(msgs)
		}
		state = w.invariants(state)
	}
	w.windDown(state)
	t.Logf("%d blocks, epoch %d\n%s", w.height, state.epoch.Number, w.summary())
	return w
}

// windDown closes all leases, lets the longest wait pass, and checks that nothing
// is stuck: no lease stays open and no credit stays in the market (invariant 9).
func (w *world) windDown(state *past) {
	w.Helper()
	var ends []sdk.Msg
	for _, l := range state.view.leases {
		ends = append(ends, &marketpb.MsgClose{Signer: l.Payer, LeaseId: l.Id})
	}
	for _, s := range state.standings {
		ends = append(ends, &marketpb.MsgClose{Signer: s.Payer, LeaseId: s.Id})
	}
	for msgs := range slices.Chunk(ends, 20) {
		w.step(msgs)
		state = w.invariants(state)
	}
	for until := state.epoch.Number + 16; state.epoch.Number < until; {
		w.wait()
		w.step(w.duties(state.view))
		state = w.invariants(state)
	}
	for _, l := range state.view.leases {
		if l.State != marketpb.LEASE_STATE_CLOSED {
			w.Fatalf("invariant 9: lease %x is still %s, next epoch %d of %d", l.Id[:4], l.State, l.Next, state.epoch.Number)
		}
	}
	for _, s := range state.standings {
		if s.State != marketpb.LEASE_STATE_CLOSED {
			w.Fatalf("invariant 9: standing lease %x is still %s with %d disputes", s.Id[:4], s.State, s.Disputes)
		}
	}
	if left := state.balances[module(market.ModuleName)].AmountOf("ucredit"); !left.IsZero() {
		w.Fatalf("invariant 9: %s ucredit are left in the market", left)
	}
}

// The same seed makes the same chain, to the last byte.
func TestRunsAreDeterministic(t *testing.T) {
	first, second := simulate(t, 99, 40), simulate(t, 99, 40)
	if a, b := first.last.result.AppHash, second.last.result.AppHash; !bytes.Equal(a, b) || first.height != second.height {
		t.Fatalf("app hash %X at height %d and %X at %d", a, first.height, b, second.height)
	}
}
