package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"time"
)

// Records are a kind byte (which is also their version) followed by fields in
// fixed order: unsigned varints, and strings with their length in front. Maps
// are sorted by key, so equal records are equal bytes.
const (
	kindBlob   = 0x11
	kindObject = 0x21
	kindUpload = 0x31
	kindPart   = 0x41
	kindPack   = 0x51
)

// MaxRecord is the largest record the decoders accept, in bytes. An object of
// 10,000 parts stays far below it.
const MaxRecord = 16 << 20

var errRecord = errors.New("catalog record is damaged")

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64)        { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)          { e.uint(uint64(v)) }
func (e *encoder) string(s string)      { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(p []byte)       { e.uint(uint64(len(p))); e.b = append(e.b, p...) }
func (e *encoder) segment(id SegmentID) { e.b = append(e.b, id[:]...) }

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.uint(0)
		return
	}
	e.uint(uint64(t.UnixNano()))
}

func (e *encoder) bool(v bool) {
	if v {
		e.uint(1)
	} else {
		e.uint(0)
	}
}

// stringMap writes nil as 0 and a map of n pairs as n+1.
func (e *encoder) stringMap(m map[string]string) {
	if m == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(m)) + 1)
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		e.string(k)
		e.string(m[k])
	}
}

func (e *encoder) checksum(c Checksum) {
	e.string(c.Algorithm)
	e.string(c.Type)
	e.string(c.Value)
}

func (e *encoder) lock(l Lock) {
	e.string(l.Retention)
	e.string(l.Hold)
}

func (e *encoder) headers(h *Headers) {
	for _, p := range h.fields() {
		e.string(*p)
	}
}

func (e *encoder) extents(x []Extent) {
	e.uint(uint64(len(x)))
	for _, v := range x {
		e.uint(uint64(v.Blob))
		e.int(v.Offset)
		e.int(v.Length)
	}
}

func (h *Headers) fields() [7]*string {
	return [7]*string{&h.ContentType, &h.ContentEncoding, &h.ContentDisposition,
		&h.ContentLanguage, &h.CacheControl, &h.Expires, &h.WebsiteRedirect}
}

// decoder reads fields; the first error sticks. Nothing is allocated from a
// length that the remaining bytes do not cover.
type decoder struct {
	b   []byte
	err error
}

func decode(kind byte, b []byte) *decoder {
	if len(b) == 0 || len(b) > MaxRecord || b[0] != kind {
		return &decoder{err: fmt.Errorf("decode record of kind %#x: %w", kind, errRecord)}
	}
	return &decoder{b: b[1:]}
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errRecord
	}
	d.b = nil
}

func (d *decoder) finish(what string) error {
	if d.err == nil && len(d.b) > 0 {
		d.fail()
	}
	if d.err != nil {
		return fmt.Errorf("decode %s: %w", what, d.err)
	}
	return nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v := int64(d.uint())
	if v < 0 {
		d.fail()
		return 0
	}
	return v
}

