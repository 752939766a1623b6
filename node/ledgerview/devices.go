package ledgerview

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Device is a registered device.
type Device struct {
	ID           string   `json:"id"`
	DID          string   `json:"did"`
	Owner        string   `json:"owner"`
	Key          string   `json:"public_key"`
	KeyType      string   `json:"key_type"`
	Class        string   `json:"class"`
	Status       string   `json:"status"`
	Cell         string   `json:"cell,omitempty"` // H3, asserted by its owner
	Endpoint     string   `json:"endpoint"`
	Capabilities []string `json:"capabilities"`
	Payouts      []Payout `json:"payouts"`
	Registered   int64    `json:"registered_height"`
	Offers       []Offer  `json:"offers"`
}

// Payout sends a part of what a device earns to somebody else.
type Payout struct {
	To    string `json:"to"`
	BPS   uint32 `json:"bps"`
	Denom string `json:"denom,omitempty"`
	Cap   uint64 `json:"cap,omitempty"`
	Paid  uint64 `json:"paid"`
	Lien  bool   `json:"lien"`
}

// Price is credits ucredit for every per units.
type Price struct {
	Credits uint64 `json:"credits"`
	Per     uint64 `json:"per"`
}

// Offer is supply on the market.
type Offer struct {
	ID       uint64 `json:"id"`
	Owner    string `json:"owner"`
	Device   string `json:"device"`
	Kind     string `json:"kind"`
	Use      Price  `json:"use"`
	Hold     Price  `json:"hold"`
	Capacity uint64 `json:"capacity"`
	Sold     uint64 `json:"sold"`
	Bond     uint64 `json:"bond_ugrain"`
	Slashed  uint64 `json:"slashed_ugrain"`
	Leases   uint32 `json:"leases"`
	Status   string `json:"status"`
}

// Devices returns every device with its offers, in the order of their ids.
func (v *View) Devices(ctx context.Context) ([]Device, error) {
	offers, err := v.Offers(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string][]Offer{}
	for _, o := range offers {
		by[o.Device] = append(by[o.Device], o)
	}
	out := []Device{}
	err = pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		r, err := v.device.Devices(ctx, &devicepb.QueryDevicesRequest{Pagination: p})
		if err != nil {
			return nil, v.explain("list devices", err)
		}
		for i := range r.Devices {
			d := deviceOf(&r.Devices[i])
			d.Offers = append(d.Offers, by[d.ID]...)
			out = append(out, d)
		}
		return r.Pagination, nil
	})
	return out, err
}

// Device returns the device whose id is, or begins with, id.
func (v *View) Device(ctx context.Context, id string) (Device, error) {
	all, err := v.Devices(ctx)
	if err != nil {
		return Device{}, err
	}
	return pick("device", id, all, func(d Device) string { return d.ID })
}

// pick finds the one of all whose id begins with want.
func pick[T any](what, want string, all []T, id func(T) string) (T, error) {
	var zero T
	want = strings.ToLower(want)
	var found []T
	for _, x := range all {
		if strings.HasPrefix(id(x), want) {
			found = append(found, x)
		}
	}
	switch {
	case want == "" || len(found) == 0:
		return zero, fmt.Errorf("find %s %s: %w", what, want, ErrNotFound)
	case len(found) > 1:
		return zero, fmt.Errorf("find %s %s: %d begin with it, first %s and %s: give more of the id", what, want, len(found), id(found[0]), id(found[1]))
	}
	return found[0], nil
}

func deviceOf(d *devicepb.Device) Device {
	out := Device{
		ID: d.Id, DID: d.Did, Owner: d.Owner, Key: hex.EncodeToString(d.PublicKey),
		KeyType: lastWord(d.KeyType.String()), Class: lastWord(d.Profile.Class.String()), Status: lastWord(d.Profile.Status.String()),
		Endpoint: d.Profile.Endpoint, Capabilities: append([]string{}, d.Profile.Capabilities...),
		Payouts: []Payout{}, Registered: d.RegisteredHeight, Offers: []Offer{},
	}
	if d.Profile.Cell != 0 {
		out.Cell = h3.Cell(d.Profile.Cell).String()
	}
	for _, s := range d.Payouts {
		out.Payouts = append(out.Payouts, Payout{To: s.To, BPS: s.Bps, Denom: s.Denom, Cap: s.Cap, Paid: s.Paid, Lien: s.Lien})
	}
	return out
}

// Offers returns every offer, in the order of their numbers.
func (v *View) Offers(ctx context.Context) ([]Offer, error) {
	out := []Offer{}
	err := pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		r, err := v.market.Offers(ctx, &marketpb.QueryOffersRequest{Pagination: p})
		if err != nil {
			return nil, v.explain("list offers", err)
		}
		for _, o := range r.Offers {
			out = append(out, Offer{
				ID: o.Id, Owner: o.Owner, Device: hex.EncodeToString(o.Device), Kind: o.Kind,
				Use: Price(o.Use), Hold: Price(o.Hold), Capacity: o.Capacity, Sold: o.Sold,
				Bond: o.Bond, Slashed: o.Slashed, Leases: o.Leases, Status: lastWord(o.Status.String()),
			})
		}
		return r.Pagination, nil
	})
	return out, err
}

// Outcome is what an epoch says of a device.
type Outcome struct {
	Outcome   string `json:"outcome"`              // open, proven, faulted
	DecidedBy uint64 `json:"decided_by,omitempty"` // epoch it comes from
}

// Outcome returns what an epoch says of a device.
func (v *View) Outcome(ctx context.Context, device string, epoch uint64) (Outcome, error) {
	r, err := v.oracle.Outcome(ctx, &oraclepb.QueryOutcomeRequest{Device: device, Epoch: epoch})
	if err != nil {
		return Outcome{}, v.explain(fmt.Sprintf("read outcome of device %s in epoch %d", device, epoch), err)
	}
	return Outcome{Outcome: lastWord(r.Outcome.String()), DecidedBy: r.DecidedBy}, nil
}
