package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/grange-network/grange/h3"
)

// Device is a device with what it proved, sold and earned. Claimed is what its
// offers say of themselves; proven what its last accepted proofs covered.
type Device struct {
	ID           ID       `json:"id"`
	DID          string   `json:"did"`
	Owner        string   `json:"owner"`
	KeyType      *string  `json:"key_type"`
	Class        *string  `json:"class"`
	Status       string   `json:"status"`
	Endpoint     *string  `json:"endpoint"`
	Capabilities []string `json:"capabilities"`
	Metadata     *string  `json:"metadata"`
	Cell         *string  `json:"cell"` // coarsened
	Latitude     *float64 `json:"latitude"`
	Longitude    *float64 `json:"longitude"`
	Height       int64    `json:"registered_height"`
	Registered   *Time    `json:"registered"`
	Outcome      *string  `json:"outcome"`
	OutcomeEpoch *int64   `json:"outcome_epoch"`
	Proven       *Amount  `json:"proven_units"`
	Claimed      Amount   `json:"claimed_units"`
	Sold         Amount   `json:"sold_units"`
	Leases       int64    `json:"leases"`
	Paid         Amount   `json:"paid_ucredit"`
	Net          Amount   `json:"net_ucredit"`
	Slashed      Amount   `json:"slashed_ugrain"`
	LastProof    *int64   `json:"last_proof_epoch"`
}

// DeviceFilter selects devices; zero fields select all. The list and the map use
// the same one, so what they count is the same.
type DeviceFilter struct {
	Owner, Capability, Class, Status, Outcome string
	Cell                                      h3.Cell
	Box                                       *Box
}

// Box is a part of the map in degrees. West may be larger than East: then it
// crosses the antimeridian.
type Box struct{ West, South, East, North float64 }

// ParseBox reads "west,south,east,north".
func ParseBox(s string) (*Box, error) {
	parts := strings.Split(s, ",")
	var n [4]float64
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || i > 3 || x < -360 || x > 360 {
			return nil, fmt.Errorf("%w: bbox %.60q: want west,south,east,north in degrees", ErrBad, s)
		}
		n[i] = x
	}
	if len(parts) != 4 || n[1] > n[3] {
		return nil, fmt.Errorf("%w: bbox %.60q: want west,south,east,north in degrees", ErrBad, s)
	}
	return &Box{n[0], n[1], n[2], n[3]}, nil
}

// outcomeOf is the outcome of a device (d.n) in an epoch given twice.
const outcomeOf = `CASE WHEN EXISTS (SELECT 1 FROM proofs p WHERE p.epoch = ? AND p.device = d.n) THEN 'proven'
	WHEN EXISTS (SELECT 1 FROM lease_epochs f WHERE f.epoch = ? AND f.device = d.n AND f.outcome = 'faulted' AND f.held > 0) THEN 'faulted' ELSE 'idle' END`

// decided is the last epoch that is over and had a seed: what capacity is counted
// from. Null before the first.
func (s *Store) decided(ctx context.Context) (e sql.NullInt64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT max(number) FROM epochs WHERE status = 'decided' AND number < (SELECT max(number) FROM epochs)").Scan(&e)
	return e, err
}

func (f DeviceFilter) apply(q *query, dialect *dialect, decided sql.NullInt64) {
	if f.Owner != "" {
		q.and("d.owner = ?", f.Owner)
	}
	if f.Class != "" {
		q.and("d.class = ?", f.Class)
	}
	if f.Status != "" {
		q.and("d.status = ?", f.Status)
	}
	if f.Capability != "" {
		q.and(dialect.has, f.Capability)
	}
	if f.Cell != 0 {
		low, high := f.Cell.Within()
		q.and("d.place BETWEEN ? AND ?", low, high)
	}
	if b := f.Box; b != nil {
		q.and("d.latitude BETWEEN ? AND ?", b.South, b.North)
		if b.West <= b.East {
			q.and("d.longitude BETWEEN ? AND ?", b.West, b.East)
		} else {
			q.and("(d.longitude >= ? OR d.longitude <= ?)", b.West, b.East)
		}
	}
	if f.Outcome != "" {
		q.and("("+outcomeOf+") = ?", decided, decided, f.Outcome)
	}
}

var selectDevices = `SELECT d.id, d.did, d.owner, d.key_type, d.class, d.status, d.endpoint, d.capabilities, d.metadata, d.place, d.cell, d.latitude, d.longitude,
	d.height, d.time, d.paid, d.net, d.slashed, ` + outcomeOf + `,
	(SELECT sum(units) FROM proofs p WHERE p.epoch = ? AND p.device = d.n),
	(SELECT ` + sumOf("capacity") + ` FROM offers o WHERE o.device = d.n AND o.status = 'open'),
	(SELECT ` + sumOf("sold") + ` FROM offers o WHERE o.device = d.n),
	(SELECT count(*) FROM leases l WHERE l.device = d.n AND l.state <> 'closed'),
	(SELECT epoch FROM proofs p WHERE p.device = d.n ORDER BY sequence DESC LIMIT 1), d.n FROM devices d`

