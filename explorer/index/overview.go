package index

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// Overview is the network in numbers, from the index alone.
type Overview struct {
	Registered, Active, Owners int64
	Placed                     int64 // of the active ones, those of class PRN: where they are matters
	Proven, Faulted            *int64
	Decided                    *int64 // epoch that capacity is counted from
	Claimed, Sold              Amount
	ProvenUnits                *Amount
	Leases                     map[string]int64 // by state
	Deposited, Paid, Net       Amount
	Receipts                   int64
	LastEpoch                  *int64 // newest with a record of revenue
	LastRevenue                *Amount
	Kinds                      []KindTotals
}

// KindTotals are the totals of one kind of offers.
type KindTotals struct {
	Kind    string  `json:"kind"`
	Devices int64   `json:"devices"`
	Offers  int64   `json:"offers"`
	Leases  int64   `json:"leases"`
	Claimed Amount  `json:"claimed_units"`
	Sold    Amount  `json:"sold_units"`
	Proven  *Amount `json:"proven_units"`
	Paid    Amount  `json:"paid_ucredit"`
}

// Overview sums the network up.
func (s *Store) Overview(ctx context.Context) (o Overview, err error) {
	e, err := s.decided(ctx)
	if err != nil {
		return o, err
	}
	var lastEpoch, lastRevenue sql.NullInt64
	row := func(query string, args ...any) interface{ Scan(...any) error } {
		return s.read.QueryRowContext(ctx, query, args...)
	}
	err = errors.Join(
		row("SELECT count(*), count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'active' AND class = 'prn'), count(DISTINCT owner), coalesce(sum(paid), 0), coalesce(sum(net), 0) FROM devices").
			Scan(&o.Registered, &o.Active, &o.Placed, &o.Owners, &o.Paid, &o.Net),
		row("SELECT "+sumOf("capacity")+", "+sumOf("sold")+" FROM offers WHERE status = 'open'").Scan(claimed{&o.Claimed}, claimed{&o.Sold}),
		row("SELECT coalesce(sum(deposited), 0) FROM leases").Scan(&o.Deposited),
		row("SELECT coalesce(sum(receipts), 0) FROM epochs").Scan(&o.Receipts),
		row("SELECT max(number), (SELECT revenue FROM epochs WHERE revenue IS NOT NULL ORDER BY number DESC LIMIT 1) FROM epochs WHERE revenue IS NOT NULL").Scan(&lastEpoch, &lastRevenue))
	if err != nil {
		return o, err
	}
	o.LastEpoch, o.LastRevenue = number(lastEpoch), amount(lastRevenue)
	if e.Valid {
		at, err := s.Epoch(ctx, e.Int64)
		if err != nil {
			return o, err
		}
		o.Decided, o.Proven, o.Faulted, o.ProvenUnits = &e.Int64, at.Proven, at.Faulted, at.Units
	}
	if err := s.leaseStates(ctx, &o); err != nil {
		return o, err
	}
	return o, s.kinds(ctx, &o, e)
}

func (s *Store) leaseStates(ctx context.Context, o *Overview) error {
	rows, err := s.read.QueryContext(ctx, "SELECT state, count(*) FROM leases GROUP BY 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	o.Leases = map[string]int64{}
	for rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return err
		}
		o.Leases[state] = n
	}
	return rows.Err()
}

func (s *Store) kinds(ctx context.Context, o *Overview, decided sql.NullInt64) error {
	rows, err := s.read.QueryContext(ctx, `SELECT kind, count(DISTINCT device), count(*), coalesce(sum(leases), 0), `+sumOf("capacity")+`, `+sumOf("sold")+`,
		(SELECT sum(p.units) FROM proofs p WHERE p.epoch = ? AND p.device IN (SELECT device FROM offers k WHERE k.kind = o.kind)),
		(SELECT coalesce(sum(l.hold_paid + l.use_paid), 0) FROM leases l WHERE l.kind = o.kind)
		FROM offers o WHERE status = 'open' GROUP BY kind ORDER BY kind`, decided)
	if err != nil {
		return err
	}
	defer rows.Close()
	o.Kinds = []KindTotals{}
	for rows.Next() {
		var k KindTotals
		var proven sql.NullInt64
		if err := rows.Scan(&k.Kind, &k.Devices, &k.Offers, &k.Leases, claimed{&k.Claimed}, claimed{&k.Sold}, &proven, &k.Paid); err != nil {
			return err
		}
		k.Proven = amount(proven)
		o.Kinds = append(o.Kinds, k)
	}
	return rows.Err()
}

