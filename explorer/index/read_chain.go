package index

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Block is an indexed block.
type Block struct {
	Height   int64  `json:"height"`
	Time     Time   `json:"time"`
	Hash     ID     `json:"hash"`
	AppHash  ID     `json:"app_hash"`
	Proposer ID     `json:"proposer"`
	Txs      int64  `json:"txs"`
	Events   int64  `json:"events"`
	Epoch    *int64 `json:"epoch"`
}

// Tx is an indexed transaction.
type Tx struct {
	Hash      ID       `json:"hash"`
	Height    int64    `json:"height"`
	Index     int      `json:"index"`
	Time      Time     `json:"time"`
	Signer    *string  `json:"signer"`
	Types     []string `json:"types"`
	Code      int64    `json:"code"`
	Codespace *string  `json:"codespace"`
	Log       *string  `json:"log"`
	GasWanted int64    `json:"gas_wanted"`
	GasUsed   int64    `json:"gas_used"`
	Fee       *Amount  `json:"fee_ugrain"`
}

func scanBlock(r *sql.Rows) (b Block, at *string, err error) {
	var ns int64
	var epoch sql.NullInt64
	err = r.Scan(&b.Height, &ns, (*[]byte)(&b.Hash), (*[]byte)(&b.AppHash), (*[]byte)(&b.Proposer), &b.Txs, &b.Events, &epoch)
	b.Time, b.Epoch = timeOf(ns), number(epoch)
	return b, cursor(b.Height), err
}

const selectBlocks = "SELECT height, time, hash, app_hash, proposer, txs, events, epoch FROM blocks"

// Blocks lists blocks, newest first; with full only those with transactions.
func (s *Store) Blocks(ctx context.Context, full bool, p Page) (List[Block], error) {
	q := query{from: selectBlocks}
	if full {
		q.and("txs > 0")
	}
	if err := q.key("height", p.After, true); err != nil {
		return List[Block]{}, err
	}
	return list(ctx, s, q, p.Limit, scanBlock)
}

// Block returns the block at a height.
func (s *Store) Block(ctx context.Context, height int64) (Block, error) {
	q := query{from: selectBlocks}
	q.and("height = ?", height)
	return one(ctx, s, q, fmt.Sprintf("block %d", height), scanBlock)
}

const selectTxs = "SELECT id, hash, time, signer, types, code, codespace, log, gas_wanted, gas_used, fee FROM txs"

func scanTx(r *sql.Rows) (t Tx, at *string, err error) {
	var id, ns int64
	var signer, codespace, log sql.NullString
	var types string
	var fee sql.NullInt64
	err = r.Scan(&id, (*[]byte)(&t.Hash), &ns, &signer, &types, &t.Code, &codespace, &log, &t.GasWanted, &t.GasUsed, &fee)
	t.Height, t.Index = place(id)
	t.Time, t.Signer, t.Codespace, t.Log, t.Fee = timeOf(ns), text(signer), text(codespace), text(log), amount(fee)
	t.Types = []string{}
	if types != "" {
		t.Types = strings.Split(types, ",")
	}
	return t, cursor(id), err
}

// TxFilter selects transactions; zero fields select all.
type TxFilter struct {
	Account, Type string
	Failed        bool
	Height        int64
}

// Txs lists transactions, newest first.
func (s *Store) Txs(ctx context.Context, f TxFilter, p Page) (List[Tx], error) {
	q := query{from: selectTxs}
	if f.Account != "" {
		q.and("signer = ?", f.Account)
	}
	if f.Type != "" {
		q.and("type = ?", strings.TrimPrefix(f.Type, "/"))
	}
	if f.Failed {
		q.and("code > 0")
	}
	if f.Height != 0 {
		q.and("id >= ? AND id < ?", position(f.Height, 0), position(f.Height+1, 0))
	}
	if err := q.key("id", p.After, true); err != nil {
		return List[Tx]{}, err
	}
	return list(ctx, s, q, p.Limit, scanTx)
}

// Tx returns the transaction with a hash.
func (s *Store) Tx(ctx context.Context, hash string) (Tx, error) {
	id, err := parseID("transaction", hash)
	if err != nil {
		return Tx{}, err
	}
	q := query{from: selectTxs}
	q.and("hash = ?", id)
	q.order = " ORDER BY id DESC"
	return one(ctx, s, q, "transaction "+hash, scanTx)
}

// EventsOf returns the events of one block, in order.
func (s *Store) EventsOf(ctx context.Context, height int64) ([]Event, error) {
	all, err := s.events(ctx, "WHERE height = ?", height)
	return all, err
}

