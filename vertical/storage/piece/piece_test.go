package piece

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/bao"
	"pgregory.net/rapid"
)

func randomBytes(seed byte, n int64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func hashed(t testing.TB, data []byte) (Root, []byte) {
	t.Helper()
	var h Hasher
	if _, err := h.Write(data); err != nil {
		t.Fatal(err)
	}
	return h.Outboard()
}

var edgeSizes = []int64{1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 8192, 8193, 16383, 16384, 16385,
	17408, 17409, 32767, 32768, 32769, 49152, 65552, 100000, 131072, 131073, 1 << 20, 1<<20 + 1, 3<<20 + 5000}

func TestRootIsBlake3AndOutboardIsBao(t *testing.T) {
	for _, size := range edgeSizes {
		data := randomBytes(1, size)
		root, out := hashed(t, data)
		if want := blake3.Sum256(data); root != Root(want) {
			t.Errorf("size %d: root %v, blake3 %x", size, root, want)
		}
		want, baoRoot := bao.EncodeBuf(data, Group, true)
		if !bytes.Equal(out, want) || Root(baoRoot) != root || int64(len(out)) != OutboardSize(size) {
			t.Errorf("size %d: outboard of %d bytes differs from bao's %d", size, len(out), len(want))
		}
	}
}

// However the bytes are cut into writes, the root and outboard are the same.
func TestWritesOfAnyLength(t *testing.T) {
	data := randomBytes(9, 200_000)
	root, out := hashed(t, data)
	rapid.Check(t, func(rt *rapid.T) {
		var h Hasher
		for rest := data; len(rest) > 0; {
			n := rapid.OneOf(rapid.IntRange(1, len(rest)), rapid.SampledFrom([]int{1, 16, GroupSize, GroupSize + 1, 65552})).Draw(rt, "n")
			n = min(n, len(rest))
			h.Write(rest[:n])
			rest = rest[n:]
		}
		if r, o := h.Outboard(); r != root || !bytes.Equal(o, out) || h.Root() != root {
			rt.Fatal("differs")
		}
	})
}

func TestSliceIsBao(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.SampledFrom(edgeSizes), rapid.Int64Range(1, 300000)).Draw(rt, "size")
		data := randomBytes(2, size)
		root, out := hashed(t, data)
		off := rapid.Int64Range(0, size-1).Draw(rt, "off")
		n := rapid.Int64Range(1, size-off).Draw(rt, "n")
		var slice bytes.Buffer
		if err := WriteSlice(&slice, bytes.NewReader(data), bytes.NewReader(out), size, off, n); err != nil {
			rt.Fatal(err)
		}
		if want, err := SliceSize(size, off, n); err != nil || want != int64(slice.Len()) {
			rt.Fatalf("slice of %d bytes, planned %d: %v", slice.Len(), want, err)
		}
		encoded, _ := bao.EncodeBuf(data, Group, false)
		var want bytes.Buffer
		if err := bao.ExtractSlice(&want, bytes.NewReader(encoded), nil, Group, uint64(off), uint64(n)); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(slice.Bytes(), want.Bytes()) {
			rt.Fatal("slice differs from bao's")
		}
		r, err := NewSliceReader(iotest.HalfReader(&slice), root, size, off, n)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[off:off+n]) {
			rt.Fatalf("read %d of %d bytes: %v", len(got), n, err)
		}
		r, _ = NewSliceReader(bytes.NewReader(want.Bytes()), root, size, off, n)
		room := make([]byte, n)
		if k, err := io.ReadFull(r, room); err != nil || !bytes.Equal(room, data[off:off+n]) {
			rt.Fatalf("read %d of %d bytes with room for all: %v", k, n, err)
		}
	})
}

