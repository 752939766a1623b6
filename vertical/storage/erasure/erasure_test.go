package erasure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"lukechampine.com/blake3"

	"pgregory.net/rapid"
)

var testKeys = Keys{Content: ContentKey{1, 2, 3}, Seal: SealKey{4, 5, 6}}

func randomBytes(seed uint64, n int64) []byte {
	b := make([]byte, n)
	c := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	c.Read(b)
	return b
}

func encode(t testing.TB, seg Segment, plain []byte) [][]byte {
	t.Helper()
	bufs := make([]bytes.Buffer, seg.Layout.N)
	w := make([]io.Writer, len(bufs))
	for i := range bufs {
		w[i] = &bufs[i]
	}
	if err := Encode(seg, testKeys, bytes.NewReader(plain), w); err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, len(bufs))
	for i := range bufs {
		out[i] = bufs[i].Bytes()
		if int64(len(out[i])) != seg.ShardSize() {
			t.Fatalf("shard %d: %d bytes, want %d", i, len(out[i]), seg.ShardSize())
		}
	}
	return out
}

func readers(shards [][]byte) []io.ReaderAt {
	r := make([]io.ReaderAt, len(shards))
	for i, s := range shards {
		if s != nil {
			r[i] = bytes.NewReader(s)
		}
	}
	return r
}

func TestRoundTripSizes(t *testing.T) {
	sizes := []int64{1, 15, 4095, 4096, 4097, BlockSize - 1, BlockSize, BlockSize + 1,
		4 * BlockSize, 4*BlockSize + 1, 7*BlockSize + 123, 10 * BlockSize, 10*BlockSize - 1, 1 << 20, 3<<20 + 17}
	for _, l := range []Layout{Small, Standard, {1, 3, 2}, {3, 3, 3}, {2, 5, 3}} {
		for _, size := range sizes {
			seg := Segment{ID: ID{9}, Size: size, Layout: l}
			plain := randomBytes(uint64(size), size)
			shards := encode(t, seg, plain)
			var got bytes.Buffer
			bad, err := Decode(seg, testKeys, readers(shards), 0, size, &got)
			if err != nil || len(bad) > 0 || !bytes.Equal(got.Bytes(), plain) {
				t.Fatalf("layout %v size %d: err %v bad %v equal %v", l, size, err, bad, bytes.Equal(got.Bytes(), plain))
			}
		}
	}
}

func TestDecodeAnyRangeAnyShards(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.IntRange(1, 10).Draw(rt, "k")
		n := rapid.IntRange(k, 20).Draw(rt, "n")
		l := Layout{K: uint8(k), N: uint8(n), Repair: uint8(k)}
		seg := Segment{ID: ID{byte(k), byte(n)}, Size: rapid.Int64Range(1, 1<<20).Draw(rt, "size"), Layout: l}
		plain := randomBytes(uint64(seg.Size), seg.Size)
		shards := encode(t, seg, plain)
		keep := rapid.Permutation(indexes(n)).Draw(rt, "order")[:rapid.IntRange(k, n).Draw(rt, "kept")]
		have := make([][]byte, n)
		for _, j := range keep {
			have[j] = shards[j]
		}
		off := rapid.Int64Range(0, seg.Size-1).Draw(rt, "off")
		length := rapid.Int64Range(1, seg.Size-off).Draw(rt, "len")
		var got bytes.Buffer
		bad, err := Decode(seg, testKeys, readers(have), off, length, &got)
		if err != nil || len(bad) > 0 {
			rt.Fatalf("decode: %v %v", err, bad)
		}
		if !bytes.Equal(got.Bytes(), plain[off:off+length]) {
			rt.Fatal("plaintext differs")
		}
	})
}

func indexes(n int) []int {
	x := make([]int, n)
	for i := range x {
		x[i] = i
	}
	return x
}

// The planned spans are exactly what Decode reads on the fast path, and a decode
// from buffers that hold only the plan succeeds on both paths.
func TestPlansSuffice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seg := Segment{ID: ID{7}, Size: rapid.Int64Range(1, 2<<20).Draw(rt, "size"), Layout: Small}
		plain := randomBytes(1, seg.Size)
		shards := encode(t, seg, plain)
		off := rapid.Int64Range(0, seg.Size-1).Draw(rt, "off")
		n := rapid.Int64Range(1, seg.Size-off).Draw(rt, "len")
		spans, err := seg.Systematic(off, n)
		if err != nil {
			rt.Fatal(err)
		}
		r := make([]io.ReaderAt, seg.Layout.N)
		for j, sp := range spans {
			if sp.Length > 0 {
				r[j] = Fetched{sp.Offset, shards[j][sp.Offset:sp.End()]}
			}
		}
		var got bytes.Buffer
		if bad, err := Decode(seg, testKeys, r, off, n, &got); err != nil || len(bad) > 0 {
			rt.Fatalf("fast path: %v %v", err, bad)
		}
		if !bytes.Equal(got.Bytes(), plain[off:off+n]) {
			rt.Fatal("fast path differs")
		}
		sp, err := seg.Reconstruct(off, n)
		if err != nil {
			rt.Fatal(err)
		}
		for j := range r {
			r[j] = nil
			if j >= 4 {
				r[j] = Fetched{sp.Offset, shards[j][sp.Offset:sp.End()]}
			}
		}
		got.Reset()
		if bad, err := Decode(seg, testKeys, r, off, n, &got); err != nil || len(bad) > 0 {
			rt.Fatalf("slow path: %v %v", err, bad)
		}
		if !bytes.Equal(got.Bytes(), plain[off:off+n]) {
			rt.Fatal("slow path differs")
		}
	})
}

