package proof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"lukechampine.com/blake3"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/vertical/storage/piece"
)

// disk is a small real store of pieces in memory.
type disk map[piece.Root][2][]byte

func (d disk) put(t testing.TB, data []byte) Piece {
	t.Helper()
	var h piece.Hasher
	if _, err := h.Write(data); err != nil {
		t.Fatal(err)
	}
	root, out := h.Outboard()
	d[root] = [2][]byte{data, out}
	return Piece{root, int64(len(data))}
}

func (d disk) read(r piece.Root) (data, outboard io.ReaderAt, err error) {
	p, ok := d[r]
	if !ok {
		return nil, nil, fmt.Errorf("piece %v not stored", r)
	}
	return bytes.NewReader(p[0]), bytes.NewReader(p[1]), nil
}

func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// fixture is a device with two leases.
func fixture(t testing.TB) (disk, []Set, []Head) {
	d := disk{}
	var sets []Set
	var heads []Head
	for lease, sizes := range [][]int{{1, 1024, 70000, 5000}, {300000, 16385, 40}} {
		var s Set
		for i, n := range sizes {
			var err error
			if s, err = s.Add(d.put(t, randomBytes(byte(10*lease+i), n))); err != nil {
				t.Fatal(err)
			}
		}
		sets = append(sets, s)
		heads = append(heads, Head{Lease: [32]byte{byte(lease + 1)}, Root: s.Root(), Units: s.Units()})
	}
	return d, sets, heads
}

