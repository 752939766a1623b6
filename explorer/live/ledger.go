package live

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
)

// Ledger reads one ledger. It is safe for concurrent use.
type Ledger struct{ c *client.Client }

// New reads through c.
func New(c *client.Client) *Ledger { return &Ledger{c} }

func decimal[T ~uint64 | ~uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }

// Balances of an account by denomination.
func (l *Ledger) Balances(ctx context.Context, address string) (map[string]string, error) {
	r, err := l.c.Bank.AllBalances(ctx, &banktypes.QueryAllBalancesRequest{Address: address})
	if err != nil {
		return nil, fmt.Errorf("read balances of %s: %w", address, err)
	}
	out := map[string]string{}
	for _, c := range r.Balances {
		out[c.Denom] = c.Amount.String()
	}
	return out, nil
}

// Payout sends a part of what a device earns to somebody else.
type Payout struct {
	To    string  `json:"to"`
	BPS   uint32  `json:"bps"`
	Denom *string `json:"denom"`
	Cap   *string `json:"cap"`
	Paid  string  `json:"paid"`
	Lien  bool    `json:"lien"`
}

// Payouts of a device.
func (l *Ledger) Payouts(ctx context.Context, device string) ([]Payout, error) {
	r, err := l.c.Device.Device(ctx, &devicepb.QueryDeviceRequest{Id: device})
	if err != nil {
		return nil, fmt.Errorf("read device %s: %w", device, err)
	}
	out := []Payout{}
	for _, s := range r.Device.Payouts {
		p := Payout{To: s.To, BPS: s.Bps, Paid: decimal(s.Paid), Lien: s.Lien}
		if s.Denom != "" {
			p.Denom = &s.Denom
		}
		if s.Cap != 0 {
			limit := decimal(s.Cap)
			p.Cap = &limit
		}
		out = append(out, p)
	}
	return out, nil
}

// Lane is one payer session of a lease.
type Lane struct {
	ID      uint32  `json:"id"`
	Key     string  `json:"key"`
	Cap     string  `json:"cap_ucredit"`
	Expires *uint64 `json:"expires_epoch"`
	Seq     uint64  `json:"seq"`
	Units   string  `json:"units"`
	Paid    string  `json:"paid_ucredit"`
}

// Commitment is what both sides signed that the provider holds.
type Commitment struct {
	Revision  uint64 `json:"revision"`
	Root      string `json:"root"`
	Held      string `json:"held_units"`
	Effective uint64 `json:"effective_epoch"`
}

// Lease is the part of a lease that only the ledger knows.
type Lease struct {
	Left, Refunded string
	Until          *uint64
	Lanes          []Lane
	Commitments    []Commitment
}

// Lease reads a lease.
func (l *Ledger) Lease(ctx context.Context, id string) (Lease, error) {
	raw, err := hex.DecodeString(id)
	if err != nil {
		return Lease{}, fmt.Errorf("read lease %s: %w", id, err)
	}
	r, err := l.c.Market.Lease(ctx, &marketpb.QueryLeaseRequest{Id: raw})
	if err != nil {
		return Lease{}, fmt.Errorf("read lease %s: %w", id, err)
	}
	out := Lease{Left: decimal(r.Held), Refunded: decimal(r.Lease.Refunded), Lanes: []Lane{}, Commitments: []Commitment{}}
	if r.Lease.Until != 0 {
		out.Until = &r.Lease.Until
	}
	for i := range r.Lease.Lanes {
		a := &r.Lease.Lanes[i]
		lane := Lane{ID: a.Id, Key: hex.EncodeToString(a.Key), Cap: decimal(a.Cap), Seq: a.Seq, Units: decimal(a.Units), Paid: decimal(a.Paid)}
		if a.Expires != 0 {
			lane.Expires = &a.Expires
		}
		out.Lanes = append(out.Lanes, lane)
	}
	for _, c := range r.Lease.Commitments {
		out.Commitments = append(out.Commitments, Commitment{c.Revision, hex.EncodeToString(c.Root), decimal(c.Units), c.Effective})
	}
	return out, nil
}