func TestFlippedBitNamesShard(t *testing.T) {
	seg := Segment{ID: ID{3}, Size: 9*BlockSize + 5000, Layout: Small}
	plain := randomBytes(3, seg.Size)
	for name, tc := range map[string]struct {
		missing []int
		flip    int
		named   int
	}{
		"data shard on the fast path":     {nil, 2, 2},
		"data shard while reconstructing": {[]int{0}, 3, 3},
		"parity shard, only one used":     {[]int{0}, 4, 4},
		"parity shard among two used":     {[]int{0, 1}, 5, 5},
		"first parity shard of two used":  {[]int{0, 1}, 4, 4},
	} {
		t.Run(name, func(t *testing.T) {
			shards := encode(t, seg, plain)
			shards[tc.flip][UnitSize+77] ^= 1
			for _, j := range tc.missing {
				shards[j] = nil
			}
			var got bytes.Buffer
			bad, err := Decode(seg, testKeys, readers(shards), 0, seg.Size, &got)
			if err != nil || !bytes.Equal(got.Bytes(), plain) {
				t.Fatalf("decode: %v, bad %v", err, bad)
			}
			found := false
			for _, b := range bad {
				found = found || b.Shard == tc.named
			}
			if !found || !errors.Is(bad[0], ErrBlock) {
				t.Fatalf("shard %d not named in %v", tc.named, bad)
			}
		})
	}
}

func TestTooFewShards(t *testing.T) {
	seg := Segment{ID: ID{3}, Size: 100000, Layout: Small}
	shards := encode(t, seg, randomBytes(3, seg.Size))
	for j := range 5 {
		shards[j] = nil
	}
	if _, err := Decode(seg, testKeys, readers(shards), 0, seg.Size, io.Discard); !errors.Is(err, ErrTooFew) {
		t.Fatalf("got %v, want ErrTooFew", err)
	}
}

func TestWrongKeysAndSizesOpenNothing(t *testing.T) {
	seg := Segment{ID: ID{3}, Size: 300000, Layout: Small}
	shards := encode(t, seg, randomBytes(3, seg.Size))
	other := testKeys
	other.Content[0] ^= 1
	unsealed := testKeys
	unsealed.Seal[0] ^= 1
	shorter, renamed := seg, seg
	shorter.Size--
	renamed.ID[5] ^= 1
	for name, tc := range map[string]struct {
		seg  Segment
		keys Keys
	}{
		"content key": {seg, other}, "seal key": {seg, unsealed},
		"size": {shorter, testKeys}, "segment id": {renamed, testKeys},
	} {
		var got bytes.Buffer
		if _, err := Decode(tc.seg, tc.keys, readers(shards), 0, 1000, &got); err == nil || got.Len() > 0 {
			t.Errorf("wrong %s: err %v, wrote %d bytes", name, err, got.Len())
		}
	}
}

func TestRebuildIsByteIdentical(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := rapid.SampledFrom([]Layout{Small, Standard, {1, 3, 2}}).Draw(rt, "layout")
		seg := Segment{ID: ID{8}, Size: rapid.Int64Range(1, 1<<20).Draw(rt, "size"), Layout: l}
		shards := encode(t, seg, randomBytes(8, seg.Size))
		order := rapid.Permutation(indexes(int(l.N))).Draw(rt, "order")
		have, want := make([]io.Reader, l.N), make([]io.Writer, l.N)
		for _, j := range order[:l.K] {
			have[j] = bytes.NewReader(shards[j])
		}
		out := make([]bytes.Buffer, l.N)
		for _, j := range order[l.K:] {
			want[j] = &out[j]
		}
		if err := Rebuild(seg, testKeys.Seal.ForSegment(seg.ID), have, want); err != nil {
			rt.Fatal(err)
		}
		for _, j := range order[l.K:] {
			if !bytes.Equal(out[j].Bytes(), shards[j]) {
				rt.Fatalf("shard %d differs", j)
			}
		}
	})
}

