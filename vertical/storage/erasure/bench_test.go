package erasure

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"lukechampine.com/blake3"

	"github.com/grange-network/grange/vertical/storage/piece"
)

func BenchmarkEncode(b *testing.B) {
	for _, l := range []Layout{Small, Standard} {
		b.Run(fmt.Sprintf("seal/%d-%d", l.K, l.N), func(b *testing.B) { benchEncode(b, l, nil) })
		b.Run(fmt.Sprintf("seal+hash/%d-%d", l.K, l.N), func(b *testing.B) {
			benchEncode(b, l, func() io.Writer { return &piece.Hasher{} })
		})
	}
}

func benchEncode(b *testing.B, l Layout, h func() io.Writer) {
	seg := Segment{ID: ID{1}, Size: 20 << 20, Layout: l}
	plain := randomBytes(1, seg.Size)
	b.SetBytes(seg.Size)
	b.ReportAllocs()
	for b.Loop() {
		w := make([]io.Writer, l.N)
		for i := range w {
			w[i] = io.Discard
			if h != nil {
				w[i] = h()
			}
		}
		if err := Encode(seg, testKeys, bytes.NewReader(plain), w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	seg := Segment{ID: ID{1}, Size: 20 << 20, Layout: Standard}
	shards := encode(b, seg, randomBytes(1, seg.Size))
	for _, lost := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("lost-%d", lost), func(b *testing.B) {
			r := readers(shards)
			for j := range lost {
				r[j] = nil
			}
			b.SetBytes(seg.Size)
			for b.Loop() {
				if _, err := Decode(seg, testKeys, r, 0, seg.Size, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRaw gives the rates of the primitives alone, to read the others by.
func BenchmarkRaw(b *testing.B) {
	buf := make([]byte, UnitSize)
	block, _ := aes.NewCipher(make([]byte, 32))
	gcm, _ := cipher.NewGCM(block)
	rs, _ := Standard.coder()
	units := stripeBuffer(int(Standard.N))
	out := make([]byte, 0, UnitSize+Overhead)
	for name, run := range map[string]struct {
		bytes int64
		f     func()
	}{
		"rs-10-20": {10 * UnitSize, func() { _ = rs.Encode(units) }},
		"gcm":      {BlockSize, func() { gcm.Seal(out, nonce(0), buf[:BlockSize], nil) }},
		"ctr":      {UnitSize, func() { keystream(block, 0).XORKeyStream(buf, buf) }},
		"blake3":   {UnitSize, func() { blake3.Sum256(buf) }},
		"sha256":   {UnitSize, func() { sha256.Sum256(buf) }},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(run.bytes)
			for b.Loop() {
				run.f()
			}
		})
	}
}
