package index

import (
	"context"
	"database/sql"
	"fmt"
)

// Proof is an accepted proof.
type Proof struct {
	Sequence   int64   `json:"sequence"`
	Epoch      int64   `json:"epoch"`
	Device     ID      `json:"device"`
	Height     int64   `json:"height"`
	Time       Time    `json:"time"`
	Units      *Amount `json:"units"`
	Size       *int64  `json:"size"`
	Challenges *int64  `json:"challenges"`
	Tx         *ID     `json:"tx"`
}

func scanProof(r *sql.Rows) (p Proof, at *string, err error) {
	var position, ns int64
	var units, size, challenges sql.NullInt64
	var tx []byte
	err = r.Scan(&p.Sequence, &p.Epoch, (*[]byte)(&p.Device), &position, &ns, &units, &size, &challenges, &tx)
	p.Height, _ = place(position)
	p.Time, p.Units, p.Size, p.Challenges = timeOf(ns), amount(units), number(size), number(challenges)
	if tx != nil {
		hash := ID(tx)
		p.Tx = &hash
	}
	return p, cursor(p.Sequence), err
}

// Proofs lists accepted proofs, of a device ("" for all) and an epoch (0 for
// all), newest first.
func (s *Store) Proofs(ctx context.Context, device string, epoch int64, p Page) (List[Proof], error) {
	q := query{from: "SELECT p.sequence, p.epoch, d.id, p.position, p.time, p.units, p.size, p.challenges, t.hash FROM proofs p JOIN devices d ON d.n = p.device LEFT JOIN txs t ON t.id = p.tx"}
	if device != "" {
		n, err := s.deviceNumber(ctx, device)
		if err != nil {
			return List[Proof]{}, err
		}
		q.and("p.device = ?", n)
	}
	if epoch != 0 {
		q.and("p.epoch = ?", epoch)
	}
	if err := q.key("p.sequence", p.After, true); err != nil {
		return List[Proof]{}, err
	}
	return list(ctx, s, q, p.Limit, scanProof)
}

// Epoch is one tick of the ledger's clock and what happened in it.
type Epoch struct {
	Number   int64   `json:"number"`
	Status   string  `json:"status"`
	Started  Time    `json:"started"`
	Height   int64   `json:"start_height"`
	Seed     *string `json:"seed"`
	Ended    bool    `json:"ended"`
	Proofs   int64   `json:"proofs"`
	Proven   *int64  `json:"proven"`
	Faulted  *int64  `json:"faulted"`
	Units    *Amount `json:"proven_units"`
	Reveals  int64   `json:"reveals"`
	Revenue  *Amount `json:"revenue_ucredit"`
	Burned   *Amount `json:"burned_ugrain"`
	Released *Amount `json:"released_ugrain"`
	Pool     *Amount `json:"pool_ugrain"`
	Mid      *Amount `json:"mid_ucredit"`
	Paid     Amount  `json:"paid_ucredit"`
	Net      Amount  `json:"net_ucredit"`
	Receipts int64   `json:"receipts"`
	Slashed  Amount  `json:"slashed_ugrain"`

	Claimed     Amount `json:"-"`
	DevicesPaid int64  `json:"-"`
}

const selectEpochs = `SELECT e.number, e.status, e.time, e.height, e.seed, e.number < (SELECT max(number) FROM epochs), e.proofs,
	(SELECT count(DISTINCT device) FROM lease_epochs f WHERE f.epoch = e.number AND f.outcome = 'faulted' AND f.held > 0),
	e.units, e.reveals, e.revenue, e.burned, e.released, e.pool, e.mid, e.paid, e.net, e.receipts, e.slashed, e.claimed,
	(SELECT count(*) FROM rewards r WHERE r.epoch = e.number AND r.net > 0) FROM epochs e`

func scanEpoch(r *sql.Rows) (e Epoch, at *string, err error) {
	var ns, faulted, units int64
	var seed sql.NullString
	var revenue, burned, released, pool, mid sql.NullInt64
	err = r.Scan(&e.Number, &e.Status, &ns, &e.Height, &seed, &e.Ended, &e.Proofs, &faulted, &units, &e.Reveals, &revenue, &burned, &released, &pool, &mid,
		&e.Paid, &e.Net, &e.Receipts, &e.Slashed, &e.Claimed, &e.DevicesPaid)
	e.Started, e.Seed = timeOf(ns), text(seed)
	e.Revenue, e.Burned, e.Released, e.Pool, e.Mid = amount(revenue), amount(burned), amount(released), amount(pool), amount(mid)
	if e.Status == "decided" {
		proven, u := e.Proofs, Amount(units)
		e.Proven, e.Units = &proven, &u
		if e.Ended {
			e.Faulted = &faulted
		}
	}
	return e, cursor(e.Number), err
}

// Epochs lists epochs, newest first.
func (s *Store) Epochs(ctx context.Context, p Page) (List[Epoch], error) {
	q := query{from: selectEpochs}
	if err := q.key("e.number", p.After, true); err != nil {
		return List[Epoch]{}, err
	}
	return list(ctx, s, q, p.Limit, scanEpoch)
}