// EventsAfter returns the events of at most count blocks after a height.
func (s *Store) EventsAfter(ctx context.Context, height int64, count int) ([]Event, []Block, error) {
	q := query{from: selectBlocks}
	q.and("height > ?", height)
	q.order = " ORDER BY height"
	blocks, err := list(ctx, s, q, count, scanBlock)
	if err != nil || len(blocks.Items) == 0 {
		return nil, nil, err
	}
	last := blocks.Items[len(blocks.Items)-1].Height
	events, err := s.events(ctx, "WHERE height > ? AND height <= ? ORDER BY height", height, last)
	return events, blocks.Items, err
}

// maxScan bounds the blocks that one page of events looks through.
const maxScan = 5000

// Events lists events whose type begins with a prefix, newest first. A rare type
// may give a short page with a cursor to go on: a page looks through at most
// maxScan blocks.
func (s *Store) Events(ctx context.Context, prefix string, p Page) (List[Event], error) {
	out := List[Event]{Items: []Event{}, Height: s.Height()}
	limit := p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 1 || limit > MaxLimit {
		return out, fmt.Errorf("%w: limit %d: want 1 to %d", ErrBad, limit, MaxLimit)
	}
	height, index := out.Height+1, 0
	if p.After != "" {
		words, err := openCursor(p.After, 1)
		if err != nil {
			return out, err
		}
		height, index = place(words[0])
	}
	rows, err := s.read.QueryContext(ctx, "SELECT height, time, body FROM blocks WHERE height <= ? AND height > ? ORDER BY height DESC", height, height-maxScan)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	lowest := height
	for rows.Next() {
		all, at, err := scanEvents(rows)
		if err != nil {
			return out, err
		}
		lowest = at
		for i := len(all) - 1; i >= 0; i-- {
			e := all[i]
			if !strings.HasPrefix(e.Type, prefix) || at == height && e.Index >= index {
				continue
			}
			if len(out.Items) == limit {
				last := out.Items[limit-1]
				out.Next = cursor(position(last.Height, last.Index))
				rows.Close() // the next query may need its connection
				return out, s.nameTxs(ctx, out.Items)
			}
			out.Items = append(out.Items, e)
		}
	}
	if err := rows.Err(); err != nil {
		return out, err
	}
	rows.Close()
	if lowest > 1 && lowest <= height-maxScan+1 {
		out.Next = cursor(position(lowest, 0))
	}
	return out, s.nameTxs(ctx, out.Items)
}

func (s *Store) events(ctx context.Context, where string, args ...any) ([]Event, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT height, time, body FROM blocks "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Event{}
	for rows.Next() {
		all, _, err := scanEvents(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close() // the next query may need its connection
	return out, s.nameTxs(ctx, out)
}

// scanEvents reads the body of a block. Tx holds the index of the transaction
// until nameTxs replaces it.
func scanEvents(rows *sql.Rows) ([]Event, int64, error) {
	var height, ns int64
	var body []byte
	if err := rows.Scan(&height, &ns, &body); err != nil {
		return nil, 0, err
	}
	var kept []stored
	if err := json.Unmarshal(body, &kept); err != nil {
		return nil, 0, fmt.Errorf("read events of block %d: %w", height, err)
	}
	out := make([]Event, len(kept))
	for i, k := range kept {
		out[i] = Event{Height: height, Index: i, Type: k.Type, Time: timeOf(ns), Attributes: k.Att, tx: k.Tx}
	}
	return out, height, nil
}

// nameTxs sets the hashes of the events' transactions.
func (s *Store) nameTxs(ctx context.Context, events []Event) error {
	names := map[int64]string{}
	for i := range events {
		e := &events[i]
		if e.tx < 0 {
			continue
		}
		id := position(e.Height, e.tx)
		name, ok := names[id]
		if !ok {
			var hash []byte
			if err := s.read.QueryRowContext(ctx, "SELECT hash FROM txs WHERE id = ?", id).Scan(&hash); err != nil {
				return fmt.Errorf("read transaction %d of block %d: %w", e.tx, e.Height, err)
			}
			name = hex.EncodeToString(hash)
			names[id] = name
		}
		e.Tx = &name
	}
	return nil
}

// Proposed counts the indexed blocks of each proposer, by consensus address in hex.
func (s *Store) Proposed(ctx context.Context) (map[string]int64, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT address, blocks FROM proposers")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var a []byte
		var n int64
		if err := rows.Scan(&a, &n); err != nil {
			return nil, err
		}
		out[hex.EncodeToString(a)] = n
	}
	return out, rows.Err()
}
