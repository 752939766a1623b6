package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/vertical"
)

// Recorded is what the ledger recorded of an ended epoch for one vertical.
type Recorded struct {
	Terms score.Terms
	Usage []vertical.Usage // sorted by device and kind
	Ended int64            // Unix seconds
}

// Record picks a vertical's part out of an epoch's record and of the usage of all
// verticals in it.
func Record(name string, r creditpb.EpochRecord, used []marketpb.Usage) (Recorded, error) {
	out := Recorded{Terms: score.Terms{Vertical: name, Epoch: r.Epoch, Rebate: money.BPS(r.RebateBps), Price: r.Quote.High}, Ended: r.Time}
	var own, all money.Credit
	for _, u := range used {
		if len(u.Device) != 32 || u.Epoch != r.Epoch {
			return out, fmt.Errorf("usage of epoch %d: device %x, epoch %d: want 32 bytes and the same epoch", r.Epoch, u.Device, u.Epoch)
		}
		var err error
		if all, err = money.Add(all, money.Credit(u.Burned)); err != nil {
			return out, fmt.Errorf("usage of epoch %d: %w", r.Epoch, err)
		}
		if vertical.Of(u.Kind) != name {
			continue
		}
		own += money.Credit(u.Burned)
		out.Usage = append(out.Usage, vertical.Usage{
			Device: [32]byte(u.Device), Kind: u.Kind, Paid: money.Credit(u.HoldPaid + u.UsePaid), Burned: money.Credit(u.Burned),
		})
	}
	sortUsage(out.Usage)
	out.Terms.Pool = emission.VerticalPool(money.Grain(r.DemandPool), own, all)
	for _, g := range r.Grants {
		if g.Vertical == name {
			out.Terms.Grant += money.Grain(g.Ugrain)
		}
	}
	return out, nil
}

func sortUsage(all []vertical.Usage) {
	slices.SortFunc(all, func(a, b vertical.Usage) int {
		return strings.Compare(string(a.Device[:])+a.Kind, string(b.Device[:])+b.Kind) // devices have one length
	})
}

// Burns is the usage as the bonus is computed from it.
func (r Recorded) Burns() []score.Usage { return burns(r.Terms.Epoch, r.Usage) }

func burns(epoch uint64, usage []vertical.Usage) []score.Usage {
	out := make([]score.Usage, 0, len(usage))
	for _, u := range usage {
		out = append(out, score.Usage{Device: u.Device, Epoch: epoch, Burned: u.Burned})
	}
	return out
}

// PublishedEvidence is everything besides the terms that a vertical's Score was
// given, or where to get it. Recomputing an epoch starts from it.
type PublishedEvidence struct {
	Root      string   `json:"root"`      // of all segments together
	Manifests []string `json:"manifests"` // roots of what was published, sorted
	// Abandoned says that the evidence could not be had for so long that the epoch
	// was scored without any.
	Abandoned bool              `json:"abandoned,omitempty"`
	Began     int64             `json:"began,string"` // Unix seconds
	Ended     int64             `json:"ended,string"`
	Seed      string            `json:"seed"`
	Decided   bool              `json:"seed_decided"`
	Usage     []PublishedKind   `json:"usage"`   // sorted by device and kind
	Devices   []PublishedDevice `json:"devices"` // that Score asked for, sorted
}

// PublishedKind is what one device was paid for one kind of offers.
type PublishedKind struct {
	Device string `json:"device"`
	Kind   string `json:"kind"`
	Paid   uint64 `json:"paid_ucredit,string"`
	Burned uint64 `json:"burned_ucredit,string"`
}

// PublishedDevice is what the ledger knew of a device.
type PublishedDevice struct {
	Hex        string `json:"device"`
	Registered bool   `json:"registered"`
	vertical.Device
}

func publishUsage(usage []vertical.Usage) []PublishedKind {
	out := []PublishedKind{}
	for _, u := range usage {
		out = append(out, PublishedKind{hex.EncodeToString(u.Device[:]), u.Kind, uint64(u.Paid), uint64(u.Burned)})
	}
	return out
}

func (p PublishedKind) usage() (vertical.Usage, error) {
	device, err := deviceOf(p.Device)
	return vertical.Usage{Device: device, Kind: p.Kind, Paid: money.Credit(p.Paid), Burned: money.Credit(p.Burned)}, err
}
