package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

type number struct {
	V int64 `parquet:"v"`
}

type text struct {
	V string `parquet:"v"`
}

var (
	numbers = Kind[number]{"numbers", func(b []byte, r *number) []byte { return binary.BigEndian.AppendUint64(b, uint64(r.V)) }}
	texts   = Kind[text]{"texts", func(b []byte, r *text) []byte { return append(b, r.V...) }}
)

var pack, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))

// forge makes a file of one column whose only data page, and dictionary when
// there is one, hold any bytes at all; everything around them is in order.
func forge[T any](t testing.TB, k Kind[T], enc format.Encoding, values int32, dictValues int32, dict, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, k, place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(make([]T, 1)...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()), parquet.SkipPageIndex(true))
	if err != nil {
		t.Fatal(err)
	}
	meta := *f.Metadata()
	c := &meta.RowGroups[0].Columns[0]
	c.ColumnIndexOffset, c.OffsetIndexOffset, c.ColumnIndexLength, c.OffsetIndexLength = 0, 0, 0, 0
	h, _, err := pageHeader(b.Bytes()[c.MetaData.DataPageOffset:])
	if err != nil {
		t.Fatal(err)
	}
	out := []byte("PAR1")
	c.MetaData.DictionaryPageOffset = 0
	if dict != nil {
		c.MetaData.DictionaryPageOffset = int64(len(out))
		d := format.PageHeader{Type: format.DictionaryPage}
		d.DictionaryPageHeader.Valid = true
		d.DictionaryPageHeader.V = format.DictionaryPageHeader{NumValues: dictValues, Encoding: format.Plain}
		out = appendPage(t, out, d, dict)
	}
	c.MetaData.DataPageOffset = int64(len(out))
	h.DataPageHeader.V.NumValues, h.DataPageHeader.V.Encoding = values, enc
	out = appendPage(t, out, h, body)
	c.MetaData.Encoding = []format.Encoding{enc}
	c.MetaData.NumValues, c.MetaData.TotalCompressedSize = int64(values), int64(len(out)-4)
	meta.NumRows, meta.RowGroups[0].NumRows = int64(values), int64(values)
	for i := range meta.KeyValueMetadata {
		if meta.KeyValueMetadata[i].Key == keyRows {
			meta.KeyValueMetadata[i].Value = "1"
			if values != 1 {
				meta.KeyValueMetadata[i].Value = string(appendInt(nil, values))
			}
		}
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), "PAR1"...)
}

func appendInt(b []byte, v int32) []byte {
	if v >= 10 {
		b = appendInt(b, v/10)
	}
	return append(b, byte('0'+v%10))
}

func appendPage(t testing.TB, out []byte, h format.PageHeader, body []byte) []byte {
	t.Helper()
	packed := pack.EncodeAll(body, nil)
	h.CRC, h.UncompressedPageSize, h.CompressedPageSize = 0, int32(len(body)), int32(len(packed))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(out, head...), packed...)
}

// FuzzPages forges pages of every encoding that a segment may have. Whatever
// they hold, Verify ends without a panic and without much memory.
func FuzzPages(f *testing.F) {
	f.Add(false, uint8(0), uint16(1), uint16(0), []byte(nil), make([]byte, 8))
	f.Add(false, uint8(1), uint16(3), uint16(1), make([]byte, 8), []byte{1, 6, 0})
	f.Add(false, uint8(2), uint16(1), uint16(0), []byte(nil), []byte{128, 1, 4, 1, 2})
	f.Add(false, uint8(2), uint16(3), uint16(0), []byte(nil), []byte{128, 1, 4, 3, 2, 2, 1, 0, 0, 0, 255, 255, 255, 255})
	f.Add(true, uint8(0), uint16(1), uint16(0), []byte(nil), []byte{3, 0, 0, 0, 'a', 'b', 'c'})
	f.Add(true, uint8(0), uint16(1), uint16(0), []byte(nil), []byte{255, 255, 255, 127, 'a'})
	f.Add(true, uint8(1), uint16(60000), uint16(2), []byte{1, 0, 0, 0, 'a', 2, 0, 0, 0, 'b', 'c'}, []byte{1, 0xc0, 0xa9, 7, 1})
	f.Add(true, uint8(1), uint16(8), uint16(1), []byte{1, 0, 0, 0, 'a'}, []byte{8, 3, 200, 1, 2, 3, 4, 5, 6, 7})
	encodings := []format.Encoding{format.Plain, format.RLEDictionary, format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray}
	f.Fuzz(func(t *testing.T, isText bool, enc uint8, values, dictValues uint16, dict, body []byte) {
		e := encodings[int(enc)%len(encodings)]
		var b []byte
		if isText {
			b = forge(t, texts, e, int32(values), int32(dictValues), dict, body)
		} else {
			b = forge(t, numbers, e, int32(values), int32(dictValues), dict, body)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var err error
		if isText {
			_, err = Verify(bytes.NewReader(b), int64(len(b)), texts)
		} else {
			_, err = Verify(bytes.NewReader(b), int64(len(b)), numbers)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Fatalf("%d bytes allocated for a file of %d: %v", used, len(b), err)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrRoot) {
			t.Fatal(err)
		}
	})
}

// TestForgedClaims names what each claim is refused for, or that it passes.
func TestForgedClaims(t *testing.T) {
	for name, c := range map[string]struct {
		enc    format.Encoding
		values int32
		body   []byte
		want   error
	}{
		"one zero":               {format.Plain, 1, make([]byte, 8), nil},
		"delta of one":           {format.DeltaBinaryPacked, 1, []byte{128, 1, 4, 1, 0}, nil},
		"fewer than claimed":     {format.Plain, 2, make([]byte, 8), ErrMalformed},
		"delta claims millions":  {format.DeltaBinaryPacked, 1, []byte{128, 1, 4, 255, 255, 255, 255, 7, 0}, ErrMalformed},
		"indexes without end":    {format.RLEDictionary, 8, []byte{1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0}, ErrMalformed},
		"no dictionary":          {format.RLEDictionary, 8, []byte{1, 16, 0}, ErrMalformed},
		"encoding of strings":    {format.DeltaByteArray, 1, make([]byte, 8), ErrMalformed},
		"a byte too many":        {format.Plain, 1, make([]byte, 9), ErrMalformed},
		"more values than bytes": {format.Plain, 60000, make([]byte, 8), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			b := forge(t, numbers, c.enc, c.values, 0, nil, c.body)
			_, err := Verify(bytes.NewReader(b), int64(len(b)), numbers)
			if c.want == nil && err != nil || !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestBomb hands a page that unpacks to far more than it says.
func TestBomb(t *testing.T) {
	long := pack.EncodeAll(make([]byte, 512<<20), nil)
	many := bytes.Repeat(pack.EncodeAll(make([]byte, maxPage), nil), 500) // each within the limit
	for name, bomb := range map[string][]byte{"one frame": long, "many frames": many} {
		h := format.PageHeader{Type: format.DataPage, UncompressedPageSize: 8, CompressedPageSize: int32(len(bomb))}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := new(pages).check(h, bomb)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 32<<20 {
			t.Errorf("%s: %d bytes allocated for %d: %v", name, used, len(bomb), err)
		}
	}
}
