package index

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/grange-network/grange/h3"
)

// KindOffer is what of one kind is for sale, and where. Devices and owners are
// those with an open offer of the kind, or paid under a standing lease of it.
type KindOffer struct {
	Kind     string
	Devices  int64
	Owners   int64
	Offers   int64  // open
	Standing int64  // standing leases that buy it from any device
	Use      *Price // the cheapest of the open offers
	Hold     *Price
	Capacity Amount
	Sold     Amount
	Free     Amount
	Paid     Amount // by all leases, ever
	Net      Amount
	Cells    []CellOwners
	Nowhere  int64 // devices without a cell
}

// CellOwners is how many devices of how many owners a cell has.
type CellOwners struct {
	Cell            h3.Cell
	Devices, Owners int64
}

// maxKinds bounds the kinds of one answer: anybody may offer a kind of his own.
const maxKinds = 100

// devicesOf are the devices of a kind given twice.
const devicesOf = `(SELECT device FROM offers WHERE kind = ? AND status = 'open'
	UNION SELECT x.device FROM lanes x JOIN leases l ON l.n = x.lease WHERE l.kind = ? AND l.device IS NULL)`

// ForSale lists the kinds that are offered or bought, those most was paid for
// first, with their places in cells of a resolution.
func (s *Store) ForSale(ctx context.Context, resolution int) ([]KindOffer, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT k.kind, (SELECT count(*) FROM offers o WHERE o.kind = k.kind AND o.status = 'open'),
		(SELECT count(*) FROM leases l WHERE l.kind = k.kind AND l.device IS NULL AND l.state IN ('open', 'grace', 'closing')),
		(SELECT coalesce(sum(l.hold_paid + l.use_paid), 0) FROM leases l WHERE l.kind = k.kind) AS paid,
		(SELECT coalesce(sum(l.net), 0) FROM leases l WHERE l.kind = k.kind)
		FROM (SELECT kind FROM offers WHERE status = 'open' UNION SELECT kind FROM leases WHERE device IS NULL AND kind IS NOT NULL AND state IN ('open', 'grace', 'closing')) k
		ORDER BY paid DESC, k.kind LIMIT `+strconv.Itoa(maxKinds))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []KindOffer{}
	for rows.Next() {
		var k KindOffer
		if err := rows.Scan(&k.Kind, &k.Offers, &k.Standing, &k.Paid, &k.Net); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close() // the next queries may need its connection
	for i := range out {
		if err := s.kind(ctx, &out[i], resolution); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) kind(ctx context.Context, k *KindOffer, resolution int) (err error) {
	err = s.read.QueryRowContext(ctx, "SELECT "+sumOf("capacity")+", "+sumOf("sold")+", "+sumOf("CASE WHEN capacity > sold THEN capacity - sold ELSE 0 END")+
		" FROM offers WHERE kind = ? AND status = 'open'", k.Kind).Scan(claimed{&k.Capacity}, claimed{&k.Sold}, claimed{&k.Free})
	if err != nil {
		return err
	}
	if k.Use, err = s.cheapest(ctx, k.Kind, "use"); err != nil {
		return err
	}
	if k.Hold, err = s.cheapest(ctx, k.Kind, "hold"); err != nil {
		return err
	}
	err = s.read.QueryRowContext(ctx, "SELECT count(*), count(DISTINCT owner) FROM devices WHERE n IN "+devicesOf, k.Kind, k.Kind).Scan(&k.Devices, &k.Owners)
	if err != nil {
		return err
	}
	return s.places(ctx, k, resolution)
}

// cheapest is the lowest price to use, or to hold, of a kind; nil for none.
func (s *Store) cheapest(ctx context.Context, kind, which string) (*Price, error) {
	var credits, per sql.NullInt64
	err := s.read.QueryRowContext(ctx, "SELECT "+which+"_credits, "+which+"_per FROM offers WHERE kind = ? AND status = 'open' AND "+which+"_per > 0 ORDER BY CAST("+
		which+"_credits AS DOUBLE PRECISION) / "+which+"_per, id LIMIT 1", kind).Scan(&credits, &per)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return price(credits, per), err
}

func (s *Store) places(ctx context.Context, k *KindOffer, resolution int) error {
	shift := strconv.Itoa(3 * (h3.MaxResolution - resolution))
	rows, err := s.read.QueryContext(ctx, "SELECT place >> "+shift+", min(place), count(*), count(DISTINCT owner) FROM devices WHERE n IN "+devicesOf+" GROUP BY 1 ORDER BY 1", k.Kind, k.Kind)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var group, least sql.NullInt64
		var c CellOwners
		if err := rows.Scan(&group, &least, &c.Devices, &c.Owners); err != nil {
			return err
		}
		if !least.Valid {
			k.Nowhere = c.Devices
			continue
		}
		c.Cell = h3.OfPlace(least.Int64, resolution)
		k.Cells = append(k.Cells, c)
	}
	return rows.Err()
}
