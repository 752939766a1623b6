package ledgerview

import (
	"context"
	"encoding/hex"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Standing is a lease that pays every device of a kind by the payer's signed
// statements. Amounts are in ucredit.
type Standing struct {
	ID        string     `json:"id"`
	Payer     string     `json:"payer"`
	Kind      string     `json:"kind"`
	Use       Price      `json:"use"`
	State     string     `json:"state"` // open, grace, closing, closed
	Until     uint64     `json:"until_epoch,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Opened    uint64     `json:"opened_epoch"`
	Expires   uint64     `json:"expires_epoch,omitempty"`
	Deposited uint64     `json:"deposited_ucredit"`
	Stated    uint64     `json:"stated_ucredit"`    // paid by statements
	Disputed  uint64     `json:"disputed_ucredit"`  // paid by disputes
	Refunded  uint64     `json:"refunded_ucredit"`  // back to the payer
	Left      uint64     `json:"left_ucredit"`      // in the escrow
	Bond      uint64     `json:"bond_ucredit"`      // of the payer, what is left
	Forfeited uint64     `json:"forfeited_ucredit"` // of the bond, to devices
	Disputes  uint32     `json:"open_disputes"`
	Last      *Statement `json:"last_statement,omitempty"`
}

// Statement is what a payer stated of all its devices in one epoch.
type Statement struct {
	Epoch   uint64 `json:"epoch"`
	Root    string `json:"root"`
	Devices uint64 `json:"devices"`
	Units   uint64 `json:"units"` // of all devices since the lease opened
}

// Standings returns the standing leases of payer (any when empty), in the order of
// their ids.
func (v *View) Standings(ctx context.Context, payer string) ([]Standing, error) {
	out := []Standing{}
	err := pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		r, err := v.market.Standings(ctx, &marketpb.QueryStandingsRequest{Payer: payer, Pagination: p})
		if err != nil {
			return nil, v.explain("list standing leases", err)
		}
		for i := range r.Standings {
			out = append(out, standingOf(&r.Standings[i]))
		}
		return r.Pagination, nil
	})
	return out, err
}

func standingOf(s *marketpb.Standing) Standing {
	out := Standing{
		ID: hex.EncodeToString(s.Id), Payer: s.Payer, Kind: s.Kind, Use: Price(s.Use), State: lastWord(s.State.String()),
		Until: s.Until, Reason: s.Reason, Opened: s.Opened, Expires: s.Expires, Deposited: s.Deposited, Stated: s.Stated,
		Disputed: s.Disputed, Refunded: s.Refunded, Left: s.Deposited - s.Stated - s.Disputed - s.Refunded,
		Bond: s.Bond, Forfeited: s.Forfeited, Disputes: s.Disputes,
	}
	if n := len(s.Statements); n > 0 {
		last := s.Statements[n-1]
		out.Last = &Statement{Epoch: last.Epoch, Root: hex.EncodeToString(last.Root), Devices: last.Size_, Units: last.Total}
	}
	return out
}
