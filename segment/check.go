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

// The largest pages before compression, in bytes. The dictionaries of a row
// group have together no more than maxDictionary.
const (
	maxPage       = 1 << 20
	maxDictionary = 2 * groupBytes
)

// unpack bounds what a compressed page may become. It has no state between
// calls.
var unpack = func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDictionary), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(8<<20))
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
		room := maxDictionary
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
			if e := &meta.Schema[j+1]; !e.Type.Valid || e.Type.V != c.Type {
				return fmt.Errorf("row group %d, column %d: type %v, the schema says %v", i, j, c.Type, e.Type)
			}
			if err := checkChunk(r, end, c, &pages{width: widthOf(&meta.Schema[j+1]), room: &room}); err != nil {
				return fmt.Errorf("row group %d, column %d: %w", i, j, err)
			}
		}
	}
	if rows != meta.NumRows {
		return fmt.Errorf("%d rows in the groups, %d in the footer", rows, meta.NumRows)
	}
	return nil
}

// width is how many bits a value has in the PLAIN encoding; 0 for byte arrays.
type width uint64

func widthOf(e *format.SchemaElement) width {
	switch e.Type.V {
	case format.Boolean:
		return 1
	case format.Int32, format.Float:
		return 32
	case format.Int96:
		return 96
	case format.ByteArray:
		return 0
	case format.FixedLenByteArray:
		return width(max(e.TypeLength.V, 1)) * 8
	}
	return 64
}

// checkPlain checks that b is exactly so many values.
func (w width) checkPlain(b []byte, values uint64) error {
	if w > 0 {
		if want := (values*uint64(w) + 7) / 8; uint64(len(b)) != want {
			return fmt.Errorf("%d values in %d bytes, want %d", values, len(b), want)
		}
		return nil
	}
	for range values {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return fmt.Errorf("%d values in fewer bytes", values)
		}
		if binary.LittleEndian.Uint32(b) > MaxLeaf {
			return fmt.Errorf("value of %d bytes, at most %d are allowed", binary.LittleEndian.Uint32(b), MaxLeaf)
		}
		b = b[4+binary.LittleEndian.Uint32(b):]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes follow %d values", len(b), values)
	}
	return nil
}

// pages is what is known of a column while its pages are walked.
type pages struct {
	width
	dictionary uint64 // values in it
	data       bool   // a data page was read
	room       *int   // for the dictionaries of the row group, in bytes
}

func checkChunk(r io.ReaderAt, end int64, c *format.ColumnMetaData, p *pages) error {
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
		n, err := p.check(h, chunk[head:])
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
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxDictionary || int(h.CompressedPageSize) > len(b)-size {
		return h, 0, fmt.Errorf("page of %d bytes compressed to %d, %d are left", h.UncompressedPageSize, h.CompressedPageSize, len(b)-size)
	}
	return h, size, nil
}

// check returns how many values a data page holds, 0 for a dictionary.
func (p *pages) check(h format.PageHeader, packed []byte) (int64, error) {
	if h.Type == format.DataPage && h.UncompressedPageSize > maxPage {
		return 0, fmt.Errorf("data page of %d bytes, at most %d are allowed", h.UncompressedPageSize, maxPage)
	}
	page, err := unpack.DecodeAll(packed[:h.CompressedPageSize], make([]byte, 0, h.UncompressedPageSize))
	if err != nil || len(page) != int(h.UncompressedPageSize) {
		return 0, fmt.Errorf("page of %d bytes unpacks to %d: %w", h.UncompressedPageSize, len(page), orSize(err))
	}
	switch h.Type {
	case format.DictionaryPage:
		d := h.DictionaryPageHeader.V
		if !h.DictionaryPageHeader.Valid || p.data || p.dictionary > 0 || d.NumValues <= 0 || d.Encoding != format.Plain {
			return 0, fmt.Errorf("dictionary of %d values, encoding %v, out of place", d.NumValues, d.Encoding)
		}
		if *p.room -= len(page); *p.room < 0 {
			return 0, fmt.Errorf("dictionaries of more than %d bytes", maxDictionary)
		}
		p.dictionary = uint64(d.NumValues)
		return 0, p.checkPlain(page, p.dictionary)
	case format.DataPage:
		d := h.DataPageHeader.V
		if !h.DataPageHeader.Valid || d.NumValues <= 0 || d.NumValues > groupRows {
			return 0, fmt.Errorf("data page of %d values", d.NumValues)
		}
		p.data = true
		return int64(d.NumValues), p.checkValues(d.Encoding, page, uint64(d.NumValues))
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
func (p *pages) checkValues(e format.Encoding, page []byte, values uint64) error {
	switch e {
	case format.Plain:
		return p.checkPlain(page, values)
	case format.RLEDictionary:
		return checkIndexes(page, values, p.dictionary)
	case format.DeltaBinaryPacked:
		if p.width != 32 && p.width != 64 {
			return fmt.Errorf("delta encoding of values of %d bits", p.width)
		}
		return checkDelta(page, values)
	}
	return fmt.Errorf("encoding %v is not one of a segment's", e)
}

// checkIndexes walks the runs of the RLE and bit-packing hybrid. Each index must
// be in a dictionary of size values.
func checkIndexes(b []byte, values, size uint64) error {
	if len(b) == 0 || b[0] > 32 {
		return errors.New("indexes without a bit width up to 32")
	}
	bits := uint64(b[0])
	var total uint64
	for b = b[1:]; len(b) > 0; {
		run, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("run without a length")
		}
		b = b[n:]
		count, bytes, each := run>>1, (bits+7)/8, uint64(1)
		if run&1 == 1 {
			count = min(run>>1, 1<<32) * 8
			bytes, each = count/8*bits, count
		}
		if count == 0 || bytes > uint64(len(b)) || count > values+7-min(total, values+7) {
			return fmt.Errorf("run of %d indexes in %d bytes after %d of %d", count, len(b), total, values)
		}
		if !indexesBelow(b[:bytes], bits, each, size) {
			return fmt.Errorf("run of %d indexes: one is not in a dictionary of %d", count, size)
		}
		total += count
		b = b[bytes:]
	}
	if total < values {
		return fmt.Errorf("%d indexes, want %d", total, values)
	}
	return nil
}

// indexesBelow reports whether the first n numbers of so many bits in b, lowest
// bit first, are below size.
func indexesBelow(b []byte, bits, n, size uint64) bool {
	mask := uint64(1)<<bits - 1
	var acc, have uint64
	for range n {
		for ; have < bits; have += 8 {
			acc |= uint64(b[0]) << have
			b = b[1:]
		}
		if acc&mask >= size {
			return false
		}
		acc >>= bits
		have -= bits
	}
	return true
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
