package notary

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
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
	return tunnel.Answers(receipt.Size+sha256.Size, map[string]func(context.Context, []byte) ([]byte, error){"/sight": p.sight, "/stamp": p.stamp})
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

// stamp gives one stamp for a receipt that pays for it.
func (p *Provider) stamp(ctx context.Context, raw []byte) ([]byte, error) {
	epoch, err := p.Ledger.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	return p.Payee.Sell(ctx, raw, sha256.Size, epoch, 1, func(hash []byte) []byte {
		now := time.Now().Unix()
		return append(binary.BigEndian.AppendUint64(nil, uint64(now)), ed25519.Sign(p.Key, message("stamp", [32]byte(hash), now))...)
	})
}

// Run looks at the other notaries once a slot; when an epoch is over it publishes
// what it saw and hands in receipts. It returns when ctx ends.
func (p *Provider) Run(ctx context.Context) {
	tick := time.NewTicker(SlotSeconds * time.Second)
	defer tick.Stop()
	for last := uint64(0); ; {
		epoch, err := p.Ledger.Epoch(ctx)
		if err == nil && epoch > last {
			err = errors.Join(
				evidence.PublishRows(ctx, p.Archive, Name, last, p.Cutter, Sight.segment, p.sights), p.Ledger.Settle(ctx, p.Payee.Newest()))
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
