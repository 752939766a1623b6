package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Price is credits for every per units.
type Price struct {
	Credits Amount `json:"credits_ucredit"`
	Per     Amount `json:"per_units"`
}

func price(credits, per sql.NullInt64) *Price {
	if !per.Valid || per.Int64 == 0 {
		return nil
	}
	return &Price{Amount(credits.Int64), Amount(per.Int64)}
}

// Offer is supply on the market.
type Offer struct {
	ID         int64             `json:"id"`
	Owner      string            `json:"owner"`
	Device     ID                `json:"device"`
	Kind       string            `json:"kind"`
	Use        *Price            `json:"use"`
	Hold       *Price            `json:"hold"`
	Capacity   Amount            `json:"capacity_units"`
	Sold       Amount            `json:"sold_units"`
	Free       Amount            `json:"free_units"`
	Bond       Amount            `json:"bond_ugrain"`
	Slashed    Amount            `json:"slashed_ugrain"`
	Leases     int64             `json:"leases"`
	Status     string            `json:"status"`
	Attributes map[string]string `json:"attributes"`
	Height     int64             `json:"posted_height"`
	Posted     *Time             `json:"posted"`
}

// OfferFilter selects offers; zero fields select all.
type OfferFilter struct{ Kind, Device, Owner, Status string }

const selectOffers = `SELECT o.id, o.owner, d.id, o.kind, o.use_credits, o.use_per, o.hold_credits, o.hold_per, o.capacity, o.sold, o.bond, o.slashed,
	o.leases, o.status, o.attributes, o.height, o.time FROM offers o LEFT JOIN devices d ON d.n = o.device`

func scanOffer(r *sql.Rows) (o Offer, at *string, err error) {
	var uc, up, hc, hp sql.NullInt64
	var attributes string
	var ns int64
	err = r.Scan(&o.ID, &o.Owner, (*[]byte)(&o.Device), &o.Kind, &uc, &up, &hc, &hp, &o.Capacity, &o.Sold, &o.Bond, &o.Slashed, &o.Leases, &o.Status, &attributes, &o.Height, &ns)
	if err != nil {
		return o, nil, err
	}
	o.Use, o.Hold, o.Posted = price(uc, up), price(hc, hp), maybeTime(ns)
	o.Free = max(0, o.Capacity-o.Sold)
	return o, cursor(o.ID), json.Unmarshal([]byte(attributes), &o.Attributes)
}

// Offers lists offers, newest first.
func (s *Store) Offers(ctx context.Context, f OfferFilter, p Page) (List[Offer], error) {
	q := query{from: selectOffers}
	q.and("o.status <> ''") // known only from a lease: posted before the index began
	if f.Kind != "" {
		q.and("o.kind = ?", f.Kind)
	}
	if f.Owner != "" {
		q.and("o.owner = ?", f.Owner)
	}
	if f.Status != "" {
		q.and("o.status = ?", f.Status)
	}
	if f.Device != "" {
		n, err := s.deviceNumber(ctx, f.Device)
		if err != nil {
			return List[Offer]{}, err
		}
		q.and("o.device = ?", n)
	}
	if err := q.key("o.id", p.After, true); err != nil {
		return List[Offer]{}, err
	}
	return list(ctx, s, q, p.Limit, scanOffer)
}

// Lease is a lease with what it paid.
type Lease struct {
	ID          ID      `json:"id"`
	Offer       *int64  `json:"offer"`
	Device      *ID     `json:"device"`
	Owner       *string `json:"owner"`
	Payer       string  `json:"payer"`
	Kind        *string `json:"kind"`
	State       string  `json:"state"`
	Reason      *string `json:"reason"`
	Opened      *Time   `json:"opened"`
	Height      int64   `json:"opened_height"`
	Capacity    *Amount `json:"capacity_units"`
	Held        *Amount `json:"held_units"`
	HoldBudget  *Amount `json:"hold_budget_ucredit"`
	Deposited   *Amount `json:"deposited_ucredit"`
	HoldPaid    Amount  `json:"hold_paid_ucredit"`
	UsePaid     Amount  `json:"use_paid_ucredit"`
	Paid        Amount  `json:"paid_ucredit"`
	Net         Amount  `json:"net_ucredit"`
	Use         *Price  `json:"use"`
	Hold        *Price  `json:"hold"`
	Receipts    int64   `json:"receipts"`
	Faults      int64   `json:"faults"`
	LastEpoch   *int64  `json:"last_epoch"`
	LastOutcome *string `json:"last_outcome"`
	Changed     *Time   `json:"changed"`
}