// Account sums up what the index knows of an account.
func (s *Store) Account(ctx context.Context, address string) (devices, leases, txs int64, earned Amount, err error) {
	err = errors.Join(
		s.read.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(net), 0) FROM devices WHERE owner = ?", address).Scan(&devices, &earned),
		s.read.QueryRowContext(ctx, "SELECT count(*) FROM leases WHERE payer = ?", address).Scan(&leases),
		s.read.QueryRowContext(ctx, "SELECT count(*) FROM txs WHERE signer = ?", address).Scan(&txs))
	return devices, leases, txs, earned, err
}

// Hit is something that a search found.
type Hit struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
	Link string `json:"link"`
}

// Search finds devices, leases, transactions and blocks by the beginning of an id
// or hash, blocks, epochs and offers by number, accounts by address.
func (s *Store) Search(ctx context.Context, q string) ([]Hit, error) {
	q = strings.ToLower(strings.TrimSpace(q))
	hits := []Hit{}
	if n, err := strconv.ParseInt(q, 10, 64); err == nil && n > 0 {
		if _, err := s.Block(ctx, n); err == nil {
			hits = append(hits, Hit{"block", q, "block " + q, "/v1/blocks/" + q})
		}
		if _, err := s.Epoch(ctx, n); err == nil {
			hits = append(hits, Hit{"epoch", q, "epoch " + q, "/v1/epochs/" + q})
		}
	}
	if strings.HasPrefix(q, "grange1") {
		devices, leases, txs, _, err := s.Account(ctx, q)
		if err != nil {
			return nil, err
		}
		if devices+leases+txs > 0 {
			hits = append(hits, Hit{"account", q, "account " + q, "/v1/accounts/" + q})
		}
	}
	for _, t := range []struct{ kind, query, link string }{
		{"device", "SELECT id FROM devices WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 10", "/v1/devices/"},
		{"lease", "SELECT id FROM leases WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 10", "/v1/leases/"},
		{"tx", "SELECT hash FROM txs WHERE hash BETWEEN ? AND ? ORDER BY hash LIMIT 10", "/v1/txs/"},
	} {
		ids, err := s.startingWith(ctx, t.query, q)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			hits = append(hits, Hit{t.kind, id, t.kind + " " + id[:12] + "…", t.link + id})
		}
	}
	return hits, nil
}

func (s *Store) startingWith(ctx context.Context, query, prefix string) ([]string, error) {
	if len(prefix) < 3 || len(prefix) > 64 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, nil
	}
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 64-len(prefix)))
	if err != nil {
		return nil, err
	}
	high, err := hex.DecodeString(prefix + strings.Repeat("f", 64-len(prefix)))
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, query, low, high)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, hex.EncodeToString(id))
	}
	return out, rows.Err()
}

// Nearest returns the id of the same kind (devices, leases or txs) that shares
// the longest beginning with id; "" when none shares four digits.
func (s *Store) Nearest(ctx context.Context, kind, id string) (string, error) {
	query, ok := map[string]string{
		"device": "SELECT id FROM devices WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1",
		"lease":  "SELECT id FROM leases WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1",
		"tx":     "SELECT hash FROM txs WHERE hash BETWEEN ? AND ? ORDER BY hash LIMIT 1",
	}[kind]
	if !ok {
		return "", nil
	}
	id = strings.ToLower(id)
	for n := min(len(id), 64); n >= 4; n-- {
		found, err := s.startingWith(ctx, query, id[:n])
		if err != nil || len(found) > 0 {
			return strings.Join(found, ""), err
		}
	}
	return "", nil
}

// Problem is a fault, or a lease that ended early.
type Problem struct {
	Height int64  `json:"height"`
	Time   Time   `json:"time"`
	Epoch  *int64 `json:"epoch"`
	Device *ID    `json:"device"`
	Lease  *ID    `json:"lease"`
	What   string `json:"what"`
}

// Health is how well what is stored is held.
type Health struct {
	Devices, Holding, AtRisk int64
	Held                     Amount
	Problems                 []Problem
	Holders                  []Holder
}

// Holder is a device that holds something, with how well it proved it lately.
type Holder struct {
	Device   ID     `json:"device"`
	Owner    string `json:"owner"`
	Leases   int64  `json:"leases"`
	Held     Amount `json:"held_units"`
	Proven   int64  `json:"proven_epochs"`
	Faulted  int64  `json:"faulted_epochs"`
	Slashed  Amount `json:"slashed_ugrain"`
	LastSeen *int64 `json:"last_proof_epoch"`
}

// recently is how many epochs the conduct of holders is counted over.
const recently = 50