func proveOne(t testing.TB, d disk, s Set, off uint64) []byte {
	t.Helper()
	p, err := Prove(s, off, d.read)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryChallengeIsAnswered(t *testing.T) {
	d, sets, heads := fixture(t)
	for epoch := range 50 {
		for _, ch := range Challenges([32]byte{byte(epoch)}, [32]byte{7}, heads, 8) {
			b := proveOne(t, d, sets[ch.Head], ch.Offset)
			if err := Verify(heads[ch.Head], ch, b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnyChangeFails(t *testing.T) {
	d, sets, heads := fixture(t)
	for _, off := range []uint64{0, 1, 60000, heads[0].Units - 1} {
		ch := Challenge{0, off}
		good := proveOne(t, d, sets[0], off)
		for i := range good {
			for _, mask := range []byte{1, 0x80} {
				b := bytes.Clone(good)
				b[i] ^= mask
				if err := Verify(heads[0], ch, b); !errors.Is(err, ErrInvalid) {
					t.Fatalf("offset %d, byte %d changed: %v", off, i, err)
				}
			}
		}
		for n := range good {
			if err := Verify(heads[0], ch, good[:n]); !errors.Is(err, ErrInvalid) {
				t.Fatalf("cut to %d: %v", n, err)
			}
		}
		if err := Verify(heads[0], ch, append(bytes.Clone(good), 0)); !errors.Is(err, ErrInvalid) {
			t.Fatalf("one byte more: %v", err)
		}
	}
}

// A proof made for one epoch, device or lease does not answer another's challenge,
// except where both select the same chunk of the same set.
func TestProofIsBoundToSeedDeviceAndLease(t *testing.T) {
	d, sets, heads := fixture(t)
	seed, device := [32]byte{1}, [32]byte{2}
	for name, other := range map[string][]Challenge{
		"seed":   Challenges([32]byte{9}, device, heads, 20),
		"device": Challenges(seed, [32]byte{9}, heads, 20),
	} {
		for i, ch := range Challenges(seed, device, heads, 20) {
			b := proveOne(t, d, sets[ch.Head], ch.Offset)
			if same(sets, ch, other[i]) {
				continue
			}
			if err := Verify(heads[other[i].Head], other[i], b); !errors.Is(err, ErrInvalid) {
				t.Errorf("proof for one %s accepted for another: %v", name, err)
			}
		}
	}
	b := proveOne(t, d, sets[0], 500)
	for name, h := range map[string]Head{
		"lease with another set": heads[1],
		"other root":             {Lease: heads[0].Lease, Root: [32]byte{1}, Units: heads[0].Units},
		"fewer bytes":            {Lease: heads[0].Lease, Root: heads[0].Root, Units: heads[0].Units - 1},
		"more bytes":             {Lease: heads[0].Lease, Root: heads[0].Root, Units: heads[0].Units + 1},
		"empty set":              {Lease: heads[0].Lease},
	} {
		if err := Verify(h, Challenge{0, 500}, b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func same(sets []Set, a, b Challenge) bool {
	if a.Head != b.Head {
		return false
	}
	oa, wa, _ := sets[a.Head].Open(a.Offset)
	ob, wb, _ := sets[b.Head].Open(b.Offset)
	return oa.Piece == ob.Piece && wa/piece.ChunkSize == wb/piece.ChunkSize
}

// A replay of last epoch's proofs fails as soon as one challenge selects another
// chunk: a device cannot store only the chunks it was once asked for.
func TestReplayFromEarlierEpochFails(t *testing.T) {
	d, sets, heads := fixture(t)
	old := Challenges([32]byte{1}, [32]byte{2}, heads, 4)
	refused := 0
	for i, ch := range Challenges([32]byte{2}, [32]byte{2}, heads, 4) {
		if Verify(heads[ch.Head], ch, proveOne(t, d, sets[old[i].Head], old[i].Offset)) != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("replayed proofs were all accepted")
	}
}

// The challenge of an epoch is known only with its seed: different seeds select
// independent bytes, and nothing but seed and device enters beside the frozen heads.
func TestChallengesDependOnSeedAndDeviceOnly(t *testing.T) {
	_, _, heads := fixture(t)
	a := Challenges([32]byte{1}, [32]byte{2}, heads, 10)
	renamed := []Head{heads[0], heads[1]}
	renamed[0].Root, renamed[1].Lease = [32]byte{42}, [32]byte{43}
	for i, c := range Challenges([32]byte{1}, [32]byte{2}, renamed, 10) {
		if c != a[i] {
			t.Errorf("challenge %d moved with a root or lease id: grindable", i)
		}
	}
	for i, c := range Challenges([32]byte{1}, [32]byte{2}, heads, 5) {
		if c != a[i] {
			t.Errorf("challenge %d depends on their number", i)
		}
	}
}

func TestChallengeLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		heads []Head
		c     int
		want  int
	}{
		"no heads":         {nil, 4, 0},
		"empty heads":      {[]Head{{}, {}}, 4, 0},
		"none asked":       {[]Head{{Units: 5}}, 0, 0},
		"negative":         {[]Head{{Units: 5}}, -3, 0},
		"one byte":         {[]Head{{}, {Units: 1}, {}}, 4, 4},
		"too many":         {[]Head{{Units: 9}}, 1 << 30, MaxChallenges},
		"beyond 64 bits":   {[]Head{{Units: math.MaxUint64}, {Units: math.MaxUint64}, {Units: 2}}, 9, 9},
		"exactly 64 bits":  {[]Head{{Units: math.MaxUint64}, {Units: 1}}, 9, 9},
		"empty in between": {[]Head{{Units: 3}, {}, {Units: 3}}, 50, 50},
	} {
		got := Challenges([32]byte{1}, [32]byte{2}, tc.heads, tc.c)
		if len(got) != tc.want {
			t.Errorf("%s: %d challenges, want %d", name, len(got), tc.want)
		}
		for _, c := range got {
			if c.Offset >= tc.heads[c.Head].Units {
				t.Errorf("%s: offset %d of %d", name, c.Offset, tc.heads[c.Head].Units)
			}
		}
	}
}

// Challenges fall on leases in proportion to their bytes and evenly within them:
// chi-squared over 16 bins, 15 degrees of freedom, 0.1 % point 37.7.
func TestChallengesAreUniform(t *testing.T) {
	heads := []Head{{Units: 1000}, {Units: 3000}, {Units: 7}, {Units: 4809}}
	var total uint64
	for _, h := range heads {
		total += h.Units
	}
	var bins [16]float64
	const draws = 32000
	for i := range draws / MaxChallenges {
		for _, c := range Challenges([32]byte{byte(i), byte(i >> 8)}, [32]byte{3}, heads, MaxChallenges) {
			at := c.Offset
			for _, h := range heads[:c.Head] {
				at += h.Units
			}
			bins[at*16/total]++
		}
	}
	chi := 0.0
	for _, n := range bins {
		chi += (n - draws/16.) * (n - draws/16.) / (draws / 16.)
	}
	if chi > 37.7 {
		t.Errorf("chi-squared %.1f over 16 bins", chi)
	}
}

// A device that lost a fraction α of its bytes is caught by c challenges with
// probability 1−(1−α)^c: here by really proving from a damaged store.
func TestDetectionRate(t *testing.T) {
	const pieces, trials = 200, 1500
	d := disk{}
	var s Set
	var order []piece.Root
	for i := range pieces {
		p := d.put(t, randomBytes(byte(i), 2000+i%2))
		if _, err := s.Add(p); err != nil {
			continue
		}
		s, _ = s.Add(p)
		order = append(order, p.Root)
	}
	head := Head{Root: s.Root(), Units: s.Units()}
	for _, tc := range []struct{ lost, c int }{{2, 20}, {10, 4}, {10, 20}, {20, 20}, {100, 4}} {
		damaged := disk{}
		for i, r := range order {
			p := d[r]
			if i < tc.lost {
				p[0] = make([]byte, len(p[0]))
			}
			damaged[r] = p
		}
		caught := 0
		for trial := range trials {
			if detected(t, damaged, s, head, byte(trial), byte(trial>>8), tc.c) {
				caught++
			}
		}
		alpha := float64(tc.lost) / float64(len(order))
		want := 1 - math.Pow(1-alpha, float64(tc.c))
		sigma := math.Sqrt(want * (1 - want) / trials)
		if got := float64(caught) / trials; math.Abs(got-want) > 4*sigma+0.002 {
			t.Errorf("lost %.3f, %d challenges: caught %.4f, want %.4f ± %.4f", alpha, tc.c, got, want, 4*sigma)
		}
	}
}

func detected(t *testing.T, d disk, s Set, head Head, a, b byte, c int) bool {
	for _, ch := range Challenges([32]byte{a, b, 1}, [32]byte{5}, []Head{head}, c) {
		if Verify(head, ch, proveOne(t, d, s, ch.Offset)) != nil {
			return true
		}
	}
	return false
}

func TestCodecRoundTrip(t *testing.T) {
	d, sets, heads := fixture(t)
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, 1).Draw(rt, "lease")
		b := proveOne(t, d, sets[i], rapid.Uint64Range(0, heads[i].Units-1).Draw(rt, "off"))
		p, err := DecodeProof(b)
		if err != nil {
			rt.Fatal(err)
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
			rt.Fatalf("encode again: %v", err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	d, sets, heads := fixture(f)
	good := map[string]bool{}
	for _, off := range []uint64{0, 1024, 60000} {
		b := proveOne(f, d, sets[0], off)
		good[string(b)] = true
		f.Add(b, off)
	}
	f.Fuzz(func(t *testing.T, b []byte, off uint64) {
		if p, err := DecodeProof(b); err == nil {
			again, err := p.Encode()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("not canonical: %v", err)
			}
		}
		if Verify(heads[0], Challenge{0, off}, b) == nil && !bytes.Equal(b, proveOne(t, d, sets[0], off)) {
			t.Fatal("a second proof for one challenge")
		}
	})
}

// The vectors pin the set's root, the challenges and the proofs: consensus.
func TestVectors(t *testing.T) {
	var got bytes.Buffer
	d := disk{}
	var s Set
	for _, n := range []int{1, 1024, 1025, 20000, 65552} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i % 251)
		}
		var err error
		if s, err = s.Add(d.put(t, data)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "set of %d: %x %d bytes\n", s.Len(), s.Root(), s.Units())
	}
	heads := []Head{{Root: s.Root(), Units: s.Units()}, {Units: 1000}}
	for i, ch := range Challenges([32]byte{1, 2, 3}, [32]byte{4, 5, 6}, heads, 8) {
		fmt.Fprintf(&got, "challenge %d: head %d offset %d", i, ch.Head, ch.Offset)
		if ch.Head == 0 {
			b := proveOne(t, d, s, ch.Offset)
			fmt.Fprintf(&got, " proof %d bytes %x", len(b), blake3.Sum256(b))
		}
		fmt.Fprintln(&got)
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
		t.Errorf("consensus formats changed:\n%s", got.Bytes())
	}
}

func BenchmarkVerify(b *testing.B) {
	d, sets, heads := fixture(b)
	p := proveOne(b, d, sets[1], 100000)
	for b.Loop() {
		if err := Verify(heads[1], Challenge{1, 100000}, p); err != nil {
			b.Fatal(err)
		}
	}
}
