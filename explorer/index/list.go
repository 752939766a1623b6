package index

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxLimit is the most items of a page.
const MaxLimit = 200

// DefaultLimit is how many a page has when nothing else is asked for.
const DefaultLimit = 50

// ErrNotFound is returned for what the index does not have.
var ErrNotFound = errors.New("not found in the index")

// ErrBad is returned for a question that makes no sense.
var ErrBad = errors.New("bad request")

// Page says which part of a list is wanted. There is no offset: After is where
// the page before ended, so each page costs the same.
type Page struct {
	After string
	Limit int // 0: DefaultLimit
}

// List is a page.
type List[T any] struct {
	Items  []T     `json:"items"`
	Next   *string `json:"next"`
	Height int64   `json:"height"`
}

// Amount is a number of base units; a decimal string in JSON.
type Amount int64

// MarshalJSON writes a decimal string.
func (a Amount) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatInt(int64(a), 10) + `"`), nil
}

// String is the number in decimal.
func (a Amount) String() string { return strconv.FormatInt(int64(a), 10) }

// claimed scans a sum of what is claimed. Anybody may claim anything: the sum is
// made in floating point, exact to 9 PB, and ends where 63 bits do.
type claimed struct{ to *Amount }

// Scan reads a float.
func (c claimed) Scan(v any) error {
	switch n := v.(type) {
	case int64:
		*c.to = Amount(n)
	case float64:
		*c.to = math.MaxInt64
		if n < math.MaxInt64 {
			*c.to = Amount(n)
		}
	default:
		return fmt.Errorf("scan sum: %T is no number", v)
	}
	return nil
}

// sumOf is the SQL of such a sum.
func sumOf(column string) string { return "coalesce(sum(CAST(" + column + " AS DOUBLE PRECISION)), 0)" }

func amount(v sql.NullInt64) *Amount {
	if !v.Valid {
		return nil
	}
	a := Amount(v.Int64)
	return &a
}

func number(v sql.NullInt64) *int64 {
	if !v.Valid {
		return nil
	}
	return &v.Int64
}

func text(v sql.NullString) *string {
	if !v.Valid || v.String == "" {
		return nil
	}
	return &v.String
}

// ID is 32 bytes; lower-case hex in JSON.
type ID []byte

// MarshalJSON writes hex.
func (id ID) MarshalJSON() ([]byte, error) { return []byte(`"` + hex.EncodeToString(id) + `"`), nil }

// String is the id in hex.
func (id ID) String() string { return hex.EncodeToString(id) }

// query is a SELECT that grows conditions.
type query struct {
	from  string // SELECT ... FROM ...
	where []string
	args  []any
	order string
}

func (q *query) and(condition string, args ...any) {
	q.where = append(q.where, condition)
	q.args = append(q.args, args...)
}

func (q *query) sql() string {
	s := q.from
	if len(q.where) > 0 {
		s += " WHERE " + strings.Join(q.where, " AND ")
	}
	return s + q.order
}

// key says how a list is ordered: by an integer, newest (largest) or oldest first.
func (q *query) key(column string, after string, descending bool) error {
	q.order = " ORDER BY " + column
	comparison := " > ?"
	if descending {
		q.order, comparison = q.order+" DESC", " < ?"
	}
	if after == "" {
		return nil
	}
	words, err := openCursor(after, 1)
	if err != nil {
		return err
	}
	q.and(column+comparison, words[0])
	return nil
}

// cursor hides where a page ended.
func cursor(at ...int64) *string {
	words := make([]string, len(at))
	for i, n := range at {
		words[i] = strconv.FormatInt(n, 36)
	}
	s := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(words, ".")))
	return &s
}

func openCursor(s string, words int) ([]int64, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(raw), ".")
	if err != nil || len(s) > 256 || len(parts) != words {
		return nil, fmt.Errorf("%w: after %.40q is no cursor of this list: take next of the page before", ErrBad, s)
	}
	out := make([]int64, words)
	for i, p := range parts {
		if out[i], err = strconv.ParseInt(p, 36, 64); err != nil {
			return nil, fmt.Errorf("%w: after %.40q is no cursor of this list: take next of the page before", ErrBad, s)
		}
	}
	return out, nil
}

// list runs a query and reads one page. scan returns an item and its cursor.
func list[T any](ctx context.Context, s *Store, q query, limit int, scan func(*sql.Rows) (T, *string, error)) (List[T], error) {
	out := List[T]{Items: []T{}, Height: s.Height()}
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 1 || limit > MaxLimit {
		return out, fmt.Errorf("%w: limit %d: want 1 to %d", ErrBad, limit, MaxLimit)
	}
	rows, err := s.read.QueryContext(ctx, q.sql()+" LIMIT "+strconv.Itoa(limit+1), q.args...)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	var last *string
	for rows.Next() {
		if len(out.Items) == limit {
			out.Next = last
			break
		}
		item, at, err := scan(rows)
		if err != nil {
			return out, err
		}
		out.Items, last = append(out.Items, item), at
	}
	return out, rows.Err()
}

// one returns the single item of a query.
func one[T any](ctx context.Context, s *Store, q query, what string, scan func(*sql.Rows) (T, *string, error)) (T, error) {
	l, err := list(ctx, s, q, 1, scan)
	if err == nil && len(l.Items) == 0 {
		err = fmt.Errorf("find %s: %w", what, ErrNotFound)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return l.Items[0], nil
}

// parseID reads 64 hex digits.
func parseID(what, s string) ([]byte, error) {
	if id, ok := id32(strings.ToLower(s)); ok {
		return id[:], nil
	}
	return nil, fmt.Errorf("find %s %.80q: want 64 hex digits: %w", what, s, ErrNotFound)
}
