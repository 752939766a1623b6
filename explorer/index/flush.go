package index

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// columns of every table.
var columns = shapes()

// insert writes rows of append-only tables.
func (b *batch) insert(table string, rows int, values func(int) []any) error {
	return b.write(table, "", rows, values)
}

// put replaces rows that were folded.
func put[K comparable, R any](b *batch, t *table[K, R], name string, values func(K, *R) []any) error {
	keys := make([]K, 0, len(t.dirty))
	for k := range t.dirty { // in any order: each row has its own key
		keys = append(keys, k)
	}
	err := b.write(name, columns[name].upsert, len(keys), func(i int) []any { return values(keys[i], t.dirty[keys[i]]) })
	t.written()
	return err
}

func (b *batch) write(table, conflict string, rows int, values func(int) []any) error {
	if rows == 0 {
		return nil
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns[table].columns), ",") + ")"
	statement := func(n int) string {
		return "INSERT INTO " + table + " VALUES " + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + conflict
	}
	var full *sql.Stmt
	most := b.tx.rows
	args := make([]any, 0, min(rows, most)*columns[table].columns)
	for at := 0; at < rows; {
		n := min(most, rows-at)
		args = args[:0]
		for i := at; i < at+n; i++ {
			for _, v := range values(i) {
				args = append(args, clean(v))
			}
		}
		at += n
		if n < most {
			if _, err := b.tx.ExecContext(b.ctx, statement(n), args...); err != nil {
				return fmt.Errorf("write %s: %w", table, err)
			}
			continue
		}
		if full == nil {
			var err error
			if full, err = b.tx.PrepareContext(b.ctx, statement(n)); err != nil {
				return fmt.Errorf("write %s: %w", table, err)
			}
			defer full.Close()
		}
		if _, err := full.ExecContext(b.ctx, args...); err != nil {
			return fmt.Errorf("write %s: %w", table, err)
		}
	}
	return nil
}

// flush writes everything folded since the last one.
func (b *batch) flush() error {
	err := errors.Join(b.flushLists(), b.flushMarket(), b.flushEpochs())
	b.blocks, b.txs, b.states, b.receipts, b.proofs = b.blocks[:0], b.txs[:0], b.states[:0], b.receipts[:0], b.proofs[:0]
	return err
}

func (b *batch) flushLists() error {
	if err := b.flushProposers(); err != nil {
		return err
	}
	return errors.Join(
		b.insert("blocks", len(b.blocks), func(i int) []any {
			r := &b.blocks[i]
			return []any{r.height, r.time, r.hash, r.appHash, r.proposer, r.txs, r.events, r.epoch, r.body}
		}),
		b.insert("txs", len(b.txs), func(i int) []any {
			r := &b.txs[i]
			return []any{r.id, r.hash, r.time, r.signer, r.kind, r.types, r.code, r.codespace, r.log, r.wanted, r.used, r.fee}
		}),
		b.insert("lease_states", len(b.states), func(i int) []any {
			r := &b.states[i]
			return []any{r.id, r.lease, r.time, r.state, r.reason}
		}),
		b.insert("receipts", len(b.receipts), func(i int) []any {
			r := &b.receipts[i]
			return []any{r.id, r.lease, r.device, r.lane, r.units, r.used, r.paid, r.net, r.epoch, r.tx, r.time}
		}),
		b.insert("proofs", len(b.proofs), func(i int) []any {
			r := &b.proofs[i]
			return []any{r.sequence, r.epoch, r.device, r.position, r.time, r.units, r.size, r.challenges, r.tx}
		}))
}

func (b *batch) flushProposers() error {
	made := map[string]int{}
	for i := range b.blocks {
		made[string(b.blocks[i].proposer)]++
	}
	for p, n := range made {
		_, err := b.tx.ExecContext(b.ctx, "INSERT INTO proposers VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET blocks = proposers.blocks + excluded.blocks", []byte(p), n)
		if err != nil {
			return fmt.Errorf("write proposers: %w", err)
		}
	}
	return nil
}