// Epoch returns an epoch; 0 is the running one.
func (s *Store) Epoch(ctx context.Context, n int64) (Epoch, error) {
	q := query{from: selectEpochs}
	if n != 0 {
		q.and("e.number = ?", n)
	}
	q.order = " ORDER BY e.number DESC"
	return one(ctx, s, q, fmt.Sprintf("epoch %d", n), scanEpoch)
}

// Report is what validators agreed on for an epoch.
type Report struct {
	Vertical string `json:"vertical"`
	Epoch    int64  `json:"epoch"`
	Root     string `json:"root"`
	Total    Amount `json:"total_ugrain"`
	Payable  *int64 `json:"payable_epoch"`
	Height   int64  `json:"height"`
	Votes    int64  `json:"votes"`
}

// Reports lists the reports of an epoch that were accepted.
func (s *Store) Reports(ctx context.Context, epoch int64) ([]Report, error) {
	q := query{from: "SELECT vertical, epoch, root, total, payable, height, votes FROM reports"}
	q.and("epoch = ? AND root <> ''", epoch)
	q.order = " ORDER BY vertical"
	l, err := list(ctx, s, q, MaxLimit, func(r *sql.Rows) (x Report, at *string, err error) {
		var payable sql.NullInt64
		err = r.Scan(&x.Vertical, &x.Epoch, &x.Root, &x.Total, &payable, &x.Height, &x.Votes)
		x.Payable = number(payable)
		return x, nil, err
	})
	return l.Items, err
}

// Reward is what settlements that ran in an epoch paid a device, and what the
// epoch said of it.
type Reward struct {
	Device   ID      `json:"device"`
	Owner    *string `json:"owner"`
	Epoch    int64   `json:"epoch"`
	Outcome  *string `json:"outcome"`
	HoldPaid Amount  `json:"hold_paid_ucredit"`
	UsePaid  Amount  `json:"use_paid_ucredit"`
	Take     Amount  `json:"take_ucredit"`
	Net      Amount  `json:"net_ucredit"`
	Slashed  Amount  `json:"slashed_ugrain"`
	Claimed  Amount  `json:"claimed_ugrain"`
	Receipts int64   `json:"receipts"`
	Proven   *Amount `json:"proven_units"`
}

// outcomeIn is the outcome of d in the epoch of r: null while it is not known.
const outcomeIn = `CASE WHEN EXISTS (SELECT 1 FROM proofs p WHERE p.epoch = r.epoch AND p.device = r.device) THEN 'proven'
	WHEN EXISTS (SELECT 1 FROM lease_epochs f WHERE f.device = r.device AND f.epoch = r.epoch AND f.outcome = 'faulted' AND f.held > 0) THEN 'faulted'
	WHEN (SELECT status = 'decided' AND number < (SELECT max(number) FROM epochs) FROM epochs WHERE number = r.epoch) THEN 'idle' ELSE 'open' END`

const selectRewards = `SELECT d.id, d.owner, r.epoch, ` + outcomeIn + `, r.hold_paid, r.use_paid, r.net, r.slashed, r.claimed, r.receipts,
	(SELECT sum(units) FROM proofs p WHERE p.epoch = r.epoch AND p.device = r.device), r.device FROM rewards r JOIN devices d ON d.n = r.device`

func scanReward(r *sql.Rows) (w Reward, at *string, err error) {
	var owner, outcome sql.NullString
	var proven sql.NullInt64
	var n int64
	err = r.Scan((*[]byte)(&w.Device), &owner, &w.Epoch, &outcome, &w.HoldPaid, &w.UsePaid, &w.Net, &w.Slashed, &w.Claimed, &w.Receipts, &proven, &n)
	w.Owner, w.Outcome, w.Proven, w.Take = text(owner), text(outcome), amount(proven), w.HoldPaid+w.UsePaid-w.Net
	return w, cursor(w.Epoch, n), err
}

// RewardFilter selects rewards; zero fields select all.
type RewardFilter struct {
	Device, Owner string
	Epoch         int64
}

// Rewards lists rewards, newest epoch first.
func (s *Store) Rewards(ctx context.Context, f RewardFilter, p Page) (List[Reward], error) {
	q := query{from: selectRewards, order: " ORDER BY r.epoch DESC, r.device"}
	if f.Device != "" {
		n, err := s.deviceNumber(ctx, f.Device)
		if err != nil {
			return List[Reward]{}, err
		}
		q.and("r.device = ?", n)
	}
	if f.Owner != "" {
		q.and("d.owner = ?", f.Owner)
	}
	if f.Epoch != 0 {
		q.and("r.epoch = ?", f.Epoch)
	}
	if p.After != "" {
		at, err := openCursor(p.After, 2)
		if err != nil {
			return List[Reward]{}, err
		}
		q.and("r.epoch <= ? AND (r.epoch < ? OR r.device > ?)", at[0], at[0], at[1])
	}
	return list(ctx, s, q, p.Limit, scanReward)
}

