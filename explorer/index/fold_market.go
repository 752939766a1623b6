package index

import (
	"database/sql"
	"math"

	"github.com/grange-network/grange/ledger/api/marketpb"
)

// lease folds a change of state; the first event of a lease opens it, under the
// message it comes from.
func (b *batch) lease(h happening) error {
	id, ok := id32(h.Get("lease"))
	if !ok {
		return nil
	}
	l, err := b.leases.change(id, b.loadLease, func() *leaseRow { return b.newLease(id) })
	if err != nil {
		return err
	}
	if l.state == "" {
		if err := b.opened(l, h); err != nil {
			return err
		}
	}
	before := l.state
	l.state, l.reason, l.changed = h.Get("state"), h.Get("reason"), b.time
	b.states = append(b.states, stateRow{h.position, l.n, b.time, l.state, l.reason})
	if l.state == "closed" && before != "closed" {
		return b.release(l)
	}
	return nil
}

// opened fills in what only the message says.
func (b *batch) opened(l *leaseRow, h happening) error {
	l.payer, l.height, l.time = h.Get("payer"), b.height, b.time
	if id, ok := id32(h.Get("device")); ok {
		n, err := b.number(id)
		if err != nil {
			return err
		}
		l.device = n
		d, err := b.devices.find(id, b.loadDevice)
		if err != nil {
			return err
		}
		l.owner = word(d.owner)
	}
	m, ok := h.message.(*marketpb.MsgAccept)
	if !ok {
		return nil
	}
	l.use, l.hold = priceOf(m.Use), priceOf(m.Hold)
	l.offer = some(int64(m.OfferId))
	if m.Bid != 0 { // OfferId is a demand, which has the capacity and the deposit
		l.offer = some(int64(m.Bid))
		d, err := b.demands.find(int64(m.OfferId), b.loadDemand)
		if err != nil {
			return err
		}
		if d != nil {
			l.capacity, l.holdBudget, l.deposited = some(d.capacity), some(d.holdBudget), some(d.deposited)
		}
	} else {
		l.capacity, l.holdBudget = some(whole(m.Capacity)), some(whole(m.HoldBudget))
		l.deposited = some(deposit(m.HoldBudget, m.Lanes))
	}
	o, err := b.offers.change(l.offer.Int64, b.loadOffer, func() *offerRow { return &offerRow{id: l.offer.Int64, attributes: "{}"} })
	if err != nil {
		return err
	}
	l.kind = word(o.kind)
	o.leases++
	o.sold = sum(o.sold, l.capacity.Int64)
	return nil
}

