package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/grange-network/grange/ledger/client"
)

// batch folds blocks into rows; flush writes them.
type batch struct {
	ctx context.Context
	tx  transaction

	height, time int64
	tip          int64         // that the first transaction found
	epoch        sql.NullInt64 // that runs

	devices     table[[32]byte, deviceRow]
	offers      table[int64, offerRow]
	demands     table[int64, demandRow]
	leases      table[[32]byte, leaseRow]
	leaseEpochs table[leaseEpochKey, leaseEpochRow]
	lanes       table[laneKey, int64]
	epochs      table[int64, epochRow]
	rewards     table[rewardKey, rewardRow]
	reports     table[reportKey, reportRow]
	funds       table[fundKey, fundRow]

	lastDevice, lastLease int64

	blocks   []blockRow
	txs      []txRow
	states   []stateRow
	receipts []receiptRow
	proofs   []proofRow
	events   int
}

type blockRow struct {
	height, time                  int64
	hash, appHash, proposer, body []byte
	txs, events                   int
	epoch                         sql.NullInt64
}

type txRow struct {
	id, time       int64
	hash           []byte
	signer         sql.NullString
	kind, types    string
	code           uint32
	codespace, log string
	wanted, used   int64
	fee            sql.NullInt64
}

type stateRow struct {
	id, lease, time int64
	state, reason   string
}

type receiptRow struct {
	id, lease, device int64
	lane              sql.NullInt64
	units             int64
	used              sql.NullInt64
	paid, net         int64
	epoch, tx         sql.NullInt64
	time              int64
}

type proofRow struct {
	sequence, epoch, device, position, time int64
	units, size, challenges, tx             sql.NullInt64
}

func newBatch() *batch {
	return &batch{
		devices: newTable[[32]byte, deviceRow](), offers: newTable[int64, offerRow](), demands: newTable[int64, demandRow](), leases: newTable[[32]byte, leaseRow](),
		leaseEpochs: newTable[leaseEpochKey, leaseEpochRow](), lanes: newTable[laneKey, int64](), epochs: newTable[int64, epochRow](),
		rewards: newTable[rewardKey, rewardRow](), reports: newTable[reportKey, reportRow](), funds: newTable[fundKey, fundRow](),
	}
}

// start reads what a batch needs to go on after the tip.
func (b *batch) start() error {
	err := b.tx.QueryRowContext(b.ctx, "SELECT (SELECT coalesce(max(n), 0) FROM devices), (SELECT coalesce(max(n), 0) FROM leases), (SELECT max(number) FROM epochs WHERE height > 0), (SELECT coalesce(max(height), 0) FROM blocks)").
		Scan(&b.lastDevice, &b.lastLease, &b.epoch, &b.tip)
	if err != nil {
		return fmt.Errorf("read tip of index: %w", err)
	}
	return nil
}

func (b *batch) newDevice(id [32]byte) *deviceRow {
	b.lastDevice++
	return &deviceRow{n: b.lastDevice, id: id, status: "unspecified", capabilities: "[]", height: b.height, time: b.time}
}

func (b *batch) newLease(id [32]byte) *leaseRow {
	b.lastLease++
	return &leaseRow{n: b.lastLease, id: id}
}

// number is the small number of a device, which it makes for an unknown one: an
// index that began after the registration still tells devices apart.
func (b *batch) number(id [32]byte) (sql.NullInt64, error) {
	d, err := b.devices.find(id, b.loadDevice)
	if err != nil {
		return sql.NullInt64{}, err
	}
	if d == nil {
		if d, err = b.devices.change(id, b.loadDevice, func() *deviceRow { return b.newDevice(id) }); err != nil {
			return sql.NullInt64{}, err
		}
	}
	return some(d.n), nil
}

// Apply adds blocks, which must follow the tip in order, in one transaction of
// the file: all of them or none. It returns how many events they had.
func (s *Store) Apply(ctx context.Context, blocks []client.Block) (events int, err error) {
	if len(blocks) == 0 {
		return 0, nil
	}
	tx, err := s.write.begin(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("index block %d: %w", blocks[0].Height, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("index blocks %d to %d: %w", blocks[0].Height, blocks[len(blocks)-1].Height, err), tx.Rollback())
			s.batch = nil // its rows may be ahead of the file
		}
	}()
	if s.batch == nil {
		s.batch = newBatch()
		s.batch.ctx, s.batch.tx = ctx, tx
		if err := s.batch.start(); err != nil {
			return 0, err
		}
	}
	b := s.batch
	b.ctx, b.tx, b.events = ctx, tx, 0
	last := s.Height()
	if b.tip > last { // the answer to an earlier commit was lost
		last = b.tip
		s.height.Store(last)
	}
	for _, block := range blocks {
		if last != 0 && block.Height <= last {
			return 0, fmt.Errorf("block %d comes after %d", block.Height, last)
		}
		last = block.Height
		if err := b.block(block); err != nil {
			return 0, err
		}
	}
	if err := b.flush(); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.height.Store(last)
	return b.events, nil
}