func TestSliceReaderRejectsEveryFlippedByte(t *testing.T) {
	const size, off, n = 70000, 20000, 30000
	data := randomBytes(3, size)
	root, out := hashed(t, data)
	var slice bytes.Buffer
	if err := WriteSlice(&slice, bytes.NewReader(data), bytes.NewReader(out), size, off, n); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < slice.Len(); i += 1 + i%7 {
		b := bytes.Clone(slice.Bytes())
		b[i] ^= 0x10
		r, _ := NewSliceReader(bytes.NewReader(b), root, size, off, n)
		got, err := io.ReadAll(r)
		if !errors.Is(err, ErrInvalid) || !bytes.HasPrefix(data[off:], got) {
			t.Fatalf("flip at %d: err %v, %d bytes given out", i, err, len(got))
		}
		// With room for whole groups they are verified where they are given out.
		r, _ = NewSliceReader(bytes.NewReader(b), root, size, off, n)
		room := make([]byte, n)
		k, err := io.ReadFull(r, room)
		if !errors.Is(err, ErrInvalid) || !bytes.HasPrefix(data[off:], room[:k]) {
			t.Fatalf("flip at %d, with room: err %v, %d bytes given out", i, err, k)
		}
		if !bytes.Equal(room[k:], make([]byte, n-k)) {
			t.Fatalf("flip at %d: bytes after the %d given out are left behind", i, k)
		}
	}
	for i := range slice.Len() {
		if i%997 != 0 {
			continue
		}
		r, _ := NewSliceReader(bytes.NewReader(slice.Bytes()[:i]), root, size, off, n)
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestChunkProof(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.SampledFrom(edgeSizes), rapid.Int64Range(1, 300000)).Draw(rt, "size")
		data := randomBytes(4, size)
		root, out := hashed(t, data)
		off := rapid.Int64Range(0, size-1).Draw(rt, "off")
		p, err := Prove(bytes.NewReader(data), bytes.NewReader(out), size, off)
		if err != nil {
			rt.Fatal(err)
		}
		if err := Verify(root, size, off, p); err != nil {
			rt.Fatal(err)
		}
		if at := off / ChunkSize * ChunkSize; !bytes.Equal(p.Chunk, data[at:min(at+ChunkSize, size)]) {
			rt.Fatal("chunk differs")
		}
		tamper(rt, root, size, off, p)
	})
}

// tamper changes one part of a valid proof and expects a refusal.
func tamper(rt *rapid.T, root Root, size, off int64, p Proof) {
	switch rapid.SampledFrom([]string{"chunk", "sibling", "root", "drop", "extra", "other chunk"}).Draw(rt, "tamper") {
	case "chunk":
		p.Chunk[rapid.IntRange(0, len(p.Chunk)-1).Draw(rt, "at")] ^= 1
	case "sibling":
		if len(p.Siblings) == 0 {
			return
		}
		p.Siblings[rapid.IntRange(0, len(p.Siblings)-1).Draw(rt, "at")][rapid.IntRange(0, 31).Draw(rt, "byte")] ^= 1
	case "root":
		root[rapid.IntRange(0, 31).Draw(rt, "byte")] ^= 1
	case "drop":
		p.Chunk = p.Chunk[:len(p.Chunk)-1]
	case "extra":
		p.Siblings = append(p.Siblings, [32]byte{})
	case "other chunk":
		other := rapid.Int64Range(0, size-1).Draw(rt, "other")
		if other/ChunkSize == off/ChunkSize {
			return
		}
		off = other
	}
	if err := Verify(root, size, off, p); !errors.Is(err, ErrInvalid) {
		rt.Fatalf("tampered proof: %v", err)
	}
}

// A chunk proof is a Bao slice of one chunk with group parameter 0: its parents,
// read top down, hold exactly the siblings.
func TestChunkProofAgreesWithBaoSlices(t *testing.T) {
	for _, size := range edgeSizes {
		data := randomBytes(5, size)
		_, out := hashed(t, data)
		off := size * 2 / 3
		p, err := Prove(bytes.NewReader(data), bytes.NewReader(out), size, off)
		if err != nil {
			t.Fatal(err)
		}
		encoded, _ := bao.EncodeBuf(data, 0, false)
		var slice bytes.Buffer
		if err := bao.ExtractSlice(&slice, bytes.NewReader(encoded), nil, 0, uint64(off), 1); err != nil {
			t.Fatal(err)
		}
		_, _, steps := pathTo(size, off)
		nodes := slice.Bytes()[8:]
		for i, s := range steps {
			at := i * 64
			if !s.right {
				at += 32
			}
			if sib := p.Siblings[len(steps)-1-i]; !bytes.Equal(sib[:], nodes[at:at+32]) {
				t.Fatalf("size %d: sibling %d differs from bao's", size, i)
			}
		}
		if !bytes.Equal(nodes[64*len(steps):], p.Chunk) {
			t.Fatalf("size %d: chunk differs", size)
		}
	}
}