// LeaseFilter selects leases; zero fields select all.
type LeaseFilter struct {
	Device, Owner, Payer, Kind, State string
	Offer                             int64
}

const selectLeases = `SELECT l.n, l.id, l.offer, d.id, l.owner, l.payer, l.kind, l.state, l.reason, l.height, l.time, l.capacity, l.held, l.hold_budget, l.deposited,
	l.use_credits, l.use_per, l.hold_credits, l.hold_per, l.hold_paid, l.use_paid, l.net, l.receipts, l.faults, l.last_epoch, l.last_outcome, l.changed
	FROM leases l LEFT JOIN devices d ON d.n = l.device`

func scanLease(r *sql.Rows) (l Lease, at *string, err error) {
	var n, ns, changed int64
	var device []byte
	var offer, capacity, held, budget, deposited, uc, up, hc, hp, last sql.NullInt64
	var owner, kind, reason, outcome sql.NullString
	err = r.Scan(&n, (*[]byte)(&l.ID), &offer, &device, &owner, &l.Payer, &kind, &l.State, &reason, &l.Height, &ns, &capacity, &held, &budget, &deposited,
		&uc, &up, &hc, &hp, &l.HoldPaid, &l.UsePaid, &l.Net, &l.Receipts, &l.Faults, &last, &outcome, &changed)
	if device != nil {
		id := ID(device)
		l.Device = &id
	}
	l.Offer, l.Owner, l.Kind, l.Reason, l.Opened, l.Changed = number(offer), text(owner), text(kind), text(reason), maybeTime(ns), maybeTime(changed)
	l.Capacity, l.Held, l.HoldBudget, l.Deposited = amount(capacity), amount(held), amount(budget), amount(deposited)
	l.Use, l.Hold, l.LastEpoch, l.LastOutcome, l.Paid = price(uc, up), price(hc, hp), number(last), text(outcome), l.HoldPaid+l.UsePaid
	return l, cursor(n), err
}

// Leases lists leases, newest first.
func (s *Store) Leases(ctx context.Context, f LeaseFilter, p Page) (List[Lease], error) {
	q := query{from: selectLeases}
	q.and("l.state <> ''") // known only from a payment: opened before the index began
	for _, c := range [][2]string{{"l.owner", f.Owner}, {"l.payer", f.Payer}, {"l.kind", f.Kind}, {"l.state", f.State}} {
		if c[1] != "" {
			q.and(c[0]+" = ?", c[1])
		}
	}
	if f.Offer != 0 {
		q.and("l.offer = ?", f.Offer)
	}
	if f.Device != "" {
		n, err := s.deviceNumber(ctx, f.Device)
		if err != nil {
			return List[Lease]{}, err
		}
		q.and("l.device = ?", n)
	}
	if err := q.key("l.n", p.After, true); err != nil {
		return List[Lease]{}, err
	}
	return list(ctx, s, q, p.Limit, scanLease)
}

// Lease returns the lease with an id.
func (s *Store) Lease(ctx context.Context, id string) (Lease, error) {
	raw, err := parseID("lease", id)
	if err != nil {
		return Lease{}, err
	}
	q := query{from: selectLeases}
	q.and("l.id = ?", raw)
	return one(ctx, s, q, "lease "+id, scanLease)
}

func (s *Store) leaseNumber(ctx context.Context, id string) (n int64, err error) {
	raw, err := parseID("lease", id)
	if err != nil {
		return 0, err
	}
	if err = s.read.QueryRowContext(ctx, "SELECT n FROM leases WHERE id = ?", raw).Scan(&n); errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("find lease %s: %w", id, ErrNotFound)
	}
	return n, err
}

// State is a state a lease was in.
type State struct {
	Height int64   `json:"height"`
	Time   Time    `json:"time"`
	State  string  `json:"state"`
	Reason *string `json:"reason"`
}

