package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxPage is the largest page in bytes, before and after compression.
const maxPage = 1 << 20

// unpack bounds what a compressed page may become. It has no state between
// calls.
var unpack = func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic(err)
	}
	return d
}()

// checkFile walks a file's footer and pages and refuses every claim that its
// bytes do not carry, so that the Parquet library can read it without more
// memory than the file's size explains.
func checkFile(r io.ReaderAt, size int64) error {
	if size < 12 || size > MaxFile {
		return fmt.Errorf("file of %d bytes, want 12 to %d", size, MaxFile)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != "PAR1" || n > maxFooter || n > size-12 {
		return fmt.Errorf("footer of %d bytes in a file of %d ending in %q", n, size, tail[4:])
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	if used, err := structSize(footer); err != nil || used != len(footer) {
		return fmt.Errorf("footer of %d bytes, %d make sense: %w", n, used, orTrailing(err))
	}
	var meta format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &meta); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	return checkGroups(r, size-8-n, &meta)
}

func orTrailing(err error) error {
	if err == nil {
		err = errors.New("others follow")
	}
	return err
}

func checkGroups(r io.ReaderAt, end int64, meta *format.FileMetaData) error {
	if meta.NumRows < 0 || meta.NumRows > MaxRows || len(meta.Schema) < 2 {
		return fmt.Errorf("%d rows and %d schema elements, at most %d rows are allowed", meta.NumRows, len(meta.Schema), MaxRows)
	}
	columns := len(meta.Schema) - 1
	var rows int64
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if g.NumRows <= 0 || g.NumRows > groupRows || len(g.Columns) != columns {
			return fmt.Errorf("row group %d: %d rows in %d columns, want 1 to %d in %d", i, g.NumRows, len(g.Columns), groupRows, columns)
		}
		rows += g.NumRows
		for j := range g.Columns {
			c := &g.Columns[j].MetaData
			if c.NumValues != g.NumRows {
				return fmt.Errorf("row group %d, column %d: %d values in %d rows", i, j, c.NumValues, g.NumRows)
			}
			if err := checkChunk(r, end, c); err != nil {
				return fmt.Errorf("row group %d, column %d: %w", i, j, err)
			}
		}
	}
	if rows != meta.NumRows {
		return fmt.Errorf("%d rows in the groups, %d in the footer", rows, meta.NumRows)
	}
	return nil
}

func checkChunk(r io.ReaderAt, end int64, c *format.ColumnMetaData) error {
	if c.Codec != format.Zstd {
		return fmt.Errorf("compression %v, want ZSTD", c.Codec)
	}
	at := c.DataPageOffset
	if c.DictionaryPageOffset != 0 {
		at = c.DictionaryPageOffset
	}
	left := c.TotalCompressedSize
	if at < 4 || left < 0 || at > end || left > end-at || c.DataPageOffset < at || c.DataPageOffset > at+left {
		return fmt.Errorf("pages at byte %d to %d, data at %d, in %d", at, at+left, c.DataPageOffset, end)
	}
	chunk := make([]byte, left)
	if _, err := r.ReadAt(chunk, at); err != nil {
		return err
	}
	var values int64
	for len(chunk) > 0 {
		h, head, err := pageHeader(chunk)
		if err != nil {
			return err
		}
		n, err := checkPage(h, chunk[head:])
		if err != nil {
			return err
		}
		values += n
		chunk = chunk[head+int(h.CompressedPageSize):]
	}
	if values != c.NumValues {
		return fmt.Errorf("%d values in pages, %d in the footer", values, c.NumValues)
	}
	return nil
}

func pageHeader(b []byte) (h format.PageHeader, size int, err error) {
	size, err = structSize(b[:min(len(b), maxHeader)])
	if err != nil {
		return h, 0, fmt.Errorf("page header: %w", err)
	}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[:size], &h); err != nil {
		return h, 0, fmt.Errorf("page header: %w", err)
	}
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage || int(h.CompressedPageSize) > len(b)-size {
		return h, 0, fmt.Errorf("page of %d bytes compressed to %d, %d are left", h.UncompressedPageSize, h.CompressedPageSize, len(b)-size)
	}
	return h, size, nil
}

