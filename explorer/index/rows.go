package index

import "database/sql"

// The rows that are folded from events. They are kept in memory for a batch and
// written once at its end.

type deviceRow struct {
	n                   int64
	id                  [32]byte
	did, owner, status  string
	keyType, class      sql.NullString
	endpoint, metadata  sql.NullString
	capabilities        string
	cell                int64
	place               sql.NullInt64
	latitude, longitude sql.NullFloat64
	height, time        int64
	paid, net, slashed  int64
}

type offerRow struct {
	id                    int64
	owner, kind, status   string
	device                sql.NullInt64
	use, hold             priceRow
	capacity, sold        int64
	bond, slashed, leases int64
	attributes            string
	height, time          int64
}

// demandRow is what a buyer asked bids for; the lease it becomes has its terms.
type demandRow struct {
	id                    int64
	buyer, kind, reason   string
	capacity              int64
	holdBudget, deposited int64
	lease                 []byte
	height, time          int64
}

type priceRow struct{ credits, per sql.NullInt64 }

type leaseRow struct {
	n                      int64
	id                     [32]byte
	offer, device          sql.NullInt64
	owner, kind            sql.NullString
	payer, state, reason   string
	height, time           int64
	capacity, held         sql.NullInt64
	holdBudget, deposited  sql.NullInt64
	use, hold              priceRow
	holdPaid, usePaid, net int64
	receipts, faults       int64
	lastEpoch              sql.NullInt64
	lastOutcome            sql.NullString
	changed                int64
}

type leaseEpochKey struct{ lease, epoch int64 }

type leaseEpochRow struct {
	device         sql.NullInt64
	outcome        sql.NullString
	held, holdPaid sql.NullInt64
	used, usePaid  sql.NullInt64
	net, slashed   int64
}

type laneKey struct{ lease, device, lane int64 }

type epochRow struct {
	number                          int64
	status                          string
	time, height                    int64
	seed                            sql.NullString
	reveals                         int64
	revenue, burned, released       sql.NullInt64
	pool, mid                       sql.NullInt64
	paid, net, receipts             int64
	slashed, claimed, proofs, units int64
}

type rewardKey struct{ device, epoch int64 }

type rewardRow struct {
	holdPaid, usePaid, net, slashed, claimed, receipts int64
}

type reportKey struct {
	vertical string
	epoch    int64
}

type reportRow struct {
	root    string
	total   int64
	payable sql.NullInt64
	height  int64
	votes   int64
}

type fundKey struct{ recipient, sender string }

type fundRow struct{ ugrain, ucredit int64 }

func some(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: true} }

func word(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// add adds n to a number that may be absent.
func add(to *sql.NullInt64, n int64) { *to = some(to.Int64 + n) }
