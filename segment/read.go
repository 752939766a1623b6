package segment

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/grange-network/grange/core/merkle"
)

// readRows is how many rows are decoded at once.
const readRows = 64

// Segment is a checked file. Its methods read the file again; they are safe for
// concurrent use when the ReaderAt is.
type Segment[T any] struct {
	Summary
	kind Kind[T]
	file *parquet.File
}

// Verify checks every claim of a file and that its rows make its root. The
// error is ErrMalformed or ErrRoot, or the reader's. What the root should be is
// for the caller to compare.
func Verify[T any](r io.ReaderAt, size int64, kind Kind[T]) (*Segment[T], error) {
	schema, err := kind.schema()
	if err != nil {
		return nil, err
	}
	s := &Segment[T]{kind: kind}
	if err := guard(func() error { return s.open(r, size, schema) }); err != nil {
		return nil, fmt.Errorf("open %s segment of %d bytes: %w: %w", kind.Name, size, ErrMalformed, err)
	}
	var log merkle.Log
	var leaf []byte
	for row, err := range s.Rows() {
		if err != nil {
			return nil, err
		}
		leaf = kind.Leaf(leaf[:0], &row)
		log.Append(leaf)
	}
	if log.Size() != s.Summary.Rows || log.Root() != s.Root {
		return nil, fmt.Errorf("verify segment %s: %d rows make root %s, want %d and %s: %w", s.Name, log.Size(), log.Root(), s.Summary.Rows, s.Root, ErrRoot)
	}
	return s, nil
}

// guard turns a panic of the Parquet library into an error: a file that gets
// past our checks and trips it is malformed.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parquet: %v", p)
		}
	}()
	return f()
}

func (s *Segment[T]) open(r io.ReaderAt, size int64, schema *parquet.Schema) error {
	if err := checkFile(r, size); err != nil {
		return err
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return err
	}
	if got, want := f.Schema().String(), schema.String(); got != want {
		return fmt.Errorf("columns %q, want %q", got, want)
	}
	s.file = f
	s.Summary, err = summaryOf(f)
	if err == nil && s.Kind != s.kind.Name {
		err = fmt.Errorf("kind %q, want %q", s.Kind, s.kind.Name)
	}
	s.Bytes = size
	return err
}

// summaryOf reads what the footer claims; it must say it as Close does.
func summaryOf(f *parquet.File) (s Summary, err error) {
	text := map[string]string{}
	for _, kv := range f.Metadata().KeyValueMetadata {
		text[kv.Key] = kv.Value
	}
	parent, err1 := strconv.ParseUint(text[keyParent], 16, 64)
	day, err2 := time.Parse(time.DateOnly, text[keyDay])
	rows, err3 := strconv.ParseUint(text[keyRows], 10, 64)
	root, err4 := hex.DecodeString(text[keyRoot])
	if err := errors.Join(err1, err2, err3, err4); err != nil || len(root) != merkle.HashSize || day.Unix() < 0 {
		return s, fmt.Errorf("footer metadata %v: %w", text, orTrailing(err))
	}
	s = Summary{Name: Name{text[keyKind], Cell(parent), DayOf(day)}, Rows: rows, Root: merkle.Hash(root)}
	for _, kv := range s.metadata() {
		if text[kv[0]] != kv[1] {
			return s, fmt.Errorf("footer metadata %s is %q, want %q", kv[0], text[kv[0]], kv[1])
		}
	}
	if rows != uint64(f.NumRows()) {
		return s, fmt.Errorf("footer metadata says %d rows, the file has %d", rows, f.NumRows())
	}
	return s, nil
}

// Rows yields the rows in order. The iteration ends with the first error.
func (s *Segment[T]) Rows() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		var r *parquet.GenericReader[T]
		fail := func(err error) { yield(zero, fmt.Errorf("read segment %s: %w: %w", s.Name, ErrMalformed, err)) }
		if err := guard(func() error { r = parquet.NewGenericReader[T](s.file); return nil }); err != nil {
			fail(err)
			return
		}
		defer func() { _ = guard(r.Close) }()
		rows := make([]T, readRows)
		var leaf []byte
		for at, bytes := uint64(0), 0; ; {
			var n int
			err := guard(func() (err error) { n, err = r.Read(rows); return err })
			if (err != nil && !errors.Is(err, io.EOF)) || at+uint64(n) > s.Summary.Rows {
				fail(fmt.Errorf("after row %d of %d: %w", at, s.Summary.Rows, orTrailing(err)))
				return
			}
			for i := range rows[:n] {
				leaf = s.kind.Leaf(leaf[:0], &rows[i])
				if bytes += len(leaf); len(leaf) > MaxLeaf || bytes > MaxLeaves {
					fail(fmt.Errorf("row %d has %d bytes, %d with those before it", at, len(leaf), bytes))
					return
				}
				if !yield(rows[i], nil) {
					return
				}
				at++
			}
			if err != nil || n == 0 {
				if at != s.Summary.Rows {
					fail(fmt.Errorf("%d rows, want %d", at, s.Summary.Rows))
				}
				return
			}
		}
	}
}

// Prove returns a row and the proof that its canonical encoding is at index of
// the segment's tree. It reads the whole segment and holds all leaves, at most
// MaxLeaves bytes.
func (s *Segment[T]) Prove(index uint64) (row T, p merkle.Proof, err error) {
	if index >= s.Summary.Rows {
		return row, p, fmt.Errorf("prove row %d of segment %s: it has %d", index, s.Name, s.Summary.Rows)
	}
	leaves := make([][]byte, 0, s.Summary.Rows)
	for r, err := range s.Rows() {
		if err != nil {
			return row, p, err
		}
		if uint64(len(leaves)) == index {
			row = r
		}
		leaves = append(leaves, s.kind.Leaf(nil, &r))
	}
	p, err = merkle.Prove(leaves, index)
	return row, p, err
}