// Health sums up the leases of one kind.
func (s *Store) Health(ctx context.Context, kind string) (h Health, err error) {
	err = errors.Join(
		s.read.QueryRowContext(ctx, "SELECT count(DISTINCT device) FROM offers WHERE kind = ?", kind).Scan(&h.Devices),
		s.read.QueryRowContext(ctx, `SELECT count(DISTINCT device), coalesce(sum(held), 0), count(*) FILTER (WHERE state = 'grace' OR last_outcome = 'faulted')
			FROM leases WHERE kind = ? AND state IN ('open', 'grace', 'closing') AND held > 0`, kind).Scan(&h.Holding, &h.Held, &h.AtRisk))
	if err != nil {
		return h, err
	}
	q := query{from: `SELECT s.id, s.time, l.id, d.id, s.state, s.reason FROM lease_states s JOIN leases l ON l.n = s.lease LEFT JOIN devices d ON d.n = l.device`, order: " ORDER BY s.id DESC"}
	q.and("l.kind = ? AND s.state <> 'open'", kind)
	states, err := list(ctx, s, q, 50, func(r *sql.Rows) (p Problem, at *string, err error) {
		var id, ns int64
		var lease, device []byte
		var state, reason string
		err = r.Scan(&id, &ns, &lease, &device, &state, &reason)
		p.Height, _ = place(id)
		p.Time, p.Lease, p.Device = timeOf(ns), maybeID(lease), maybeID(device)
		p.What = "the lease is " + state
		if reason != "" {
			p.What += ": " + reason
		}
		return p, nil, err
	})
	if err != nil {
		return h, err
	}
	faults, err := s.faults(ctx, kind)
	if err != nil {
		return h, err
	}
	h.Problems = newest(append(faults, states.Items...), 50)
	h.Holders, err = s.holders(ctx, kind)
	return h, err
}

// holders lists the devices that hold something of a kind, those with most faults
// first.
func (s *Store) holders(ctx context.Context, kind string) ([]Holder, error) {
	decided, err := s.decided(ctx)
	if err != nil {
		return nil, err
	}
	since := decided.Int64 - recently
	rows, err := s.read.QueryContext(ctx, `SELECT d.id, d.owner, count(*), sum(l.held), (SELECT count(*) FROM proofs p WHERE p.device = d.n AND p.epoch > ? AND p.epoch <= ?),
		(SELECT count(DISTINCT f.epoch) FROM lease_epochs f WHERE f.device = d.n AND f.epoch > ? AND f.outcome = 'faulted' AND f.held > 0) AS faulted, d.slashed,
		(SELECT p.epoch FROM proofs p WHERE p.device = d.n ORDER BY p.sequence DESC LIMIT 1)
		FROM leases l JOIN devices d ON d.n = l.device WHERE l.kind = ? AND l.state IN ('open', 'grace', 'closing') AND l.held > 0
		GROUP BY d.n, d.id, d.owner, d.slashed ORDER BY faulted DESC, d.n LIMIT 100`, since, decided, since, kind)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Holder{}
	for rows.Next() {
		var h Holder
		var last sql.NullInt64
		if err := rows.Scan((*[]byte)(&h.Device), &h.Owner, &h.Leases, &h.Held, &h.Proven, &h.Faulted, &h.Slashed, &last); err != nil {
			return nil, err
		}
		h.LastSeen = number(last)
		out = append(out, h)
	}
	return out, rows.Err()
}

func (s *Store) faults(ctx context.Context, kind string) ([]Problem, error) {
	q := query{from: `SELECT e.height, e.time, x.epoch, l.id, d.id, x.slashed FROM lease_epochs x` + s.dialect.faults + ` JOIN leases l ON l.n = x.lease JOIN devices d ON d.n = x.device
		JOIN epochs e ON e.number = x.epoch`, order: " ORDER BY x.epoch DESC"}
	q.and("x.outcome = 'faulted' AND x.held > 0 AND l.kind = ?", kind)
	l, err := list(ctx, s, q, 50, func(r *sql.Rows) (p Problem, at *string, err error) {
		var ns, epoch, slashed int64
		var lease, device []byte
		err = r.Scan(&p.Height, &ns, &epoch, &lease, &device, &slashed)
		p.Time, p.Epoch, p.Lease, p.Device = timeOf(ns), &epoch, maybeID(lease), maybeID(device)
		p.What = "the device did not prove what it holds"
		if slashed > 0 {
			p.What += "; " + strconv.FormatInt(slashed, 10) + " ugrain of its bond were taken"
		}
		return p, nil, err
	})
	return l.Items, err
}

func maybeID(b []byte) *ID {
	if b == nil {
		return nil
	}
	id := ID(b)
	return &id
}