func TestLimits(t *testing.T) {
	var h Hasher
	if _, err := h.Write(make([]byte, MaxSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write([]byte{1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte over: %v", err)
	}
	_, _, steps := pathTo(MaxSize, 5)
	if len(steps) != MaxSiblings {
		t.Errorf("longest path %d, MaxSiblings %d", len(steps), MaxSiblings)
	}
	for _, r := range [][3]int64{{100, -1, 5}, {100, 0, 0}, {100, 99, 2}, {0, 0, 1}, {MaxSize + 1, 0, 1}, {100, 1 << 62, 1 << 62}} {
		if _, err := SliceSize(r[0], r[1], r[2]); err == nil {
			t.Errorf("range %v accepted", r)
		}
	}
}

// The vectors pin formats: outboard, slice and chunk proof of fixed inputs.
func TestVectors(t *testing.T) {
	var got bytes.Buffer
	for _, size := range []int64{1, 1024, 1025, 16384, 16385, 65552, 200000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i % 251)
		}
		root, out := hashed(t, data)
		off, n := size/3, min(size-size/3, 20000)
		var slice bytes.Buffer
		if err := WriteSlice(&slice, bytes.NewReader(data), bytes.NewReader(out), size, off, n); err != nil {
			t.Fatal(err)
		}
		p, err := Prove(bytes.NewReader(data), bytes.NewReader(out), size, off)
		if err != nil {
			t.Fatal(err)
		}
		ob, sb := blake3.Sum256(out), blake3.Sum256(slice.Bytes())
		fmt.Fprintf(&got, "size %d root %v\n outboard %d %x\n slice %d+%d %d %x\n", size, root, len(out), ob, off, n, slice.Len(), sb)
		for _, s := range p.Siblings {
			fmt.Fprintf(&got, " sibling %s\n", hex.EncodeToString(s[:]))
		}
	}
	path := filepath.Join("testdata", "vectors.txt")
	if os.Getenv("UPDATE_VECTORS") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("formats changed:\n%s", got.Bytes())
	}
}

func FuzzSliceReader(f *testing.F) {
	const size, off, n = 40000, 10000, 20000
	data := randomBytes(6, size)
	root, out := hashed(f, data)
	var slice bytes.Buffer
	if err := WriteSlice(&slice, bytes.NewReader(data), bytes.NewReader(out), size, off, n); err != nil {
		f.Fatal(err)
	}
	f.Add(slice.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewSliceReader(bytes.NewReader(b), root, size, off, n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if !bytes.HasPrefix(data[off:off+n], got) || (err == nil) != (len(got) == n) {
			t.Fatalf("gave out %d bytes, err %v", len(got), err)
		}
	})
}

func BenchmarkHasher(b *testing.B) {
	data := randomBytes(1, 8<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var h Hasher
		h.Write(data)
		h.Outboard()
	}
}

func BenchmarkSliceReader64K(b *testing.B) {
	const size = 4 << 20
	data := randomBytes(1, size)
	root, out := hashed(b, data)
	var slice bytes.Buffer
	if err := WriteSlice(&slice, bytes.NewReader(data), bytes.NewReader(out), size, 1<<20, 65552); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(65552)
	for b.Loop() {
		r, _ := NewSliceReader(bytes.NewReader(slice.Bytes()), root, size, 1<<20, 65552)
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyProof(b *testing.B) {
	data := randomBytes(1, 4<<20)
	root, out := hashed(b, data)
	p, err := Prove(bytes.NewReader(data), bytes.NewReader(out), 4<<20, 12345)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Verify(root, 4<<20, 12345, p); err != nil {
			b.Fatal(err)
		}
	}
}
