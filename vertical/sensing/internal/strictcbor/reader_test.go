package strictcbor

import (
	"bytes"
	"math"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

var (
	decode = Decoder(cbor.DecOptions{IntDec: cbor.IntDecConvertSignedOrFail})
	encode = Encoder(cbor.CoreDetEncOptions())
)

// Every half is the number that the decoder makes of it.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		raw := []byte{0xf9, byte(h >> 8), byte(h)}
		var want float64
		if err := decode.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		r := NewReader(raw)
		got := r.Number()
		if !r.Whole() || got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(want) && !math.IsNaN(want) {
			t.Fatalf("%04x is %v, want %v", h, got, want)
		}
	}
}

// What is appended is what the encoder writes, and is read back.
func TestAppend(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536, 100_000} {
		b := bytes.Repeat([]byte{'x'}, n)
		want, err := encode.Marshal([]any{b, string(b)})
		if err != nil {
			t.Fatal(err)
		}
		got := AppendText(AppendBytes(AppendArray(nil, 2), b), string(b))
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes are written in another way", n)
		}
		r := NewReader(got)
		if items, x, y := r.Array(2), r.Bytes(), r.Text(); items != 2 || !bytes.Equal(x, b) || !bytes.Equal(y, b) || !r.Whole() {
			t.Errorf("%d bytes are not read back", n)
		}
	}
}

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		read      func(*Reader) any
		want      any // nil: it is not read
	}{
		{"number", "\x18\x18", func(r *Reader) any { return r.Int() }, int64(24)},
		{"negative", "\x38\xff", func(r *Reader) any { return r.Int() }, int64(-256)},
		{"the least", "\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", func(r *Reader) any { return r.Int() }, int64(math.MinInt64)},
		{"less", "\x3b\x80\x00\x00\x00\x00\x00\x00\x00", func(r *Reader) any { return r.Int() }, nil},
		{"longer than it must be", "\x18\x17", func(r *Reader) any { return r.Int() }, nil},
		{"longer than it must be, 16 bits", "\x19\x00\xff", func(r *Reader) any { return r.Int() }, nil},
		{"cut off", "\x19\x01", func(r *Reader) any { return r.Int() }, nil},
		{"nothing", "", func(r *Reader) any { return r.Int() }, nil},
		{"a float as an int", "\xf9\x3c\x00", func(r *Reader) any { return r.Int() }, nil},
		{"float", "\xf9\x3c\x00", func(r *Reader) any { return r.Number() }, 1.0},
		{"float of 32 bits", "\xfa\x3f\x80\x00\x00", func(r *Reader) any { return r.Number() }, 1.0},
		{"float of 64 bits", "\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00", func(r *Reader) any { return r.Number() }, 1.0},
		{"int as a float", "\x20", func(r *Reader) any { return r.Number() }, -1.0},
		{"too exact for a float", "\x1b\x00\x20\x00\x00\x00\x00\x00\x01", func(r *Reader) any { return r.Number() }, nil},
		{"null", "\xf6", func(r *Reader) any { return r.Number() }, nil},
		{"indefinite length", "\x5f\x41a\xff", func(r *Reader) any { return r.Value() }, nil},
		{"reserved", "\x1c", func(r *Reader) any { return r.Value() }, nil},
		{"tag", "\xc1\x00", func(r *Reader) any { return r.Value() }, nil},
		{"text", "\x61a", func(r *Reader) any { return r.Value() }, "a"},
		{"no UTF-8", "\x61\xff", func(r *Reader) any { return r.Value() }, nil},
		{"text that is cut off", "\x62a", func(r *Reader) any { return r.Value() }, nil},
		{"more follows", "\x00\x00", func(r *Reader) any { return r.Value() }, nil},
		{"too many", "\x83", func(r *Reader) any { return r.Array(2) }, nil},
		{"map", "\xa2", func(r *Reader) any { return r.Map(2) }, 2},
	} {
		r := NewReader([]byte(tt.raw))
		if got := tt.read(r); r.Whole() != (tt.want != nil) || r.Whole() && got != tt.want {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, r.Whole(), tt.want)
		}
	}
}