// States lists the states of a lease, oldest first.
func (s *Store) States(ctx context.Context, lease string) ([]State, error) {
	n, err := s.leaseNumber(ctx, lease)
	if err != nil {
		return nil, err
	}
	q := query{from: "SELECT id, time, state, reason FROM lease_states"}
	q.and("lease = ?", n)
	q.order = " ORDER BY id"
	l, err := list(ctx, s, q, MaxLimit, func(r *sql.Rows) (st State, at *string, err error) {
		var id, ns int64
		var reason sql.NullString
		err = r.Scan(&id, &ns, &st.State, &reason)
		st.Height, _ = place(id)
		st.Time, st.Reason = timeOf(ns), text(reason)
		return st, nil, err
	})
	return l.Items, err
}

// Receipt is a settled receipt.
type Receipt struct {
	Height int64   `json:"height"`
	Index  int     `json:"index"`
	Time   Time    `json:"time"`
	Epoch  *int64  `json:"epoch"`
	Lease  ID      `json:"lease"`
	Device ID      `json:"device"`
	Lane   *int64  `json:"lane"`
	Units  Amount  `json:"units"` // cumulative
	Used   *Amount `json:"used_units"`
	Paid   Amount  `json:"paid_ucredit"`
	Net    Amount  `json:"net_ucredit"`
	Tx     *ID     `json:"tx"`
}

const selectReceipts = `SELECT r.id, r.time, r.epoch, l.id, d.id, r.lane, r.units, r.used, r.paid, r.net, t.hash
	FROM receipts r JOIN leases l ON l.n = r.lease JOIN devices d ON d.n = r.device LEFT JOIN txs t ON t.id = r.tx`

func scanReceipt(r *sql.Rows) (x Receipt, at *string, err error) {
	var id, ns int64
	var epoch, lane, used sql.NullInt64
	var tx []byte
	err = r.Scan(&id, &ns, &epoch, (*[]byte)(&x.Lease), (*[]byte)(&x.Device), &lane, &x.Units, &used, &x.Paid, &x.Net, &tx)
	x.Height, x.Index = place(id)
	x.Time, x.Epoch, x.Lane, x.Used = timeOf(ns), number(epoch), number(lane), amount(used)
	if tx != nil {
		hash := ID(tx)
		x.Tx = &hash
	}
	return x, cursor(id), err
}

// Receipts lists settled receipts, of a device, of a lease or all, newest first.
func (s *Store) Receipts(ctx context.Context, device, lease string, p Page) (List[Receipt], error) {
	q := query{from: selectReceipts}
	if device != "" {
		n, err := s.deviceNumber(ctx, device)
		if err != nil {
			return List[Receipt]{}, err
		}
		q.and("r.device = ?", n)
	}
	if lease != "" {
		n, err := s.leaseNumber(ctx, lease)
		if err != nil {
			return List[Receipt]{}, err
		}
		q.and("r.lease = ?", n)
	}
	if err := q.key("r.id", p.After, true); err != nil {
		return List[Receipt]{}, err
	}
	return list(ctx, s, q, p.Limit, scanReceipt)
}

// ReceiptsIn lists the receipts of a device that an epoch settled, newest first.
func (s *Store) ReceiptsIn(ctx context.Context, device string, epoch int64) ([]Receipt, error) {
	n, err := s.deviceNumber(ctx, device)
	if err != nil {
		return nil, err
	}
	q := query{from: selectReceipts}
	q.and("r.device = ? AND r.epoch = ?", n, epoch)
	q.and("r.id BETWEEN (SELECT height << 20 FROM epochs WHERE number = ?) AND coalesce((SELECT (height + 1) << 20 FROM epochs WHERE number = ?), 9223372036854775807)", epoch, epoch+1)
	q.order = " ORDER BY r.id DESC"
	l, err := list(ctx, s, q, MaxLimit, scanReceipt)
	return l.Items, err
}

// Payments is what one payer paid one owner.
type Payments struct {
	Payer, Owner string
	Paid         Amount
}

// Payments sums what was paid, by payer and owner, most first.
func (s *Store) Payments(ctx context.Context) ([]Payments, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT payer, coalesce(owner, ''), sum(hold_paid + use_paid) AS paid FROM leases WHERE hold_paid + use_paid > 0 GROUP BY 1, 2 ORDER BY paid DESC, 1, 2 LIMIT 10000`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Payments
	for rows.Next() {
		var p Payments
		if err := rows.Scan(&p.Payer, &p.Owner, &p.Paid); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Funders returns the accounts that sent an account money, at most 1000.
func (s *Store) Funders(ctx context.Context, account string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT sender FROM funds WHERE recipient = ? ORDER BY sender LIMIT 1000", account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}
