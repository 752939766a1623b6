package notary

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/tunnel"
)

// Ledger is what a notary needs of it.
type Ledger interface {
	Epoch(ctx context.Context) (uint64, error)
	Settle(ctx context.Context, receipts []receipt.Receipt) error
	// Notaries lists the devices with an open offer, this one too.
	Notaries(ctx context.Context) ([]tunnel.Target, error)
}

// Provider is one notary.
type Provider struct {
	Key     ed25519.PrivateKey // of the device
	Payee   *prepaid.Payee
	Ledger  Ledger
	Archive *evidence.Archive
	Cutter  evidence.Cutter[Sight] // with its folder
	Dialer  *tunnel.Dialer         // dials with Key
	Log     *slog.Logger
	sights  []Sight // of the epoch under way
}

// Handler answers gateways and other notaries, over the tunnel.
func (p *Provider) Handler() http.Handler {
	return tunnel.Answers(stampRequest, map[string]func(context.Context, []byte) ([]byte, error){"/sight": p.sight, "/stamp": p.stamp})
}

func (p *Provider) sight(ctx context.Context, raw []byte) ([]byte, error) {
	witness, known := tunnel.PeerKey(ctx)
	if len(raw) != 8 || !known {
		return nil, fmt.Errorf("answer a sight of %d bytes: want 8, over the tunnel", len(raw))
	}
	at := int64(binary.BigEndian.Uint64(raw))
	if late := time.Now().Unix() - at; late < -SlotSeconds || late > SlotSeconds {
		return nil, fmt.Errorf("answer a sight of %d s ago: want now", late)
	}
	return ed25519.Sign(p.Key, message("answer", witness, at)), nil
}

const stampRequest = receipt.Size + 32

// stamp gives one stamp for a receipt that pays for it.
func (p *Provider) stamp(ctx context.Context, raw []byte) ([]byte, error) {
	r, hash, err := decodeStamp(raw)
	if err != nil {
		return nil, err
	}
	epoch, err := p.Ledger.Epoch(ctx)
	if err == nil {
		r, err = p.Payee.Take(ctx, r, epoch, 1)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now().Unix()
	out := binary.BigEndian.AppendUint64(r.Encode(), uint64(now))
	return append(out, ed25519.Sign(p.Key, message("stamp", hash, now))...), nil
}

func decodeStamp(raw []byte) (r receipt.Receipt, hash [32]byte, err error) {
	if len(raw) != stampRequest {
		return r, hash, fmt.Errorf("decode stamp: %d bytes, want %d", len(raw), stampRequest)
	}
	r, err = receipt.Decode(raw[:receipt.Size])
	return r, [32]byte(raw[receipt.Size:]), err
}

// Run looks at the other notaries once a slot; when an epoch is over it publishes
// what it saw and hands in receipts. It returns when ctx ends.
func (p *Provider) Run(ctx context.Context) {
	tick := time.NewTicker(SlotSeconds * time.Second)
	defer tick.Stop()
	for last := uint64(0); ; {
		epoch, err := p.Ledger.Epoch(ctx)
		if err == nil && epoch > last {
			err = errors.Join(p.publish(ctx, last), p.Ledger.Settle(ctx, p.Payee.Newest()))
			last, p.sights = epoch, nil
		}
		if err = errors.Join(err, p.look(ctx)); err != nil && ctx.Err() == nil {
			p.Log.Warn("notary", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Provider) look(ctx context.Context) error {
	others, err := p.Ledger.Notaries(ctx)
	me, now := [32]byte(p.Key.Public().(ed25519.PublicKey)), time.Now().Unix()
	for _, o := range others {
		if o.Peer == me {
			continue
		}
		s := Sight{Device: o.Peer, Witness: me, Time: now, Seal: [64]byte(ed25519.Sign(p.Key, message("seal", o.Peer, now)))}
		answer, e := p.Dialer.Call(ctx, o, "/sight", binary.BigEndian.AppendUint64(nil, uint64(now)), len(s.Answer))
		if e == nil {
			s.Answer = [64]byte(answer)
			p.sights = append(p.sights, s)
		}
		err = errors.Join(err, e)
	}
	return err
}

func (p *Provider) publish(ctx context.Context, epoch uint64) error {
	return evidence.PublishRows(ctx, p.Archive, Name, epoch, p.Cutter, Sight.segment, p.sights)
}