// checkPage returns how many values a data page holds, 0 for a dictionary.
func checkPage(h format.PageHeader, packed []byte) (int64, error) {
	page, err := unpack.DecodeAll(packed[:h.CompressedPageSize], nil)
	if err != nil || len(page) != int(h.UncompressedPageSize) {
		return 0, fmt.Errorf("page of %d bytes unpacks to %d: %w", h.UncompressedPageSize, len(page), orSize(err))
	}
	switch h.Type {
	case format.DictionaryPage:
		if !h.DictionaryPageHeader.Valid {
			return 0, errors.New("dictionary page without its header")
		}
		d := h.DictionaryPageHeader.V
		if d.NumValues < 0 || int(d.NumValues) > len(page) || (d.Encoding != format.Plain && d.Encoding != format.PlainDictionary) {
			return 0, fmt.Errorf("dictionary of %d values, encoding %v, in %d bytes", d.NumValues, d.Encoding, len(page))
		}
		return 0, nil
	case format.DataPage:
		if !h.DataPageHeader.Valid {
			return 0, errors.New("data page without its header")
		}
		d := h.DataPageHeader.V
		if d.NumValues <= 0 || d.NumValues > groupRows {
			return 0, fmt.Errorf("data page of %d values", d.NumValues)
		}
		return int64(d.NumValues), checkValues(d.Encoding, page, uint64(d.NumValues))
	}
	return 0, fmt.Errorf("page of type %v", h.Type)
}

func orSize(err error) error {
	if err == nil {
		err = errors.New("sizes differ")
	}
	return err
}

// checkValues checks the counts that an encoding claims; the fields are
// required, so a page is nothing but encoded values.
func checkValues(e format.Encoding, page []byte, values uint64) error {
	switch e {
	case format.Plain:
		if values > 8*uint64(len(page)) {
			return fmt.Errorf("%d values in %d bytes", values, len(page))
		}
		return nil
	case format.PlainDictionary, format.RLEDictionary:
		return checkIndexes(page, values)
	case format.DeltaBinaryPacked:
		return checkDelta(page, values)
	}
	return fmt.Errorf("encoding %v is not one of a segment's", e)
}

// checkIndexes walks the runs of the RLE and bit-packing hybrid.
func checkIndexes(b []byte, values uint64) error {
	if len(b) == 0 || b[0] > 32 {
		return errors.New("indexes without a bit width up to 32")
	}
	width := uint64(b[0])
	var total uint64
	for b = b[1:]; len(b) > 0; {
		run, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("run without a length")
		}
		b = b[n:]
		count, bytes := run>>1, (width+7)/8
		if run&1 == 1 {
			count, bytes = min(run>>1, 1<<32)*8, min(run>>1, 1<<32)*width
		}
		if bytes > uint64(len(b)) || count > values+7-min(total, values+7) {
			return fmt.Errorf("run of %d indexes in %d bytes after %d of %d", count, len(b), total, values)
		}
		total += count
		b = b[bytes:]
	}
	if total < values {
		return fmt.Errorf("%d indexes, want %d", total, values)
	}
	return nil
}

// checkDelta reads the header of a delta encoding: block size, blocks in it,
// number of values.
func checkDelta(b []byte, values uint64) error {
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("delta encoding without its header")
		}
		head[i], b = v, b[n:]
	}
	if head[0] == 0 || head[0] > 1<<10 || head[1] == 0 || head[1] > 16 || head[0]%(head[1]*32) != 0 || head[2] != values {
		return fmt.Errorf("delta encoding of %d values in blocks of %d by %d, want %d values", head[2], head[0], head[1], values)
	}
	return nil
}
