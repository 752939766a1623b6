package index

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
)

// positionBits leave room for a million things in one block.
const positionBits = 20

func position(height int64, index int) int64 { return height<<positionBits | int64(index) }

func place(position int64) (height int64, index int) {
	return position >> positionBits, int(position & (1<<positionBits - 1))
}

// readers is how many queries run at a time.
const readers = 8

// Store is an index. One goroutine of one process writes (Apply, Reset), any
// number read.
type Store struct {
	path    string
	dialect *dialect
	write   database
	read    database
	height  atomic.Int64
	batch   *batch // of the writer; rows it has read or made
}

// Tip is the newest indexed block.
type Tip struct {
	Height        int64
	Hash, AppHash []byte // AppHash is of the state before the block
}

// Open opens the index of a chain at path, a file of SQLite or the URL of a
// PostgreSQL database, or makes an empty one. An index of another chain, or of
// another version of this program, is made anew: nothing in it cannot be read
// again from the ledger. The second result says so.
func Open(ctx context.Context, path, chainID string) (*Store, bool, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, false, err
	}
	was, version, err := s.identity(ctx)
	if err == nil && was == chainID && version == schemaVersion {
		return s, false, nil
	}
	fresh := err == nil && was == ""
	if err := s.Reset(ctx, chainID); err != nil {
		return nil, false, errors.Join(err, s.Close())
	}
	return s, !fresh, nil
}

// identity returns the chain and version a file is of; empty for a new file.
func (s *Store) identity(ctx context.Context) (chainID, version string, err error) {
	var made bool
	if err := s.write.QueryRowContext(ctx, s.dialect.exists).Scan(&made); err != nil || !made {
		return "", "", err
	}
	read := func(key string) (value string) {
		e := s.write.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&value)
		if !errors.Is(e, sql.ErrNoRows) {
			err = errors.Join(err, e)
		}
		return value
	}
	chainID, version = read("chain_id"), read("version")
	if err != nil {
		return "", "", err
	}
	tip, err := s.tip(ctx)
	s.height.Store(tip.Height)
	return chainID, version, err
}

// Reset empties the index.
func (s *Store) Reset(ctx context.Context, chainID string) error {
	tx, err := s.write.begin(ctx, nil)
	if err != nil {
		return fmt.Errorf("empty index %s: %w", s.path, err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	for i := len(tables) - 1; i >= 0; i-- {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+tables[i].name); err != nil {
			return fmt.Errorf("empty index %s: %w", s.path, err)
		}
	}
	if _, err := tx.ExecContext(ctx, s.dialect.schema()); err != nil {
		return fmt.Errorf("make index %s: %w", s.path, err)
	}
	for _, kv := range [][2]string{{"chain_id", chainID}, {"version", schemaVersion}, {"from_height", "1"}} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?)", kv[0], kv[1]); err != nil {
			return err
		}
	}
	s.height.Store(0)
	s.batch = nil
	return tx.Commit()
}

// Close closes it.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Height is the newest indexed block; 0 for none.
func (s *Store) Height() int64 { return s.height.Load() }

// Tip returns the newest indexed block; zero for none.
func (s *Store) Tip(ctx context.Context) (Tip, error) { return s.tip(ctx) }

func (s *Store) tip(ctx context.Context) (t Tip, err error) {
	err = s.write.QueryRowContext(ctx, "SELECT height, hash, app_hash FROM blocks ORDER BY height DESC LIMIT 1").Scan(&t.Height, &t.Hash, &t.AppHash)
	if errors.Is(err, sql.ErrNoRows) {
		return Tip{}, nil
	}
	return t, err
}

// From returns the first block that the index holds without a gap up to its tip.
func (s *Store) From(ctx context.Context) (int64, error) {
	var text string
	if err := s.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'from_height'").Scan(&text); err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// Skip notes that blocks before height cannot be had any more.
func (s *Store) Skip(ctx context.Context, height int64) error {
	_, err := s.write.ExecContext(ctx, "UPDATE meta SET value = ? WHERE key = 'from_height'", strconv.FormatInt(height, 10))
	return err
}

// Dump writes every row of every table in order, as of one moment: equal for
// equal blocks, whichever database they are in. It returns the height.
func (s *Store) Dump(ctx context.Context, w io.Writer) (height int64, err error) {
	tx, err := s.read.begin(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot})
	if err != nil {
		return 0, fmt.Errorf("dump index: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(height), 0) FROM blocks").Scan(&height); err != nil {
		return 0, fmt.Errorf("dump index: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	for _, t := range tables {
		if err := dump(ctx, tx, out, t.name, t.key); err != nil {
			return 0, fmt.Errorf("dump table %s: %w", t.name, err)
		}
	}
	return height, out.Flush()
}

func dump(ctx context.Context, tx transaction, w *bufio.Writer, table, key string) error {
	rows, err := tx.QueryContext(ctx, "SELECT * FROM "+table+" ORDER BY "+key)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values, at := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		at[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return err
		}
		fmt.Fprint(w, table)
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = fmt.Sprintf("x%x", b)
			}
			fmt.Fprintf(w, " %s=%q", names[i], fmt.Sprint(v))
		}
		if err := w.WriteByte('\n'); err != nil {
			return err // of any write before too
		}
	}
	return rows.Err()
}
