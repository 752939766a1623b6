package merkle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func key(b ...byte) (k [32]byte) { copy(k[:], b); return k }

func drawSumLeaves(t *rapid.T, least int) []SumLeaf {
	keys := rapid.SliceOfNDistinct(rapid.Uint16(), least, 40, rapid.ID[uint16]).Draw(t, "keys")
	leaves := make([]SumLeaf, len(keys))
	for i, k := range keys {
		binary.BigEndian.PutUint16(leaves[i].Key[30:], k)
		leaves[i].Amount = rapid.Uint64Range(0, 1<<40).Draw(t, "amount")
	}
	return leaves
}

func sumTree(t interface{ Fatal(...any) }, leaves []SumLeaf) *SumTree {
	tree, err := NewSumTree(leaves, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Committed roots: whoever writes the tree in another language starts here.
func TestSumVectors(t *testing.T) {
	for _, c := range []struct {
		name   string
		leaves []SumLeaf
		root   string
		total  uint64
	}{
		{"none", nil, "841e130db74857ea796edf396eb2f816296b9af94c0b5ecda7ffabcb04b24629", 0},
		{"one", []SumLeaf{{key(1), 7}}, "1e847be72c1cbc9856a4357eddcb9ac4705feeaad8692d202305de854500c64c", 7},
		{"three", []SumLeaf{{key(3), 30}, {key(1), 10}, {key(2), 0}}, "715ddfc70101c5da42681a7f4a9a6d5a0ffd02a3c477435def8aa5cffda68cb8", 40},
		{"largest total", []SumLeaf{{key(1), 1}, {key(2), ^uint64(0) - 1}}, "847c849da4a1e4c80063f292db2aaed2ac07da26ee0afaecb7edf84dc0f7c4bf", ^uint64(0)},
	} {
		got := sumTree(t, c.leaves).Root()
		if got.Hash.String() != c.root || got.Total != c.total || got.Size != uint64(len(c.leaves)) {
			t.Errorf("%s: %s total %d, want %s total %d", c.name, got.Hash, got.Total, c.root, c.total)
		}
	}
}

func TestSumTreeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		leaves []SumLeaf
		limit  uint64
		want   error
	}{
		{"duplicate key", []SumLeaf{{key(1), 1}, {key(2), 1}, {key(1), 2}}, 100, ErrDuplicate},
		{"overflow", []SumLeaf{{key(1), ^uint64(0)}, {key(2), 1}}, ^uint64(0), ErrSum},
		{"one above the limit", []SumLeaf{{key(1), 60}, {key(2), 41}}, 100, ErrSum},
		{"at the limit", []SumLeaf{{key(1), 60}, {key(2), 40}}, 100, nil},
	} {
		if _, err := NewSumTree(c.leaves, c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestSumTreeIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawSumLeaves(t, 0)
		shuffled := rapid.Permutation(leaves).Draw(t, "shuffled")
		before := slices.Clone(shuffled)
		if a, b := sumTree(t, leaves).Root(), sumTree(t, shuffled).Root(); a != b {
			t.Fatalf("%v and %v", a, b)
		}
		if !slices.Equal(before, shuffled) {
			t.Fatal("the input was changed")
		}
	})
}

func TestEverySumLeafIsProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := sumTree(t, drawSumLeaves(t, 1))
		var start uint64
		for _, want := range tree.Leaves() {
			leaf, p, err := tree.Prove(want.Key)
			if err != nil || leaf != want {
				t.Fatalf("prove %x: %v, %v", want.Key, leaf, err)
			}
			if p, err = DecodeSumProof(p.Encode()); err != nil {
				t.Fatal(err)
			}
			got, err := p.Verify(tree.Root(), leaf)
			if err != nil || got != start {
				t.Fatalf("verify %x: start %d, want %d (%v)", leaf.Key, got, start, err)
			}
			full, got, err := p.VerifyHash(tree.Root().Hash, leaf)
			if err != nil || full != tree.Root() || got != start {
				t.Fatalf("verify hash %x: %v from %d, want %v (%v)", leaf.Key, full, got, tree.Root(), err)
			}
			start += leaf.Amount
		}
	})
}

func TestEveryOffsetIsProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := sumTree(t, drawSumLeaves(t, 1))
		total := tree.Root().Total
		if _, _, err := tree.ProveOffset(total); !errors.Is(err, ErrNotFound) {
			t.Fatalf("offset past the end: %v", err)
		}
		if total == 0 {
			return
		}
		offset := rapid.Uint64Range(0, total-1).Draw(t, "offset")
		leaf, p, err := tree.ProveOffset(offset)
		if err != nil {
			t.Fatal(err)
		}
		start, err := p.Verify(tree.Root(), leaf)
		if err != nil || offset < start || offset-start >= leaf.Amount {
			t.Fatalf("offset %d: leaf covers [%d, +%d) (%v)", offset, start, leaf.Amount, err)
		}
	})
}

