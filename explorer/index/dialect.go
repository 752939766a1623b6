package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	_ "github.com/lib/pq"  // PostgreSQL's driver
	_ "modernc.org/sqlite" // SQLite's
)

// dialect is what the two databases say differently. Everything else is one SQL.
type dialect struct {
	types    *strings.Replacer // of the schema's columns; nil for none
	numbered bool              // arguments are $1, $2, ... instead of ?
	exists   string            // whether there is a table meta
	has      string            // whether the JSON list d.capabilities has a word
	faults   string            // hint to use the index of faults
	snapshot sql.IsolationLevel
	// rows of one INSERT: most of the cost of a row is the statement around it, and
	// with a server the way there and back.
	rows int
}

var sqlite = &dialect{
	exists: "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'meta'",
	has:    "EXISTS (SELECT 1 FROM json_each(d.capabilities) WHERE value = ?)",
	faults: " INDEXED BY faults",
	rows:   40,
}

var postgres = &dialect{
	types:    strings.NewReplacer(" INTEGER", " BIGINT", " BLOB", " BYTEA", " REAL", " DOUBLE PRECISION", " TEXT", ` TEXT COLLATE "C"`, ") WITHOUT ROWID", ")"),
	numbered: true,
	exists:   "SELECT to_regclass('meta') IS NOT NULL",
	has:      "EXISTS (SELECT 1 FROM json_array_elements_text(d.capabilities::json) AS c (value) WHERE c.value = ?)",
	snapshot: sql.LevelRepeatableRead,
	rows:     500,
}

// isURL reports whether an index is a PostgreSQL database rather than a file.
func isURL(path string) bool {
	return strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://")
}

// open connects to an index for writing and for reading.
func open(ctx context.Context, path string) (*Store, error) {
	s := &Store{path: path, dialect: sqlite}
	driver, write, read := "sqlite",
		"file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(10000)&_pragma=cache_size(-65536)&_pragma=temp_store(memory)&_txlock=immediate",
		"file:"+path+"?mode=ro&_pragma=busy_timeout(10000)&_pragma=cache_size(-8192)&_pragma=query_only(1)"
	if isURL(path) {
		driver, write, read, s.dialect = "postgres", path, path, postgres
	} else if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, err)
	}
	var err error
	if s.write.DB, err = sql.Open(driver, write); err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, err)
	}
	s.write.dialect = s.dialect
	s.write.SetMaxOpenConns(1)
	if err := s.write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open index %s: %w", path, err), s.write.Close())
	}
	if s.read.DB, err = sql.Open(driver, read); err != nil {
		return nil, errors.Join(fmt.Errorf("open index %s: %w", path, err), s.write.Close())
	}
	s.read.dialect = s.dialect
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	return s, nil
}

// sql numbers the arguments of a query. None of ours has a ? in a literal.
func (d *dialect) sql(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 32)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}

func (d *dialect) schema() string {
	if d.types == nil {
		return schema
	}
	return d.types.Replace(schema)
}

// database and transaction ask in their dialect.
type database struct {
	*sql.DB
	*dialect
}

func (d database) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.DB.QueryContext(ctx, d.sql(query), args...)
}

func (d database) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return d.DB.QueryRowContext(ctx, d.sql(query), args...)
}

func (d database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.DB.ExecContext(ctx, d.sql(query), args...)
}

func (d database) begin(ctx context.Context, o *sql.TxOptions) (transaction, error) {
	tx, err := d.BeginTx(ctx, o)
	return transaction{tx, d.dialect}, err
}

type transaction struct {
	*sql.Tx
	*dialect
}

func (t transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.Tx.QueryContext(ctx, t.sql(query), args...)
}

func (t transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.Tx.QueryRowContext(ctx, t.sql(query), args...)
}

func (t transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.Tx.ExecContext(ctx, t.sql(query), args...)
}

func (t transaction) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.Tx.PrepareContext(ctx, t.sql(query))
}

// clean makes a value one that both databases store the same: PostgreSQL refuses
// text with a zero byte or that is not UTF-8, and a provider may write either.
func clean(v any) any {
	switch x := v.(type) {
	case string:
		return printable(x)
	case sql.NullString:
		x.String = printable(x.String)
		return x
	case []byte:
		if x == nil {
			return []byte{}
		}
	}
	return v
}

func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