func (b *batch) flushMarket() error {
	return errors.Join(
		put(b, &b.devices, "devices", func(_ [32]byte, d *deviceRow) []any {
			return []any{d.n, d.id[:], d.did, d.owner, d.keyType, d.class, d.status, d.endpoint, d.capabilities, d.metadata, d.cell, d.place, d.latitude, d.longitude,
				d.height, d.time, d.paid, d.net, d.slashed}
		}),
		put(b, &b.offers, "offers", func(_ int64, o *offerRow) []any {
			return []any{o.id, o.owner, o.device, o.kind, o.use.credits, o.use.per, o.hold.credits, o.hold.per, o.capacity, o.sold, o.bond, o.slashed,
				o.leases, o.status, o.attributes, o.height, o.time}
		}),
		put(b, &b.demands, "demands", func(_ int64, d *demandRow) []any {
			return []any{d.id, d.buyer, d.kind, d.capacity, d.holdBudget, d.deposited, d.reason, d.lease, d.height, d.time}
		}),
		put(b, &b.leases, "leases", func(_ [32]byte, l *leaseRow) []any {
			return []any{l.n, l.id[:], l.offer, l.device, l.owner, l.payer, l.kind, l.state, l.reason, l.height, l.time, l.capacity, l.held,
				l.holdBudget, l.deposited, l.use.credits, l.use.per, l.hold.credits, l.hold.per, l.holdPaid, l.usePaid, l.net, l.receipts, l.faults,
				l.lastEpoch, l.lastOutcome, l.changed}
		}),
		put(b, &b.lanes, "lanes", func(k laneKey, units *int64) []any { return []any{k.lease, k.device, k.lane, *units} }),
		put(b, &b.leaseEpochs, "lease_epochs", func(k leaseEpochKey, r *leaseEpochRow) []any {
			return []any{k.lease, k.epoch, r.device, r.outcome, r.held, r.holdPaid, r.used, r.usePaid, r.net, r.slashed}
		}))
}

func (b *batch) flushEpochs() error {
	return errors.Join(
		put(b, &b.epochs, "epochs", func(_ int64, e *epochRow) []any {
			return []any{e.number, e.status, e.time, e.height, e.seed, e.reveals, e.revenue, e.burned, e.released, e.pool, e.mid, e.paid, e.net,
				e.receipts, e.slashed, e.claimed, e.proofs, e.units}
		}),
		put(b, &b.rewards, "rewards", func(k rewardKey, r *rewardRow) []any {
			return []any{k.device, k.epoch, r.holdPaid, r.usePaid, r.net, r.slashed, r.claimed, r.receipts}
		}),
		put(b, &b.reports, "reports", func(k reportKey, r *reportRow) []any {
			return []any{k.vertical, k.epoch, r.root, r.total, r.payable, r.height, r.votes}
		}),
		put(b, &b.funds, "funds", func(k fundKey, r *fundRow) []any { return []any{k.sender, k.recipient, r.ugrain, r.ucredit} }))
}

