package score

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
)

// Leaf is everything a device ever earned as bonus. The leaves of a report are
// cumulative, so that one claim covers all the past.
type Leaf struct {
	Device   [32]byte
	Lifetime money.Grain
}

// State is where scoring stands after an epoch: the leaves, sorted by device.
// The zero State is before the first epoch.
type State struct {
	Epoch  uint64
	Leaves []Leaf
}

// Report is what validators vote on for an epoch.
type Report struct {
	Vertical string
	Epoch    uint64
	Rewards  merkle.SumRoot // of the leaves; Total is Σ of all lifetimes
	Inputs   merkle.Hash
}

// Next adds an epoch's usage and evidence to a state, which it does not change, and returns
// the new state, the report on it and the bonuses it came from. The epoch must
// be later than the state's (ErrOrder).
func (s State) Next(terms Terms, usage []Usage, lines ...Line) (State, Report, []Bonus, error) {
	if terms.Epoch <= s.Epoch {
		return State{}, Report{}, nil, fmt.Errorf("score epoch %d after %d: %w", terms.Epoch, s.Epoch, ErrOrder)
	}
	before, err := s.Tree()
	if err != nil {
		return State{}, Report{}, nil, err
	}
	bonuses, err := Compute(terms, usage, lines...)
	if err != nil {
		return State{}, Report{}, nil, err
	}
	leaves, err := accumulate(before.Leaves(), bonuses)
	if err != nil {
		return State{}, Report{}, nil, fmt.Errorf("score epoch %d: %w", terms.Epoch, err)
	}
	next := State{Epoch: terms.Epoch, Leaves: leaves}
	tree, err := next.Tree()
	if err != nil {
		return State{}, Report{}, nil, err
	}
	return next, Report{
		Vertical: terms.Vertical,
		Epoch:    terms.Epoch,
		Rewards:  tree.Root(),
		Inputs:   Inputs(terms, before.Root().Hash, bonuses),
	}, bonuses, nil
}

// accumulate merges two lists that are sorted by device. A device gets a leaf
// with its first bonus above zero.
func accumulate(before []merkle.SumLeaf, bonuses []Bonus) ([]Leaf, error) {
	out := make([]Leaf, 0, len(before)+len(bonuses))
	for len(before) > 0 || len(bonuses) > 0 {
		var order int
		switch {
		case len(before) == 0:
			order = 1
		case len(bonuses) == 0:
			order = -1
		default:
			order = bytes.Compare(before[0].Key[:], bonuses[0].Device[:])
		}
		switch {
		case order < 0:
			out = append(out, Leaf{before[0].Key, money.Grain(before[0].Amount)})
			before = before[1:]
		case order > 0:
			if bonuses[0].Amount > 0 {
				out = append(out, Leaf{bonuses[0].Device, bonuses[0].Amount})
			}
			bonuses = bonuses[1:]
		default:
			sum, err := money.Add(money.Grain(before[0].Amount), bonuses[0].Amount)
			if err != nil {
				return nil, fmt.Errorf("device %x: %w", before[0].Key, err)
			}
			out = append(out, Leaf{before[0].Key, sum})
			before, bonuses = before[1:], bonuses[1:]
		}
	}
	return out, nil
}

// Tree is the Merkle-sum tree over the leaves. It refuses a device that occurs
// twice (merkle.ErrDuplicate) and a sum beyond 64 bits.
func (s State) Tree() (*merkle.SumTree, error) {
	leaves := make([]merkle.SumLeaf, len(s.Leaves))
	for i, l := range s.Leaves {
		leaves[i] = merkle.SumLeaf{Key: l.Device, Amount: uint64(l.Lifetime)}
	}
	t, err := merkle.NewSumTree(leaves, ^uint64(0))
	if err != nil {
		return nil, fmt.Errorf("build leaves of epoch %d: %w", s.Epoch, err)
	}
	return t, nil
}

// Lifetime is what a device earned up to the state's epoch. Leaves are sorted.
func (s State) Lifetime(device [32]byte) money.Grain {
	i, found := slices.BinarySearchFunc(s.Leaves, device, func(l Leaf, d [32]byte) int { return bytes.Compare(l.Device[:], d[:]) })
	if !found {
		return 0
	}
	return s.Leaves[i].Lifetime
}

// Inputs commits to everything a report was computed from: the root of the
// history tree whose first leaf is
//
//	"grange/score/v2" in 24 B ‖ sha256(vertical) ‖ epoch ‖ pool ‖ grant ‖ rebate ‖ price ‖ evidence ‖ root of the leaves before
//
// and whose other leaves are device ‖ burned ‖ weight ‖ penalty, sorted by
// device. Numbers are 64 bits, big endian.
func Inputs(terms Terms, before merkle.Hash, bonuses []Bonus) merkle.Hash {
	var domain [24]byte
	copy(domain[:], "grange/score/v2")
	vertical := sha256.Sum256([]byte(terms.Vertical))
	head := append(domain[:], vertical[:]...)
	for _, n := range []uint64{terms.Epoch, uint64(terms.Pool), uint64(terms.Grant), uint64(terms.Rebate), terms.Price} {
		head = binary.BigEndian.AppendUint64(head, n)
	}
	head = append(head, terms.Evidence[:]...)
	var log merkle.Log
	log.Append(append(head, before[:]...))
	for _, b := range bonuses {
		leaf := append([]byte(nil), b.Device[:]...)
		for _, n := range []uint64{uint64(b.Burned), b.Weight, uint64(b.Penalty)} {
			leaf = binary.BigEndian.AppendUint64(leaf, n)
		}
		log.Append(leaf)
	}
	return log.Root()
}
