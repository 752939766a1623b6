package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/ledger/chain"
)

// Shape of an epoch: each payer has receipts with many devices.
const (
	payers     = 1_000
	earning    = 100_000 // devices with usage
	batchSize  = 1_024
	oldDevices = 900_000 // devices with a leaf from before
)

func seedKey(role string, n int) ed25519.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(role), uint64(n)))
	return ed25519.NewKeyFromSeed(seed[:])
}

// receipts measures an epoch's work of an oracle: every receipt verified, the
// usage scored, all lifetimes rooted.
func receipts(_ context.Context, s settings, _ string) ([]row, error) {
	n := s.of(1_000_000)
	batch, err := parallel(n, func(from, to int) ([]receipt.Signed, error) { return signed(from, to) })
	if err != nil {
		return nil, err
	}
	before := score.State{Epoch: 1}
	for i := range s.of(oldDevices) {
		before.Leaves = append(before.Leaves, score.Leaf{Device: deviceOf(i), Lifetime: 1_000})
	}
	took, err := measure(func() error {
		usage, err := parallel(n, func(from, to int) ([]score.Usage, error) { return verified(batch[from:to]) })
		if err != nil {
			return err
		}
		terms := score.Terms{Vertical: "bench", Epoch: 2, Pool: 1 << 50, Rebate: 8_000, Price: 1_000_000}
		_, _, _, err = before.Next(terms, usage)
		return err
	})
	if err != nil {
		return nil, err
	}
	bare, err := measure(func() error {
		_, err := parallel(n, func(from, to int) ([]struct{}, error) { return nil, library(batch[from:to]) })
		return err
	})
	what := fmt.Sprintf("%s receipts verified, scored and rooted (%s leaves)", benchtable.Human(float64(n)), benchtable.Human(float64(len(before.Leaves))))
	bound := "their signatures straight into curve25519-voi"
	target := 30 * float64(n) / 1_000_000
	return []row{
		{What: what + fmt.Sprintf(", on %d cores", runtime.NumCPU()), Unit: "s", Ours: took.wall.Seconds(), Target: target, Less: true, Bound: bare.wall.Seconds(), BoundIs: bound},
		{What: what + ", processor", Unit: "CPU-s", Ours: took.cpu.Seconds(), Target: 2 * target, Less: true, Bound: bare.cpu.Seconds(), BoundIs: bound},
	}, err
}

// parallel splits 0..n among the cores and joins what they return, in order.
func parallel[T any](n int, f func(from, to int) ([]T, error)) ([]T, error) {
	cores := runtime.NumCPU()
	parts, errs := make([][]T, cores), make([]error, cores)
	var wg sync.WaitGroup
	for c := range cores {
		wg.Go(func() { parts[c], errs[c] = f(n*c/cores, n*(c+1)/cores) })
	}
	wg.Wait()
	var all []T
	for c := range cores {
		if errs[c] != nil {
			return nil, errs[c]
		}
		all = append(all, parts[c]...)
	}
	return all, nil
}

func deviceOf(n int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("device"), uint64(n)))
}

var benchChain = receipt.ChainOf(chain.LocalID)

func signed(from, to int) ([]receipt.Signed, error) {
	out := make([]receipt.Signed, 0, to-from)
	keys := map[string]ed25519.PrivateKey{}
	cached := func(role string, n int) ed25519.PrivateKey {
		name := fmt.Sprint(role, n)
		if keys[name] == nil {
			keys[name] = seedKey(role, n)
		}
		return keys[name]
	}
	for i := from; i < to; i++ {
		payer, provider := cached("payer", i%payers), cached("provider", i%earning)
		r := receipt.Receipt{Lease: deviceOf(i % earning), Lane: uint32(i % payers), Seq: 1, Units: uint64(i) + 1, Epoch: 2}
		if err := r.SignPayer(benchChain, payer); err != nil {
			return nil, err
		}
		if err := r.CountersignProvider(benchChain, provider); err != nil {
			return nil, err
		}
		out = append(out, receipt.Signed{
			Receipt: r, Payer: receipt.Key(payer.Public().(ed25519.PublicKey)), Provider: receipt.Key(provider.Public().(ed25519.PublicKey)),
		})
	}
	return out, nil
}

// verified checks receipts in batches and returns what each burned: 3 % of a
// price of 1 ucredit a unit.
func verified(all []receipt.Signed) ([]score.Usage, error) {
	usage := make([]score.Usage, 0, len(all))
	for len(all) > 0 {
		batch := all[:min(batchSize, len(all))]
		all = all[len(batch):]
		if errs := receipt.VerifyBatch(benchChain, batch); errs != nil {
			return nil, fmt.Errorf("verify a batch of %d receipts: %w", len(batch), errors.Join(errs...))
		}
		for _, s := range batch {
			burned := s.Receipt.Units * 300 / 10_000
			usage = append(usage, score.Usage{Device: s.Receipt.Lease, Epoch: 2, Burned: money.Credit(burned)})
		}
	}
	return usage, nil
}

// library is the least that checking them can take.
func library(all []receipt.Signed) error {
	for len(all) > 0 {
		batch := all[:min(batchSize, len(all))]
		all = all[len(batch):]
		v := voi.NewBatchVerifierWithCapacity(2 * len(batch)).ForceNoPublicKeyExpansion()
		for _, s := range batch {
			encoded := s.Receipt.Encode()
			v.Add(s.Payer[:], encoded, s.Receipt.PayerSig[:])
			v.Add(s.Provider[:], encoded, s.Receipt.ProviderSig[:])
		}
		v.VerifyBatchOnly(nil) // over other bytes than were signed: the work is the same
	}
	return nil
}