// Messages returns the messages of a transaction as the ledger's JSON.
func (l *Ledger) Messages(ctx context.Context, height int64, index int) ([]json.RawMessage, error) {
	b, err := l.c.BlockAt(ctx, height)
	if err != nil {
		return nil, err
	}
	if index >= len(b.Txs) {
		return nil, fmt.Errorf("read transaction %d of block %d: it has %d", index, height, len(b.Txs))
	}
	enc := l.c.Encoding()
	tx, err := enc.Tx.TxDecoder()(b.Txs[index].Raw)
	if err != nil {
		return nil, fmt.Errorf("decode transaction %s: %w", b.Txs[index].Hash, err)
	}
	out := []json.RawMessage{}
	for _, m := range tx.GetMsgs() {
		raw, err := enc.Codec.MarshalInterfaceJSON(m)
		if err != nil {
			return nil, fmt.Errorf("write %s as JSON: %w", sdk.MsgTypeURL(m), err)
		}
		out = append(out, raw)
	}
	return out, nil
}

// Take are the shares taken out of everything paid, in 1/10000.
type Take struct {
	Burn       uint32 `json:"burn_bps"`
	Validators uint32 `json:"validators_bps"`
	Treasury   uint32 `json:"treasury_bps"`
	Rebate     uint32 `json:"rebate_bps"`
}

// Price of a GRAIN in ucredit.
type Price struct {
	Low   string `json:"low_ucredit"`
	Mid   string `json:"mid_ucredit"`
	High  string `json:"high_ucredit"`
	Stale bool   `json:"stale"`
	Age   uint64 `json:"age_seconds"`
}

// Supply is what exists of both amounts.
type Supply struct {
	Grain      string `json:"grain_ugrain"`
	Cap        string `json:"grain_cap_ugrain"`
	Credits    string `json:"credits_ucredit"`
	Pool       string `json:"pool_ugrain"`
	Collateral uint64 `json:"collateral_bps"`
	Status     string `json:"collateral_status"`
	Released   string `json:"released_ugrain"`
}

// Money is the state of prices and supply.
type Money struct {
	Take   Take
	Price  Price
	Supply Supply
}

// Money reads prices, supply and the take.
func (l *Ledger) Money(ctx context.Context) (m Money, err error) {
	p, err := l.c.Credit.Params(ctx, &creditpb.QueryParamsRequest{})
	if err != nil {
		return m, fmt.Errorf("read parameters of credit: %w", err)
	}
	m.Take = Take{p.Params.BurnBps, p.Params.ValidatorsBps, p.Params.TreasuryBps, p.Params.RebateBps}
	q, err := l.c.Credit.Price(ctx, &creditpb.QueryPriceRequest{})
	if err != nil {
		return m, fmt.Errorf("read price: %w", err)
	}
	m.Price = Price{decimal(q.Quote.Low), decimal(q.Quote.Mid), decimal(q.Quote.High), q.Stale, q.AgeSeconds}
	c, err := l.c.Credit.Collateral(ctx, &creditpb.QueryCollateralRequest{})
	if err != nil {
		return m, fmt.Errorf("read collateral: %w", err)
	}
	m.Supply = Supply{
		Grain: decimal(c.GrainSupply), Cap: decimal(c.GrainCap), Credits: decimal(c.Outstanding), Pool: decimal(c.Pool),
		Collateral: c.RatioBps, Status: lastWord(c.Status.String()), Released: decimal(c.Emission.Issued),
	}
	return m, nil
}

// Clock is the running epoch's end and length.
type Clock struct {
	Ends    time.Time
	Seconds int64
}

// Clock reads it.
func (l *Ledger) Clock(ctx context.Context) (Clock, error) {
	e, err := l.c.Oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{})
	if err != nil {
		return Clock{}, fmt.Errorf("read epoch: %w", err)
	}
	p, err := l.c.Oracle.Params(ctx, &oraclepb.QueryParamsRequest{})
	if err != nil {
		return Clock{}, fmt.Errorf("read parameters of oracle: %w", err)
	}
	return Clock{time.Unix(0, e.End).UTC(), int64(p.Params.EpochSeconds)}, nil
}

func lastWord(enum string) string { return strings.ToLower(enum[strings.LastIndexByte(enum, '_')+1:]) }
