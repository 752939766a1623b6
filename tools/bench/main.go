// Command bench measures plain transfers on go-ethereum's simulated backend and
// prints how many it executes for a second of processor, for the table of
// ledger/bench. It is a module of its own because the library is LGPL: nothing of
// it is linked into what the project ships.
package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"syscall"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
)

const (
	accounts = 1_000
	perBlock = 1_000
	gas      = 21_000
)

func main() {
	n := flag.Int("n", 20_000, "how many transfers")
	flag.Parse()
	rate, checks, err := run(context.Background(), *n)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{"transfers_per_cpu_second": rate, "verifications_per_cpu_second": checks})
}

// run executes n transfers and returns transfers and signature recoveries for a
// second of processor.
func run(ctx context.Context, n int) (rate, checks float64, err error) {
	keys := make([]*ecdsa.PrivateKey, accounts)
	alloc := types.GenesisAlloc{}
	for i := range keys {
		if keys[i], err = crypto.GenerateKey(); err != nil {
			return 0, 0, err
		}
		alloc[address(keys[i])] = types.Account{Balance: new(big.Int).Lsh(big.NewInt(1), 100)}
	}
	b := simulated.NewBackend(alloc, simulated.WithBlockGasLimit(perBlock*gas*2))
	defer b.Close()
	chain, err := b.Client().ChainID(ctx)
	if err != nil {
		return 0, 0, err
	}
	signer := types.LatestSignerForChainID(chain)
	txs := make([]*types.Transaction, n)
	for i := range txs {
		to := address(keys[(i+1)%accounts])
		txs[i], err = types.SignNewTx(keys[i%accounts], signer, &types.DynamicFeeTx{
			ChainID: chain, Nonce: uint64(i / accounts), Gas: gas, To: &to, Value: big.NewInt(1),
			GasFeeCap: big.NewInt(10_000_000_000), GasTipCap: big.NewInt(1_000_000_000),
		})
		if err != nil {
			return 0, 0, err
		}
	}
	before := processor()
	for i, tx := range txs {
		if err := b.Client().SendTransaction(ctx, tx); err != nil {
			return 0, 0, fmt.Errorf("transfer %d: %w", i, err)
		}
		if (i+1)%perBlock == 0 || i+1 == n {
			b.Commit()
		}
	}
	rate = float64(n) / (processor() - before)
	last, err := b.Client().NonceAt(ctx, address(keys[0]), nil)
	if err != nil || last != uint64((n+accounts-1)/accounts) {
		return 0, 0, fmt.Errorf("account 0 is at nonce %d after %d transfers: %w", last, n, err)
	}
	return rate, recoveries(txs[0], signer, min(n, 5_000)), nil
}

func recoveries(tx *types.Transaction, signer types.Signer, n int) float64 {
	hash := signer.Hash(tx)
	v, r, s := tx.RawSignatureValues()
	signature := make([]byte, 65)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:64])
	signature[64] = byte(v.Uint64())
	before := processor()
	for range n {
		if _, err := crypto.SigToPub(hash[:], signature); err != nil {
			panic(fmt.Sprintf("recover: %v", err)) // it was signed a moment ago
		}
	}
	return float64(n) / (processor() - before)
}

func address(k *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(k.PublicKey) }

// processor is the processor time of this process so far, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("read processor time: %v", err)) // the arguments are constants
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