// Without the seal key the code's linearity is hidden: K sealed shards do not give
// a missing one, while with the key they do.
func TestRegenerationNeedsTheSeal(t *testing.T) {
	seg := Segment{ID: ID{8}, Size: 500000, Layout: Small}
	shards := encode(t, seg, randomBytes(8, seg.Size))
	for name, tc := range map[string]struct {
		seal SegmentSeal
		same bool
	}{
		"with the key":    {testKeys.Seal.ForSegment(seg.ID), true},
		"without the key": {SegmentSeal{}, false},
	} {
		have, want := make([]io.Reader, 8), make([]io.Writer, 8)
		for j := range 4 {
			have[j] = bytes.NewReader(shards[j])
		}
		var out bytes.Buffer
		want[6] = &out
		if err := Rebuild(seg, tc.seal, have, want); err != nil {
			t.Fatal(err)
		}
		if got := bytes.Equal(out.Bytes(), shards[6]); got != tc.same {
			t.Errorf("%s: identical = %v", name, got)
		}
	}
}

func TestShortAndFailingStreams(t *testing.T) {
	seg := Segment{ID: ID{1}, Size: 100000, Layout: Small}
	w := make([]io.Writer, 8)
	if err := Encode(seg, testKeys, bytes.NewReader(make([]byte, 99999)), w); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short plaintext: %v", err)
	}
	pr, pw := io.Pipe()
	pr.Close()
	w[3] = pw
	var se *ShardError
	if err := Encode(seg, testKeys, bytes.NewReader(make([]byte, 100000)), w); !errors.As(err, &se) || se.Shard != 3 {
		t.Errorf("failing writer: %v", err)
	}
}

func TestMaxSegmentFitsAShard(t *testing.T) {
	for k := 1; k <= 32; k++ {
		l := Layout{K: uint8(k), N: 40, Repair: 40}
		seg := Segment{Size: l.MaxSegment(), Layout: l}
		if err := seg.Validate(); err != nil {
			t.Fatal(err)
		}
		if seg.ShardSize() > MaxShard {
			t.Errorf("layout %v: shard %d over %d", l, seg.ShardSize(), MaxShard)
		}
	}
}

// The vectors pin the format of sealed shards.
func TestVectors(t *testing.T) {
	var got bytes.Buffer
	for _, l := range []Layout{Small, Standard, {1, 3, 2}} {
		for _, size := range []int64{1, 5000, BlockSize, 300_000, 1_000_000} {
			seg := Segment{ID: ID{1, 2, 3}, Size: size, Layout: l}
			plain := make([]byte, size)
			for i := range plain {
				plain[i] = byte(i % 251)
			}
			fmt.Fprintf(&got, "layout %v size %d: stripes %d shard %d bytes\n", l, size, seg.Stripes(), seg.ShardSize())
			for j, s := range encode(t, seg, plain) {
				fmt.Fprintf(&got, " %d %x\n", j, blake3.Sum256(s))
			}
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
		t.Error("the format of sealed shards changed")
	}
}

// Whatever is done to one shard, Decode gives the plaintext; whatever is done to
// any number of them, it never gives out a wrong byte.
func FuzzDecode(f *testing.F) {
	seg := Segment{ID: ID{3}, Size: 70_000, Layout: Small}
	plain := randomBytes(3, seg.Size)
	good := encode(f, seg, plain)
	f.Add(uint8(0b1), uint32(100), []byte{1}, uint32(0), uint32(70_000))
	f.Add(uint8(0b10110), uint32(20_000), []byte("damage"), uint32(65_000), uint32(5000))
	f.Add(uint8(0xff), uint32(0), []byte{1}, uint32(10), uint32(10))
	f.Fuzz(func(t *testing.T, which uint8, at uint32, damage []byte, off, n uint32) {
		shards := make([][]byte, len(good))
		damaged := 0
		for j := range good {
			shards[j] = bytes.Clone(good[j])
			if which&(1<<j) != 0 {
				for i, d := range damage {
					shards[j][(int(at)+i)%len(shards[j])] ^= d
				}
				damaged++
			}
		}
		o := int64(off) % seg.Size
		length := 1 + int64(n)%(seg.Size-o)
		var got bytes.Buffer
		_, err := Decode(seg, testKeys, readers(shards), o, length, &got)
		if !bytes.HasPrefix(plain[o:o+length], got.Bytes()) {
			t.Fatal("a wrong byte was given out")
		}
		if err == nil && int64(got.Len()) != length {
			t.Fatalf("%d of %d bytes and no error", got.Len(), length)
		}
		if err != nil && damaged <= 1 {
			t.Fatalf("one damaged shard: %v", err)
		}
	})
}
