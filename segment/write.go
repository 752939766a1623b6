package segment

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/grange-network/grange/core/merkle"
)

// What makes the bytes of a segment. A change of one is a change of every file.
const (
	groupRows  = 1 << 16   // most rows of a row group,
	groupBytes = 8 << 20   // which ends after rows of this many bytes
	chunkRows  = 1 << 10   // handed to the library at once,
	chunkBytes = 128 << 10 // or rows of this many bytes
	pageBytes  = 256 << 10
)

// Writer makes one segment. Its methods are for one goroutine.
type Writer[T any] struct {
	kind   Kind[T]
	out    *counter
	file   *parquet.GenericWriter[T]
	chunk  []T
	held   int // bytes of the leaves of chunk
	group  struct{ rows, bytes int }
	log    merkle.Log
	leaf   []byte
	leaves int
	sum    Summary
	err    error
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// NewWriter begins a segment that is written to w. Name.Kind is set from kind.
func NewWriter[T any](w io.Writer, kind Kind[T], name Name) (*Writer[T], error) {
	schema, err := kind.schema()
	if err != nil {
		return nil, err
	}
	name.Kind = kind.Name
	out := &counter{w: w}
	return &Writer[T]{
		kind: kind, out: out, sum: Summary{Name: name}, chunk: make([]T, 0, chunkRows),
		file: parquet.NewGenericWriter[T](out, schema,
			parquet.CreatedBy("grange", "1", "segment"), parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}),
			parquet.DataPageVersion(1), parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.Plain), parquet.PageBufferSize(pageBytes),
			parquet.MaxRowsPerRowGroup(groupRows), parquet.DataPageStatistics(false)),
	}, nil
}

// Append adds rows. It returns ErrFull before the first that does not fit, and
// n, how many were taken.
func (w *Writer[T]) Append(rows ...T) (n int, err error) {
	for i := range rows {
		if w.err != nil {
			return i, w.err
		}
		w.leaf = w.kind.Leaf(w.leaf[:0], &rows[i])
		if len(w.leaf) > MaxLeaf {
			return i, fmt.Errorf("append to segment %s: row of %d bytes, at most %d are allowed", w.sum.Name, len(w.leaf), MaxLeaf)
		}
		if w.log.Size() == MaxRows || w.leaves+len(w.leaf) > MaxLeaves {
			return i, fmt.Errorf("append to segment %s of %d rows and %d bytes: %w", w.sum.Name, w.log.Size(), w.leaves, ErrFull)
		}
		w.log.Append(w.leaf)
		w.leaves += len(w.leaf)
		w.held += len(w.leaf)
		if w.chunk = append(w.chunk, rows[i]); len(w.chunk) == chunkRows || w.held >= chunkBytes {
			w.flush()
		}
	}
	return len(rows), w.err
}

// flush hands rows to the library in chunks of one size, so that pages do not
// depend on how they came in.
func (w *Writer[T]) flush() {
	if _, err := w.file.Write(w.chunk); err != nil && w.err == nil {
		w.err = fmt.Errorf("write segment %s: %w", w.sum.Name, err)
	}
	w.group.rows += len(w.chunk)
	w.group.bytes += w.held
	if w.group.bytes >= groupBytes || w.group.rows+chunkRows > groupRows {
		if err := w.file.Flush(); err != nil && w.err == nil {
			w.err = fmt.Errorf("write segment %s: %w", w.sum.Name, err)
		}
		w.group.rows, w.group.bytes = 0, 0
	}
	clear(w.chunk)
	w.chunk, w.held = w.chunk[:0], 0
}

// Rows is how many rows were appended.
func (w *Writer[T]) Rows() uint64 { return w.log.Size() }

// Close ends the segment and says what it commits to. It does not close the
// writer below.
func (w *Writer[T]) Close() (Summary, error) {
	if len(w.chunk) > 0 {
		w.flush()
	}
	w.sum.Rows, w.sum.Root = w.log.Size(), w.log.Root()
	for _, kv := range w.sum.metadata() {
		w.file.SetKeyValueMetadata(kv[0], kv[1])
	}
	err := w.file.Close()
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("write segment %s: %w", w.sum.Name, err)
	}
	w.sum.Bytes = w.out.n
	if w.err == nil && w.sum.Bytes > MaxFile {
		w.err = fmt.Errorf("write segment %s: %d bytes, at most %d are allowed", w.sum.Name, w.sum.Bytes, MaxFile)
	}
	if w.err != nil {
		return Summary{}, w.err
	}
	return w.sum, nil
}