// whole is a number of the ledger in a column, which has 63 bits: a capacity may
// be claimed to be anything.
func whole(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// sum is a + b of two that are not negative, or the most there is.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// deposit is a hold budget with the caps of lanes.
func deposit(budget uint64, lanes []marketpb.Lane) int64 {
	total := whole(budget)
	for _, a := range lanes {
		total = sum(total, whole(a.Cap))
	}
	return total
}

// funded folds what transactions add to leases. There is an event only of a fund
// that changes the state of its lease.
func (b *batch) funded(s signed) error {
	for _, m := range s.messages {
		m, ok := m.(*marketpb.MsgFund)
		if !ok || len(m.LeaseId) != 32 {
			continue
		}
		id := [32]byte(m.LeaseId)
		l, err := b.leases.find(id, b.loadLease)
		if err != nil {
			return err
		}
		if l == nil || !l.deposited.Valid {
			continue
		}
		if l, err = b.leases.change(id, b.loadLease, nil); err != nil {
			return err
		}
		if l.holdBudget.Valid { // a standing lease has none
			l.holdBudget = some(sum(l.holdBudget.Int64, whole(m.HoldBudget)))
		}
		l.deposited, l.changed = some(sum(l.deposited.Int64, deposit(m.HoldBudget, m.Lanes))), b.time
	}
	return nil
}

// demand folds what a buyer asked bids for.
func (b *batch) demand(h happening) error {
	id := h.number("demand")
	d, err := b.demands.change(id, b.loadDemand, func() *demandRow { return &demandRow{id: id, height: b.height, time: b.time} })
	if err != nil {
		return err
	}
	d.buyer, d.kind, d.reason = h.Get("buyer"), h.Get("kind"), h.Get("reason")
	if id, ok := id32(h.Get("lease")); ok {
		d.lease = id[:]
	}
	if m, ok := h.message.(*marketpb.MsgPost); ok && m.OfferId == 0 {
		d.capacity, d.holdBudget, d.deposited = whole(m.Capacity), whole(m.HoldBudget), deposit(m.HoldBudget, m.Lanes)
	}
	return nil
}

// release gives the capacity of a closed lease back to its offer.
func (b *batch) release(l *leaseRow) error {
	if !l.offer.Valid {
		return nil
	}
	o, err := b.offers.change(l.offer.Int64, b.loadOffer, func() *offerRow { return &offerRow{id: l.offer.Int64, attributes: "{}"} })
	if err != nil {
		return err
	}
	o.leases = max(0, o.leases-1)
	o.sold = max(0, o.sold-l.capacity.Int64)
	return nil
}

func (b *batch) standing(h happening) error {
	id, ok := id32(h.Get("lease"))
	if !ok {
		return nil
	}
	l, err := b.leases.change(id, b.loadLease, func() *leaseRow { return b.newLease(id) })
	if err != nil {
		return err
	}
	if l.state == "" {
		l.payer, l.kind, l.height, l.time = h.Get("payer"), word(h.Get("kind")), b.height, b.time
		if m, ok := h.message.(*marketpb.MsgPost); ok {
			l.use, l.deposited = priceOf(m.Use), some(deposit(0, m.Lanes))
		}
	}
	l.state, l.reason, l.changed = h.Get("state"), h.Get("reason"), b.time
	b.states = append(b.states, stateRow{h.position, l.n, b.time, l.state, l.reason})
	return nil
}

// settle folds a paid receipt, or a leaf of a statement.
func (b *batch) settle(h happening) error {
	lease, ok := id32(h.Get("lease"))
	device, ok2 := id32(h.Get("device"))
	if !ok || !ok2 {
		return nil
	}
	l, err := b.leases.change(lease, b.loadLease, func() *leaseRow { return b.newLease(lease) })
	if err != nil {
		return err
	}
	d, err := b.devices.change(device, b.loadDevice, func() *deviceRow { return b.newDevice(device) })
	if err != nil {
		return err
	}
	paid, net, units := h.number("paid"), h.number("net"), h.number("units")
	r := receiptRow{id: h.position, lease: l.n, device: d.n, units: units, paid: paid, net: net, epoch: b.epoch, time: b.time}
	if h.Get("lane") != "" {
		r.lane = some(h.number("lane"))
	}
	if h.tx >= 0 {
		r.tx = some(position(b.height, h.tx))
	}
	last, err := b.lanes.change(laneKey{l.n, d.n, r.lane.Int64}, b.loadLane, func() *int64 { return new(int64) })
	if err != nil {
		return err
	}
	r.used = some(units - *last)
	*last = units
	b.receipts = append(b.receipts, r)
	l.receipts++
	return b.settled(l, d, r, 1)
}

// dispute folds what the end of a dispute paid for receipts that no statement
// had. The penalty on top is no payment for use, and only in the event.
func (b *batch) dispute(h happening) error {
	lease, ok := id32(h.Get("lease"))
	device, ok2 := id32(h.Get("device"))
	paid := h.number("paid")
	if !ok || !ok2 || h.Get("state") != "resolved" || paid == 0 {
		return nil
	}
	l, err := b.leases.change(lease, b.loadLease, func() *leaseRow { return b.newLease(lease) })
	if err != nil {
		return err
	}
	d, err := b.devices.change(device, b.loadDevice, func() *deviceRow { return b.newDevice(device) })
	if err != nil {
		return err
	}
	return b.settled(l, d, receiptRow{used: some(0), paid: paid, net: h.number("net")}, 0)
}

// settled adds a payment for use to its lease, device and epoch: the lease's, the
// device's, everybody's. receipts is how many it was for.
func (b *batch) settled(l *leaseRow, d *deviceRow, r receiptRow, receipts int64) error {
	l.usePaid, l.net, l.changed = l.usePaid+r.paid, l.net+r.net, b.time
	d.paid, d.net = d.paid+r.paid, d.net+r.net
	if !b.epoch.Valid {
		return nil
	}
	le, err := b.leaseEpochs.change(leaseEpochKey{l.n, b.epoch.Int64}, b.loadLeaseEpoch, func() *leaseEpochRow { return &leaseEpochRow{device: some(d.n)} })
	if err != nil {
		return err
	}
	add(&le.used, r.used.Int64)
	add(&le.usePaid, r.paid)
	le.net += r.net
	w, err := b.reward(d.n)
	if err != nil {
		return err
	}
	w.usePaid, w.net, w.receipts = w.usePaid+r.paid, w.net+r.net, w.receipts+receipts
	e, err := b.current()
	if err != nil {
		return err
	}
	e.paid, e.net, e.receipts = e.paid+r.paid, e.net+r.net, e.receipts+receipts
	return nil
}

// accrue folds what an epoch paid for holding.
func (b *batch) accrue(h happening) error {
	lease, ok := id32(h.Get("lease"))
	device, ok2 := id32(h.Get("device"))
	if !ok || !ok2 {
		return nil
	}
	l, err := b.leases.change(lease, b.loadLease, func() *leaseRow { return b.newLease(lease) })
	if err != nil {
		return err
	}
	d, err := b.devices.change(device, b.loadDevice, func() *deviceRow { return b.newDevice(device) })
	if err != nil {
		return err
	}
	epoch, outcome, units := h.number("epoch"), h.Get("outcome"), h.number("units")
	paid, net, slashed := h.number("paid"), h.number("net"), h.number("slashed")
	le, err := b.leaseEpochs.change(leaseEpochKey{l.n, epoch}, b.loadLeaseEpoch, func() *leaseEpochRow { return &leaseEpochRow{device: some(d.n)} })
	if err != nil {
		return err
	}
	le.outcome, le.held = word(outcome), some(units)
	add(&le.holdPaid, paid)
	le.net, le.slashed = le.net+net, le.slashed+slashed
	l.held, l.holdPaid, l.net, l.changed = some(units), l.holdPaid+paid, l.net+net, b.time
	l.lastEpoch, l.lastOutcome = some(epoch), word(outcome)
	if outcome == "faulted" && units > 0 {
		l.faults++
	}
	d.paid, d.net, d.slashed = d.paid+paid, d.net+net, d.slashed+slashed
	if paid == 0 && slashed == 0 {
		return nil
	}
	return b.accrued(l, d, paid, net, slashed)
}

func (b *batch) accrued(l *leaseRow, d *deviceRow, paid, net, slashed int64) error {
	if slashed > 0 && l.offer.Valid {
		o, err := b.offers.change(l.offer.Int64, b.loadOffer, func() *offerRow { return &offerRow{id: l.offer.Int64, attributes: "{}"} })
		if err != nil {
			return err
		}
		o.slashed += slashed
		o.bond = max(0, o.bond-slashed)
	}
	if !b.epoch.Valid {
		return nil
	}
	w, err := b.reward(d.n)
	if err != nil {
		return err
	}
	w.holdPaid, w.net, w.slashed = w.holdPaid+paid, w.net+net, w.slashed+slashed
	e, err := b.current()
	if err != nil {
		return err
	}
	e.paid, e.net, e.slashed = e.paid+paid, e.net+net, e.slashed+slashed
	return nil
}

// reward is the row of a device in the epoch that runs.
func (b *batch) reward(device int64) (*rewardRow, error) {
	return b.rewards.change(rewardKey{device, b.epoch.Int64}, b.loadReward, func() *rewardRow { return &rewardRow{} })
}

// current is the row of the epoch that runs.
func (b *batch) current() (*epochRow, error) { return b.epochAt(b.epoch.Int64) }

func (b *batch) epochAt(number int64) (*epochRow, error) {
	return b.epochs.change(number, b.loadEpoch, func() *epochRow {
		return &epochRow{number: number, status: "revealing", time: b.time, height: b.height}
	})
}

// proof folds an accepted proof.
func (b *batch) proof(h happening) error {
	id, ok := id32(h.Get("device"))
	if !ok {
		return nil
	}
	n, err := b.number(id)
	if err != nil {
		return err
	}
	p := proofRow{sequence: h.number("sequence"), epoch: h.number("epoch"), device: n.Int64, position: h.position, time: b.time}
	optional := func(key string) (v sql.NullInt64) {
		if h.Get(key) != "" {
			v = some(h.number(key))
		}
		return v
	}
	p.units, p.size, p.challenges = optional("units"), optional("size"), optional("challenges")
	if h.tx >= 0 {
		p.tx = some(position(b.height, h.tx))
	}
	b.proofs = append(b.proofs, p)
	e, err := b.epochAt(p.epoch)
	if err != nil {
		return err
	}
	e.proofs++
	e.units += p.units.Int64
	return nil
}

// tick folds the ledger's clock.
func (b *batch) tick(h happening) error {
	number := h.number("epoch")
	e, err := b.epochAt(number)
	if err != nil {
		return err
	}
	switch h.Type {
	case "grange.oracle.reveal":
		e.reveals++
	case "grange.credit.epoch":
		e.mid, e.revenue, e.burned = some(h.number("mid")), some(h.number("revenue")), some(h.number("burned"))
		e.released, e.pool = some(h.number("released")), some(h.number("pool"))
	default:
		e.status, e.seed = lastWord(h.Get("status")), word(h.Get("seed"))
		if !b.epoch.Valid || number > b.epoch.Int64 {
			b.epoch = some(number)
			e.time, e.height = b.time, b.height
		}
	}
	return nil
}

// report folds votes and the report they make.
func (b *batch) report(h happening) error {
	key := reportKey{h.Get("vertical"), h.number("epoch")}
	r, err := b.reports.change(key, b.loadReport, func() *reportRow { return &reportRow{} })
	if err != nil {
		return err
	}
	if h.Type == "grange.oracle.vote" {
		r.votes++
		return nil
	}
	r.root, r.total, r.height = h.Get("root"), h.number("total"), b.height
	if h.Get("payable_epoch") != "" {
		r.payable = some(h.number("payable_epoch"))
	}
	return nil
}

// claim folds a bonus that was paid out.
func (b *batch) claim(h happening) error {
	id, ok := id32(h.Get("device"))
	if !ok || !b.epoch.Valid {
		return nil
	}
	n, err := b.number(id)
	if err != nil {
		return err
	}
	w, err := b.reward(n.Int64)
	if err != nil {
		return err
	}
	w.claimed += h.number("paid")
	e, err := b.current()
	if err != nil {
		return err
	}
	e.claimed += h.number("paid")
	return nil
}
