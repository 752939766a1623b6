package ledgerport

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/market"
)

// pageSize is how many entries one query asks for.
const pageSize = 200

// KindStorage is the kind of a storage offer.
const KindStorage = "storage"

// Port is one account's access to the ledger. It is safe for concurrent use.
type Port struct {
	c      *client.Client
	signer *client.Signer
	device devicepb.QueryClient
	market marketpb.QueryClient
	oracle oraclepb.QueryClient
	credit creditpb.QueryClient
}

// New makes the port of the account with key k. Its fees are paid by sponsor
// under an allowance, or by the account itself when sponsor is nil.
func New(c *client.Client, k key.Key, sponsor sdk.AccAddress) *Port {
	return &Port{
		c: c, signer: c.Signer(k, sponsor), device: devicepb.NewQueryClient(c.Conn()), market: marketpb.NewQueryClient(c.Conn()),
		oracle: oraclepb.NewQueryClient(c.Conn()), credit: creditpb.NewQueryClient(c.Conn()),
	}
}

// Address is the account's address.
func (p *Port) Address() string { return p.signer.Address().String() }

// ChainID is the ledger's chain id.
func (p *Port) ChainID() string { return p.c.ChainID() }

// send sends one transaction and waits for its block.
func (p *Port) send(ctx context.Context, msgs ...sdk.Msg) (client.Result, error) {
	return traced(ctx, p.signer.Send, msgs)
}

// Epoch returns the current epoch, from 1.
func (p *Port) Epoch(ctx context.Context) (uint64, error) {
	r, err := p.oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{})
	if err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	return r.Epoch.Number, nil
}

// WaitEpoch returns the current epoch as soon as it is above after. While the
// ledger does not answer it waits: an epoch cannot end without it.
func (p *Port) WaitEpoch(ctx context.Context, after uint64) (uint64, error) {
	for {
		height, _ := p.c.Head()
		e, err := p.Epoch(ctx)
		if err == nil && e > after {
			return e, nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("wait for the epoch after %d: %w", after, ctx.Err())
		}
		if err != nil && !errors.Is(err, client.ErrUnavailable) {
			return 0, err
		}
		if err := p.c.WaitHeight(ctx, height+1); err != nil {
			return 0, fmt.Errorf("wait for the epoch after %d: %w", after, err)
		}
	}
}

// pages calls ask with the key of each page until there is none.
func pages(ask func(*query.PageRequest) (*query.PageResponse, error)) error {
	page := &query.PageRequest{Limit: pageSize}
	for {
		r, err := ask(page)
		if err != nil {
			return err
		}
		if r == nil || len(r.NextKey) == 0 {
			return nil
		}
		page = &query.PageRequest{Limit: pageSize, Key: r.NextKey}
	}
}

// peer is what the ledger's registry says of a device.
type peer struct {
	owner    string
	id, key  [32]byte
	endpoint string
	active   bool
}

// peers returns every ed25519 device by id.
func (p *Port) peers(ctx context.Context) (map[[32]byte]peer, error) {
	out := map[[32]byte]peer{}
	err := pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		r, err := p.device.Devices(ctx, &devicepb.QueryDevicesRequest{Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		for i := range r.Devices {
			if d, ok := peerOf(&r.Devices[i]); ok {
				out[d.id] = d
			}
		}
		return r.Pagination, nil
	})
	return out, err
}

// peerOf reads a device; the tunnel authenticates ed25519 keys only, so a
// device with another key is no peer.
func peerOf(d *devicepb.Device) (peer, bool) {
	id, err := hex.DecodeString(d.Id)
	if err != nil || len(id) != 32 || d.KeyType != devicepb.KEY_TYPE_ED25519 || len(d.PublicKey) != 32 {
		return peer{}, false
	}
	return peer{
		owner: d.Owner, id: [32]byte(id), key: [32]byte(d.PublicKey), endpoint: d.Profile.Endpoint,
		active: d.Profile.Status == devicepb.STATUS_ACTIVE,
	}, true
}

// leases returns the leases a query selects, as core/lease works on them.
func (p *Port) leases(ctx context.Context, q marketpb.QueryLeasesRequest) ([]lease.Lease, error) {
	var out []lease.Lease
	err := pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		ask := q
		ask.Pagination = page
		r, err := p.market.Leases(ctx, &ask)
		if err != nil {
			return nil, fmt.Errorf("list leases: %w", err)
		}
		for _, l := range r.Leases {
			v, err := market.LeaseOf(l)
			if err != nil {
				return nil, fmt.Errorf("read lease %x: %w", l.Id, err)
			}
			out = append(out, v)
		}
		return r.Pagination, nil
	})
	return out, err
}

// lease returns one lease; the error is client.ErrNotFound when there is none.
func (p *Port) lease(ctx context.Context, id [32]byte) (lease.Lease, error) {
	r, err := p.market.Lease(ctx, &marketpb.QueryLeaseRequest{Id: id[:]})
	if err != nil {
		return lease.Lease{}, fmt.Errorf("read lease %x: %w", id, err)
	}
	return market.LeaseOf(r.Lease)
}

// settle hands in receipts and commitments, as many per transaction as the
// ledger takes.
func (p *Port) settle(ctx context.Context, receipts, commitments [][]byte) error {
	for len(receipts)+len(commitments) > 0 {
		m := &marketpb.MsgSettle{Signer: p.Address()}
		m.Receipts, receipts = cut(receipts, maxSettle)
		m.Commitments, commitments = cut(commitments, maxSettle-len(m.Receipts))
		if _, err := p.send(ctx, m); err != nil {
			return fmt.Errorf("settle %d receipts and %d commitments: %w", len(m.Receipts), len(m.Commitments), err)
		}
	}
	return nil
}

// maxSettle is how many receipts and commitments go into one transaction: well
// below the ledger's own limit, so that one bad item refuses few good ones.
const maxSettle = 64

func cut(all [][]byte, n int) (head, tail [][]byte) {
	n = min(n, len(all))
	return all[:n], all[n:]
}

func price(p marketpb.Price) money.Price { return money.Price{Credits: p.Credits, Per: p.Per} }

func lanePB(l lease.Lane) marketpb.Lane {
	return marketpb.Lane{Id: l.ID, Key: append([]byte(nil), l.Key[:]...), Cap: uint64(l.Cap), Expires: l.Expires}
}
