package strictcbor

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Major types (RFC 8949 section 3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	_
	majorSimple
)

// Reader reads the items of a structure that is known beforehand, at a third of the
// cost of decoding it by reflection. It knows no more than what devices usually
// send, lengths in their shortest form, no tags and no other simple values than
// floating-point numbers: of anything else Whole reports false, and who reads
// decodes it in another way.
type Reader struct {
	rest []byte
	bad  bool
}

// NewReader reads raw, to which what it returns refers.
func NewReader(raw []byte) *Reader { return &Reader{rest: raw} }

// Whole reports whether all was read and nothing else was there than what was
// asked for.
func (r *Reader) Whole() bool { return !r.bad && len(r.rest) == 0 }

// Failed reports whether Fail was called.
func (r *Reader) Failed() bool { return r.bad }

// Fail ends the reading of what is not what was asked for.
func (r *Reader) Fail() { r.bad, r.rest = true, nil }

// head reads a type and its argument; info tells how long a number is.
func (r *Reader) head() (major, info byte, n uint64) {
	if len(r.rest) == 0 {
		r.Fail()
		return 0, 0, 0
	}
	major, info = r.rest[0]>>5, r.rest[0]&31
	if info < 24 {
		r.rest = r.rest[1:]
		return major, info, uint64(info)
	}
	size := 1 << (info - 24)
	if info > 27 || len(r.rest) < 1+size {
		r.Fail()
		return 0, 0, 0
	}
	for _, b := range r.rest[1 : 1+size] {
		n = n<<8 | uint64(b)
	}
	r.rest = r.rest[1+size:]
	if least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]; n < least && major != majorSimple {
		r.Fail() // there is a shorter form
	}
	return major, info, n
}

// count is the argument of an item of one type.
func (r *Reader) count(want byte, most int) int {
	major, _, n := r.head()
	if major != want || n > uint64(most) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Array is how many items an array has, Map how many pairs; of more than most
// the reader knows nothing.
func (r *Reader) Array(most int) int { return r.count(majorArray, most) }

// Map is like Array.
func (r *Reader) Map(most int) int { return r.count(majorMap, most) }

func (r *Reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.Fail()
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

// Bytes reads a byte string.
func (r *Reader) Bytes() []byte { return r.take(r.count(majorBytes, len(r.rest))) }

// Text reads a text, as the bytes of it.
func (r *Reader) Text() []byte {
	out := r.take(r.count(majorText, len(r.rest)))
	if !utf8.Valid(out) {
		r.Fail()
	}
	return out
}

// Int reads a whole number.
func (r *Reader) Int() int64 {
	major, _, n := r.head()
	if major > majorNegative || n > math.MaxInt64 {
		r.Fail()
		return 0
	}
	if major == majorNegative {
		return -1 - int64(n)
	}
	return int64(n)
}

// exact is the least whole number that floating point may not hold.
const exact = 1 << 53

// Number reads a whole or a floating-point number.
func (r *Reader) Number() float64 {
	major, info, n := r.head()
	switch {
	case major == majorUint && n < exact:
		return float64(n)
	case major == majorNegative && n < exact:
		return -1 - float64(n)
	case major == majorSimple && info == 25:
		return half(uint16(n))
	case major == majorSimple && info == 26:
		return float64(math.Float32frombits(uint32(n)))
	case major == majorSimple && info == 27:
		return math.Float64frombits(n)
	}
	r.Fail()
	return 0
}

// half is a number in 16 bits (RFC 8949 appendix D).
func half(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var out float64
	switch exponent {
	case 0:
		out = math.Ldexp(fraction, -24)
	case 31:
		if out = math.Inf(1); fraction != 0 {
			out = math.NaN()
		}
	default:
		out = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 == 1 {
		out = -out
	}
	return out
}

// Value reads a whole number as int64, a byte string as []byte or a text as string.
func (r *Reader) Value() any {
	if len(r.rest) == 0 {
		r.Fail()
		return nil
	}
	switch r.rest[0] >> 5 {
	case majorBytes:
		return r.Bytes()
	case majorText:
		return string(r.Text())
	}
	return r.Int()
}

// AppendArray begins an array of so many items.
func AppendArray(out []byte, items int) []byte { return appendHead(out, majorArray, items) }

// AppendBytes appends a byte string.
func AppendBytes(out, b []byte) []byte { return append(appendHead(out, majorBytes, len(b)), b...) }

// AppendText appends a text.
func AppendText(out []byte, s string) []byte { return append(appendHead(out, majorText, len(s)), s...) }

func appendHead(out []byte, major byte, n int) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(out, major|byte(n))
	case n < 1<<8:
		return append(out, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, major|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(out, major|26), uint32(n))
}