// TopRewards lists the rewards of an epoch, most paid first.
func (s *Store) TopRewards(ctx context.Context, epoch int64) ([]Reward, error) {
	q := query{from: selectRewards, order: " ORDER BY r.net DESC, r.device"}
	q.and("r.epoch = ?", epoch)
	l, err := list(ctx, s, q, MaxLimit, scanReward)
	return l.Items, err
}

// LeaseEpoch is what an epoch did to a lease.
type LeaseEpoch struct {
	Lease    ID      `json:"lease"`
	Device   *ID     `json:"device"`
	Epoch    int64   `json:"epoch"`
	Outcome  *string `json:"outcome"`
	Held     *Amount `json:"held_units"`
	HoldPaid *Amount `json:"hold_paid_ucredit"`
	Used     *Amount `json:"used_units"`
	UsePaid  *Amount `json:"use_paid_ucredit"`
	Take     Amount  `json:"take_ucredit"`
	Net      Amount  `json:"net_ucredit"`
	Slashed  Amount  `json:"slashed_ugrain"`
}

const selectLeaseEpochs = `SELECT l.id, d.id, x.epoch, x.outcome, x.held, x.hold_paid, x.used, x.use_paid, x.net, x.slashed
	FROM lease_epochs x JOIN leases l ON l.n = x.lease LEFT JOIN devices d ON d.n = x.device`

func scanLeaseEpoch(r *sql.Rows) (x LeaseEpoch, at *string, err error) {
	var device []byte
	var outcome sql.NullString
	var held, holdPaid, used, usePaid sql.NullInt64
	err = r.Scan((*[]byte)(&x.Lease), &device, &x.Epoch, &outcome, &held, &holdPaid, &used, &usePaid, &x.Net, &x.Slashed)
	if device != nil {
		id := ID(device)
		x.Device = &id
	}
	x.Outcome, x.Held, x.HoldPaid, x.Used, x.UsePaid = text(outcome), amount(held), amount(holdPaid), amount(used), amount(usePaid)
	x.Take = Amount(holdPaid.Int64+usePaid.Int64) - x.Net
	return x, nil, err
}

// EpochsOfLease lists what the newest epochs did to a lease, newest first.
func (s *Store) EpochsOfLease(ctx context.Context, lease string, limit int) ([]LeaseEpoch, error) {
	n, err := s.leaseNumber(ctx, lease)
	if err != nil {
		return nil, err
	}
	q := query{from: selectLeaseEpochs, order: " ORDER BY x.epoch DESC"}
	q.and("x.lease = ?", n)
	l, err := list(ctx, s, q, limit, scanLeaseEpoch)
	return l.Items, err
}

// LeasesIn lists what an epoch did to the leases of a device.
func (s *Store) LeasesIn(ctx context.Context, device string, epoch int64) ([]LeaseEpoch, error) {
	n, err := s.deviceNumber(ctx, device)
	if err != nil {
		return nil, err
	}
	q := query{from: selectLeaseEpochs, order: " ORDER BY x.lease"}
	q.and("x.device = ? AND x.epoch = ?", n, epoch)
	l, err := list(ctx, s, q, MaxLimit, scanLeaseEpoch)
	return l.Items, err
}

// Why collects what is known of a device in an epoch. It is ErrNotFound for an
// epoch that has not begun.
type Why struct {
	Device   Device
	Epoch    Epoch
	Reward   Reward
	Leases   []LeaseEpoch
	Proof    *Proof
	Receipts []Receipt
}

// Why reads it.
func (s *Store) Why(ctx context.Context, device string, epoch int64) (w Why, err error) {
	if w.Device, err = s.Device(ctx, device); err != nil {
		return w, err
	}
	if w.Epoch, err = s.Epoch(ctx, epoch); err != nil {
		return w, err
	}
	if w.Leases, err = s.LeasesIn(ctx, device, epoch); err != nil {
		return w, err
	}
	if w.Receipts, err = s.ReceiptsIn(ctx, device, epoch); err != nil {
		return w, err
	}
	proofs, err := s.Proofs(ctx, device, epoch, Page{Limit: 1})
	if err != nil {
		return w, err
	}
	if len(proofs.Items) > 0 {
		w.Proof = &proofs.Items[0]
	}
	rewards, err := s.Rewards(ctx, RewardFilter{Device: device, Epoch: epoch}, Page{Limit: 1})
	if err != nil {
		return w, err
	}
	if len(rewards.Items) > 0 {
		w.Reward = rewards.Items[0]
		return w, nil
	}
	w.Reward = Reward{Device: w.Device.ID, Owner: &w.Device.Owner, Epoch: epoch}
	outcome := w.outcome()
	w.Reward.Outcome = &outcome
	return w, nil
}

// outcome is that of a device nothing was settled for.
func (w Why) outcome() string {
	if w.Proof != nil {
		return "proven"
	}
	for _, l := range w.Leases {
		if l.Outcome != nil && *l.Outcome == "faulted" && l.Held != nil && *l.Held > 0 {
			return "faulted"
		}
	}
	if w.Epoch.Status == "decided" && w.Epoch.Ended {
		return "idle"
	}
	return "open"
}