// loaded turns a missing row into nil.
func loaded[R any](r *R, err error) (*R, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func (b *batch) row(query string, args ...any) *sql.Row {
	return b.tx.QueryRowContext(b.ctx, query, args...)
}

func (b *batch) loadDevice(id [32]byte) (*deviceRow, error) {
	d := &deviceRow{id: id}
	return loaded(d, b.row("SELECT n, did, owner, key_type, class, status, endpoint, capabilities, metadata, cell, place, latitude, longitude, height, time, paid, net, slashed FROM devices WHERE id = ?", id[:]).
		Scan(&d.n, &d.did, &d.owner, &d.keyType, &d.class, &d.status, &d.endpoint, &d.capabilities, &d.metadata, &d.cell, &d.place, &d.latitude, &d.longitude, &d.height, &d.time, &d.paid, &d.net, &d.slashed))
}

func (b *batch) loadOffer(id int64) (*offerRow, error) {
	o := &offerRow{id: id}
	return loaded(o, b.row("SELECT owner, device, kind, use_credits, use_per, hold_credits, hold_per, capacity, sold, bond, slashed, leases, status, attributes, height, time FROM offers WHERE id = ?", id).
		Scan(&o.owner, &o.device, &o.kind, &o.use.credits, &o.use.per, &o.hold.credits, &o.hold.per, &o.capacity, &o.sold, &o.bond, &o.slashed, &o.leases, &o.status, &o.attributes, &o.height, &o.time))
}

func (b *batch) loadDemand(id int64) (*demandRow, error) {
	d := &demandRow{id: id}
	return loaded(d, b.row("SELECT buyer, kind, capacity, hold_budget, deposited, reason, lease, height, time FROM demands WHERE id = ?", id).
		Scan(&d.buyer, &d.kind, &d.capacity, &d.holdBudget, &d.deposited, &d.reason, &d.lease, &d.height, &d.time))
}

func (b *batch) loadLease(id [32]byte) (*leaseRow, error) {
	l := &leaseRow{id: id}
	return loaded(l, b.row(`SELECT n, offer, device, owner, payer, kind, state, reason, height, time, capacity, held, hold_budget, deposited, use_credits, use_per,
		hold_credits, hold_per, hold_paid, use_paid, net, receipts, faults, last_epoch, last_outcome, changed FROM leases WHERE id = ?`, id[:]).
		Scan(&l.n, &l.offer, &l.device, &l.owner, &l.payer, &l.kind, &l.state, &l.reason, &l.height, &l.time, &l.capacity, &l.held, &l.holdBudget, &l.deposited,
			&l.use.credits, &l.use.per, &l.hold.credits, &l.hold.per, &l.holdPaid, &l.usePaid, &l.net, &l.receipts, &l.faults, &l.lastEpoch, &l.lastOutcome, &l.changed))
}

func (b *batch) loadLane(k laneKey) (*int64, error) {
	units := new(int64)
	return loaded(units, b.row("SELECT units FROM lanes WHERE lease = ? AND device = ? AND lane = ?", k.lease, k.device, k.lane).Scan(units))
}

func (b *batch) loadLeaseEpoch(k leaseEpochKey) (*leaseEpochRow, error) {
	r := &leaseEpochRow{}
	return loaded(r, b.row("SELECT device, outcome, held, hold_paid, used, use_paid, net, slashed FROM lease_epochs WHERE lease = ? AND epoch = ?", k.lease, k.epoch).
		Scan(&r.device, &r.outcome, &r.held, &r.holdPaid, &r.used, &r.usePaid, &r.net, &r.slashed))
}

func (b *batch) loadEpoch(number int64) (*epochRow, error) {
	e := &epochRow{number: number}
	return loaded(e, b.row("SELECT status, time, height, seed, reveals, revenue, burned, released, pool, mid, paid, net, receipts, slashed, claimed, proofs, units FROM epochs WHERE number = ?", number).
		Scan(&e.status, &e.time, &e.height, &e.seed, &e.reveals, &e.revenue, &e.burned, &e.released, &e.pool, &e.mid, &e.paid, &e.net, &e.receipts, &e.slashed, &e.claimed, &e.proofs, &e.units))
}

func (b *batch) loadReward(k rewardKey) (*rewardRow, error) {
	r := &rewardRow{}
	return loaded(r, b.row("SELECT hold_paid, use_paid, net, slashed, claimed, receipts FROM rewards WHERE device = ? AND epoch = ?", k.device, k.epoch).
		Scan(&r.holdPaid, &r.usePaid, &r.net, &r.slashed, &r.claimed, &r.receipts))
}

func (b *batch) loadReport(k reportKey) (*reportRow, error) {
	r := &reportRow{}
	return loaded(r, b.row("SELECT root, total, payable, height, votes FROM reports WHERE vertical = ? AND epoch = ?", k.vertical, k.epoch).
		Scan(&r.root, &r.total, &r.payable, &r.height, &r.votes))
}

func (b *batch) loadFund(k fundKey) (*fundRow, error) {
	r := &fundRow{}
	return loaded(r, b.row("SELECT ugrain, ucredit FROM funds WHERE sender = ? AND recipient = ?", k.sender, k.recipient).Scan(&r.ugrain, &r.ucredit))
}