// Nobody proves a leaf that is not in the tree, or another amount, position or
// total for one that is.
func TestSumProofCannotBeBent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := sumTree(t, drawSumLeaves(t, 2))
		i := rapid.IntRange(0, len(tree.Leaves())-1).Draw(t, "leaf")
		leaf, p, err := tree.Prove(tree.Leaves()[i].Key)
		if err != nil {
			t.Fatal(err)
		}
		root := tree.Root()
		p.Path = slices.Clone(p.Path)
		node := &p.Path[rapid.IntRange(0, len(p.Path)-1).Draw(t, "node")]
		shift := rapid.Uint64Min(1).Draw(t, "shift")
		what := rapid.SampledFrom([]string{"amount", "key", "sum", "shifted sum", "hash", "index", "size", "total", "cut"}).Draw(t, "bend")
		switch what {
		case "amount":
			leaf.Amount += shift
		case "key":
			leaf.Key[0] ^= 1
		case "sum":
			node.Sum += shift
		case "shifted sum": // the total stays the same
			leaf.Amount += shift
			node.Sum -= shift
		case "hash":
			node.Hash[5] ^= 1
		case "index":
			p.Index ^= 1
		case "size":
			p.Size++
		case "total":
			root.Total += shift
		case "cut":
			p.Path = p.Path[1:]
		}
		if start, err := p.Verify(root, leaf); err == nil {
			t.Fatalf("bent %s by %d and passed with start %d", what, shift, start)
		}
	})
}

func TestSumProofOverflow(t *testing.T) {
	p := SumProof{Index: 0, Size: 2, Path: []SumNode{{Sum: ^uint64(0)}}}
	if _, err := p.Verify(SumRoot{Size: 2}, SumLeaf{Amount: 1}); !errors.Is(err, ErrSum) {
		t.Errorf("got %v, want ErrSum", err)
	}
}

func TestProveUnknownKey(t *testing.T) {
	tree := sumTree(t, []SumLeaf{{key(1), 1}, {key(3), 1}})
	for _, k := range [][32]byte{key(0), key(2), key(4)} {
		if _, _, err := tree.Prove(k); !errors.Is(err, ErrNotFound) {
			t.Errorf("key %x: %v", k[:1], err)
		}
	}
}

func FuzzDecodeProof(f *testing.F) {
	for i := range ctLeaves {
		p, _ := Prove(ctLeaves, uint64(i))
		f.Add(p.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("%x reads as %x", b, p.Encode())
		}
		_ = p.Verify(Hash{}, b)
	})
}

func FuzzDecodeSumProof(f *testing.F) {
	tree := sumTree(f, []SumLeaf{{key(1), 1}, {key(2), 20}, {key(3), 300}})
	for _, leaf := range tree.Leaves() {
		_, p, _ := tree.Prove(leaf.Key)
		f.Add(p.Encode(), leaf.Amount)
	}
	f.Fuzz(func(t *testing.T, b []byte, amount uint64) {
		p, err := DecodeSumProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("%x reads as %x", b, p.Encode())
		}
		root := tree.Root()
		for _, leaf := range tree.Leaves() {
			leaf.Amount = amount
			if _, err := p.Verify(root, leaf); err == nil && !slices.Contains(tree.Leaves(), leaf) {
				t.Fatalf("%x proves %d for %x", b, amount, leaf.Key)
			}
		}
	})
}

func FuzzDecodeLog(f *testing.F) {
	var log Log
	for _, leaf := range ctLeaves {
		f.Add(log.Encode())
		log.Append(leaf)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeLog(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Encode(), b) {
			t.Fatalf("%x reads as %x", b, l.Encode())
		}
		l.Append(b)
		_ = l.Root()
	})
}

func BenchmarkLogAppend(b *testing.B) {
	var log Log
	leaf := make([]byte, 64)
	for b.Loop() {
		log.Append(leaf)
	}
}

func BenchmarkSumTree100k(b *testing.B) {
	leaves := make([]SumLeaf, 100_000)
	for i := range leaves {
		binary.BigEndian.PutUint64(leaves[i].Key[:], uint64(i)*0x9e3779b97f4a7c15)
		leaves[i].Amount = uint64(i)
	}
	for b.Loop() {
		sumTree(b, leaves)
	}
}

func BenchmarkSumVerify20Levels(b *testing.B) {
	leaves := make([]SumLeaf, 1<<20)
	for i := range leaves {
		binary.BigEndian.PutUint64(leaves[i].Key[:], uint64(i))
		leaves[i].Amount = uint64(i)
	}
	tree := sumTree(b, leaves)
	leaf, p, err := tree.Prove(leaves[777_777].Key)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Verify(tree.Root(), leaf); err != nil {
			b.Fatal(err)
		}
	}
}
