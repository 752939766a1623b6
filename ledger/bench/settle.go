package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Settlements come from so many lanes of one lease, one after the other in each.
const (
	lanes        = 8
	laneReceipts = 40
)

// settle measures how many blocks a receipt waits from being handed in to being
// paid, while others transfer.
func settle(ctx context.Context, s settings, dir string) (rows []row, err error) {
	w, err := found(ctx, dir, 1, lanes+2_000, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	l, err := w.lease(ctx)
	if err != nil {
		return nil, err
	}
	node, err := rpchttp.New("tcp://"+w.nodes[0].RPC, "/websocket")
	if err != nil {
		return nil, err
	}
	busy, stopLoad := context.WithCancel(ctx)
	var load sync.WaitGroup
	defer load.Wait()
	defer stopLoad()
	load.Go(func() { w.others(busy, node) })

	waits := make([][]waited, lanes)
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() { waits[lane], errs[lane] = w.settleLane(ctx, node, l, lane, s.of(laneReceipts)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := slices.Concat(waits...)
	blocks := percentile99(all, func(w waited) float64 { return float64(w.blocks) })
	seconds := percentile99(all, func(w waited) float64 { return w.time.Seconds() })
	return []row{
		{What: fmt.Sprintf("a settlement waits, p99 of %d beside 100 transfers a second", len(all)), Unit: "blocks", Ours: blocks, Target: 2, Less: true, Bound: 1, BoundIs: "the next block"},
		{What: "the same, simulation and signing included", Unit: "s", Ours: seconds, Bound: 1, BoundIs: "the pause between blocks"},
	}, nil
}

// waited is how long a settlement took until it was in a block.
type waited struct {
	blocks int64
	time   time.Duration
}

func percentile99(all []waited, of func(waited) float64) float64 {
	values := make([]float64, 0, len(all))
	for _, w := range all {
		values = append(values, of(w))
	}
	slices.Sort(values)
	return values[(len(values)*99+99)/100-1]
}

// agreement is a lease with a device of accounts[0], paid by accounts[1].
type agreement struct {
	id     [32]byte
	device ed25519.PrivateKey
}

func (w *network) lease(ctx context.Context) (l agreement, err error) {
	l.device = seedKey("settler", 0)
	public := l.device.Public().(ed25519.PublicKey)
	key, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	if err != nil {
		return l, err
	}
	id, owner, payer := key.ID(), w.accounts[0], w.accounts[1]
	message, err := coredevice.RegisterBytes(w.client.ChainID(), owner.address, 1)
	if err != nil {
		return l, err
	}
	price := marketpb.Price{Credits: 1, Per: 1}
	accept := &marketpb.MsgAccept{Payer: payer.address.String(), OfferId: 1, Capacity: 1, Use: price, Hold: price, HoldBudget: 1_000}
	for n := range lanes {
		accept.Lanes = append(accept.Lanes, marketpb.Lane{Id: uint32(n), Key: seedKey("lane", n).Public().(ed25519.PublicKey), Cap: 1_000_000})
	}
	if _, err := w.client.Signer(owner.key, nil).Send(ctx,
		&devicepb.MsgRegister{
			Owner: owner.address.String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
			Signature: ed25519.Sign(l.device, message), Profile: devicepb.Profile{Class: devicepb.CLASS_DRN},
		},
		&marketpb.MsgPost{Owner: owner.address.String(), Device: id[:], Kind: "compute", Use: price, Hold: price, Capacity: 1, Bond: 1_000_000_000},
	); err != nil {
		return l, err
	}
	r, err := w.client.Signer(payer.key, nil).Send(ctx, accept)
	if err != nil {
		return l, err
	}
	var out marketpb.MsgAcceptResponse
	if err := r.Response(0, &out); err != nil {
		return l, err
	}
	l.id = [32]byte(out.LeaseId)
	return l, nil
}

// settleLane hands in n receipts of a lane, one after the other.
func (w *network) settleLane(ctx context.Context, node *rpchttp.HTTP, l agreement, lane, n int) (waits []waited, err error) {
	signer := w.client.Signer(w.accounts[2+lane].key, nil)
	for i := range n {
		r := receipt.Receipt{Lease: l.id, Lane: uint32(lane), Seq: uint64(i + 1), Units: uint64(100 * (i + 1)), Epoch: 1}
		if err := r.SignPayer(benchChain, seedKey("lane", lane)); err != nil {
			return nil, err
		}
		if err := r.CountersignProvider(benchChain, l.device); err != nil {
			return nil, err
		}
		from, err := height(ctx, node)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		in, err := signer.Send(ctx, &marketpb.MsgSettle{Signer: signer.Address().String(), Receipts: [][]byte{r.Encode()}})
		if err != nil {
			return nil, fmt.Errorf("lane %d, receipt %d: %w", lane, i+1, err)
		}
		waits = append(waits, waited{in.Height - from, time.Since(began)})
		if err := pause(ctx, time.Duration(i%7)*30*time.Millisecond); err != nil { // not in step with the blocks
			return nil, err
		}
	}
	return waits, nil
}

// others transfer until ctx ends, about a hundred times a second.
func (w *network) others(ctx context.Context, node *rpchttp.HTTP) {
	rest := w.accounts[2+lanes:]
	for i := 0; ; i++ {
		from := rest[i%len(rest)]
		tx, err := from.sign(ctx, w.client.Encoding(), w.client.ChainID(), sendGas, []sdk.Msg{send(from, rest[(i+1)%len(rest)])}...)
		if err != nil || pause(ctx, 10*time.Millisecond) != nil {
			return
		}
		_, _ = node.BroadcastTxSync(ctx, tx) // it is load: one less does no harm
	}
}