func (d *decoder) raw(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// count reads the number of elements that take at least least bytes each.
func (d *decoder) count(least int) int {
	n := d.uint()
	if n > uint64(len(d.b)/least) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string { return string(d.raw(d.uint())) }

func (d *decoder) bytes() []byte { return append([]byte(nil), d.raw(d.uint())...) }

func (d *decoder) segment() (id SegmentID) {
	copy(id[:], d.raw(uint64(len(id))))
	return id
}

func (d *decoder) time() time.Time {
	v := d.int()
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, v).UTC()
}

func (d *decoder) bool() bool {
	v := d.uint()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) stringMap() map[string]string {
	n := d.uint()
	if n == 0 {
		return nil
	}
	n--
	if n > uint64(len(d.b)/2) {
		d.fail()
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k := d.string()
		if i > 0 && k <= last {
			d.fail()
			return nil
		}
		m[k] = d.string()
		last = k
	}
	return m
}

func (d *decoder) checksum() Checksum {
	return Checksum{Algorithm: d.string(), Type: d.string(), Value: d.string()}
}

func (d *decoder) lock() Lock { return Lock{Retention: d.string(), Hold: d.string()} }

func (d *decoder) headers(h *Headers) {
	for _, p := range h.fields() {
		*p = d.string()
	}
}

func (d *decoder) extents() []Extent {
	n := d.count(3)
	if n == 0 {
		return nil
	}
	x := make([]Extent, n)
	for i := range x {
		x[i] = Extent{Blob: BlobID(d.uint()), Offset: d.int(), Length: d.int()}
	}
	return x
}

func encodeBlob(v *Blob) []byte {
	e := encoder{b: append(make([]byte, 0, 64+len(v.Data)+40*len(v.Segments)), kindBlob)}
	e.uint(v.Refs)
	e.int(v.Size)
	e.uint(uint64(v.Place))
	switch v.Place {
	case Inline:
		e.bytes(v.Data)
	case Journaled:
		e.uint(v.File)
		e.int(v.Offset)
	case Packed:
		e.segment(v.Pack)
		e.int(v.Offset)
	case Segmented:
		e.uint(uint64(len(v.Segments)))
		for _, s := range v.Segments {
			e.segment(s.ID)
			e.int(s.Size)
		}
	}
	return e.b
}

func decodeBlob(b []byte) (*Blob, error) {
	d := decode(kindBlob, b)
	v := &Blob{Refs: d.uint(), Size: d.int(), Place: Place(d.uint())}
	switch v.Place {
	case Inline:
		v.Data = d.bytes()
	case Journaled:
		v.File, v.Offset = d.uint(), d.int()
	case Packed:
		v.Pack, v.Offset = d.segment(), d.int()
	case Segmented:
		v.Segments = make([]Segment, d.count(33))
		for i := range v.Segments {
			v.Segments[i] = Segment{ID: d.segment(), Size: d.int()}
		}
	default:
		d.fail()
	}
	if err := d.finish("blob"); err != nil {
		return nil, err
	}
	return v, nil
}

func encodeObject(v *Object) []byte {
	e := encoder{b: append(make([]byte, 0, 256+16*(len(v.Extents)+len(v.Parts))), kindObject)}
	e.int(v.Size)
	e.time(v.Modified)
	e.string(v.ETag)
	e.string(v.Version)
	e.bool(v.DeleteMarker)
	e.headers(&v.Headers)
	e.stringMap(v.Metadata)
	e.stringMap(v.Tags)
	e.checksum(v.Checksum)
	e.extents(v.Extents)
	e.string(v.UploadID)
	e.uint(uint64(len(v.Parts)))
	for _, p := range v.Parts {
		e.uint(uint64(p.Number))
		e.int(p.Size)
		e.string(p.Checksum)
	}
	e.lock(v.Lock)
	return e.b
}

func decodeObject(b []byte) (*Object, error) {
	d := decode(kindObject, b)
	v := &Object{Size: d.int(), Modified: d.time(), ETag: d.string(), Version: d.string(), DeleteMarker: d.bool()}
	d.headers(&v.Headers)
	v.Metadata = d.stringMap()
	v.Tags = d.stringMap()
	v.Checksum = d.checksum()
	v.Extents = d.extents()
	v.UploadID = d.string()
	if n := d.count(3); n > 0 {
		v.Parts = make([]ObjectPart, n)
		for i := range v.Parts {
			v.Parts[i] = ObjectPart{Number: int32(d.int()), Size: d.int(), Checksum: d.string()}
		}
	}
	v.Lock = d.lock()
	if err := d.finish("object"); err != nil {
		return nil, err
	}
	return v, nil
}

func encodeUpload(v *Upload) []byte {
	e := encoder{b: []byte{kindUpload}}
	e.string(v.Key)
	e.time(v.Initiated)
	e.headers(&v.Headers)
	e.stringMap(v.Metadata)
	e.stringMap(v.Tags)
	e.checksum(v.Checksum)
	e.lock(v.Lock)
	return e.b
}

func decodeUpload(b []byte) (*Upload, error) {
	d := decode(kindUpload, b)
	v := &Upload{Key: d.string(), Initiated: d.time()}
	d.headers(&v.Headers)
	v.Metadata = d.stringMap()
	v.Tags = d.stringMap()
	v.Checksum = d.checksum()
	v.Lock = d.lock()
	if err := d.finish("upload"); err != nil {
		return nil, err
	}
	return v, nil
}

func encodePart(v *Part) []byte {
	e := encoder{b: []byte{kindPart}}
	e.int(v.Size)
	e.time(v.Modified)
	e.string(v.ETag)
	e.checksum(v.Checksum)
	e.string(v.CRC64)
	e.extents(v.Extents)
	return e.b
}

func decodePart(b []byte) (*Part, error) {
	d := decode(kindPart, b)
	v := &Part{Size: d.int(), Modified: d.time(), ETag: d.string(), Checksum: d.checksum(), CRC64: d.string()}
	v.Extents = d.extents()
	if err := d.finish("part"); err != nil {
		return nil, err
	}
	return v, nil
}

func encodePack(v *Pack) []byte {
	e := encoder{b: []byte{kindPack}}
	e.int(v.Size)
	e.int(v.Live)
	e.int(v.Blobs)
	return e.b
}

func decodePack(b []byte) (*Pack, error) {
	d := decode(kindPack, b)
	v := &Pack{Size: d.int(), Live: d.int(), Blobs: d.int()}
	if err := d.finish("pack"); err != nil {
		return nil, err
	}
	return v, nil
}