func (s *Store) scanDevice(decided sql.NullInt64) func(*sql.Rows) (Device, *string, error) {
	return func(r *sql.Rows) (Device, *string, error) {
		var d Device
		var key, class, endpoint, metadata sql.NullString
		var capabilities, outcome string
		var at, proven, last sql.NullInt64
		var index, ns, n int64
		var lat, lng sql.NullFloat64
		err := r.Scan((*[]byte)(&d.ID), &d.DID, &d.Owner, &key, &class, &d.Status, &endpoint, &capabilities, &metadata, &at, &index, &lat, &lng,
			&d.Height, &ns, &d.Paid, &d.Net, &d.Slashed, &outcome, &proven, claimed{&d.Claimed}, claimed{&d.Sold}, &d.Leases, &last, &n)
		if err != nil {
			return d, nil, err
		}
		d.KeyType, d.Class, d.Endpoint, d.Metadata = text(key), text(class), text(endpoint), text(metadata)
		d.Registered, d.Proven, d.LastProof = maybeTime(ns), amount(proven), number(last)
		if at.Valid {
			c, _ := h3.Cell(index).Published()
			name := c.String()
			d.Cell, d.Latitude, d.Longitude = &name, &lat.Float64, &lng.Float64
		}
		if decided.Valid {
			d.Outcome, d.OutcomeEpoch = &outcome, &decided.Int64
		}
		return d, cursor(n), json.Unmarshal([]byte(capabilities), &d.Capabilities)
	}
}

// Devices lists devices in the order they were registered, newest first.
func (s *Store) Devices(ctx context.Context, f DeviceFilter, p Page) (List[Device], error) {
	e, err := s.decided(ctx)
	if err != nil {
		return List[Device]{}, err
	}
	q := query{from: selectDevices, args: []any{e, e, e}}
	f.apply(&q, s.dialect, e)
	if err := q.key("d.n", p.After, true); err != nil {
		return List[Device]{}, err
	}
	return list(ctx, s, q, p.Limit, s.scanDevice(e))
}

// Device returns the device with an id.
func (s *Store) Device(ctx context.Context, id string) (Device, error) {
	raw, err := parseID("device", id)
	if err != nil {
		return Device{}, err
	}
	e, err := s.decided(ctx)
	if err != nil {
		return Device{}, err
	}
	q := query{from: selectDevices, args: []any{e, e, e}}
	q.and("d.id = ?", raw)
	return one(ctx, s, q, "device "+id, s.scanDevice(e))
}

// GrainClaimed is what was claimed for a device in all epochs together, in ugrain:
// its bonuses and grants.
func (s *Store) GrainClaimed(ctx context.Context, id string) (all Amount, err error) {
	n, err := s.deviceNumber(ctx, id)
	if err != nil {
		return 0, err
	}
	err = s.read.QueryRowContext(ctx, "SELECT coalesce(sum(claimed), 0) FROM rewards WHERE device = ?", n).Scan(&all)
	return all, err
}

// deviceNumber is the small number of a device.
func (s *Store) deviceNumber(ctx context.Context, id string) (n int64, err error) {
	raw, err := parseID("device", id)
	if err != nil {
		return 0, err
	}
	if err = s.read.QueryRowContext(ctx, "SELECT n FROM devices WHERE id = ?", raw).Scan(&n); errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("find device %s: %w", id, ErrNotFound)
	}
	return n, err
}

// CellCount is what lies in one cell.
type CellCount struct {
	Cell        h3.Cell
	Devices     int64
	Proven      int64
	Owners      int64
	Claimed     Amount
	ProvenUnits Amount
}

// Cells counts the devices of a filter by cell of a resolution; without says how
// many of the devices have no cell. The counts add up to the list's length.
func (s *Store) Cells(ctx context.Context, f DeviceFilter, resolution int) (cells []CellCount, without int64, err error) {
	e, err := s.decided(ctx)
	if err != nil {
		return nil, 0, err
	}
	shift := 3 * (h3.MaxResolution - resolution)
	q := query{from: `SELECT d.place >> ` + strconv.Itoa(shift) + `, min(d.place), count(*), count(DISTINCT d.owner),
		count(*) FILTER (WHERE EXISTS (SELECT 1 FROM proofs p WHERE p.epoch = ? AND p.device = d.n)),
		sum((SELECT coalesce(sum(units), 0) FROM proofs p WHERE p.epoch = ? AND p.device = d.n)),
		sum((SELECT ` + sumOf("capacity") + ` FROM offers o WHERE o.device = d.n AND o.status = 'open')) FROM devices d`, args: []any{e, e}}
	f.apply(&q, s.dialect, e)
	q.order = " GROUP BY 1 ORDER BY 1"
	rows, err := s.read.QueryContext(ctx, q.sql(), q.args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var c CellCount
		var group, least sql.NullInt64
		if err := rows.Scan(&group, &least, &c.Devices, &c.Owners, &c.Proven, &c.ProvenUnits, claimed{&c.Claimed}); err != nil {
			return nil, 0, err
		}
		if !least.Valid {
			without = c.Devices
			continue
		}
		c.Cell = h3.OfPlace(least.Int64, resolution)
		cells = append(cells, c)
	}
	return cells, without, rows.Err()
}
