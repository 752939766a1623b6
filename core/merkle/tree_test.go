package merkle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// The eight leaves and the roots over the first n of them that certificate
// transparency has used as its reference since RFC 6962.
var ctLeaves = [][]byte{
	unhex(""), unhex("00"), unhex("10"), unhex("2021"), unhex("3031"), unhex("40414243"),
	unhex("5051525354555657"), unhex("606162636465666768696a6b6c6d6e6f"),
}

var ctRoots = []string{
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRootsOfCertificateTransparency(t *testing.T) {
	var log Log
	for n, want := range ctRoots {
		if got := Root(ctLeaves[:n]).String(); got != want {
			t.Errorf("root of %d leaves: %s, want %s", n, got, want)
		}
		if got := log.Root().String(); got != want {
			t.Errorf("log of %d leaves: %s, want %s", n, got, want)
		}
		if n < len(ctLeaves) {
			log.Append(ctLeaves[n])
		}
	}
}

func TestInclusionVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/inclusion.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Root, Leaf string
		Index, Size      uint64
		Path             []string
		Valid            bool
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			if got := verifyVector(v.Root, v.Leaf, v.Path, v.Index, v.Size); (got == nil) != v.Valid {
				t.Errorf("got %v, want valid %t", got, v.Valid)
			}
		})
	}
}

func verifyVector(root, leaf string, path []string, index, size uint64) error {
	p := Proof{Index: index, Size: size}
	for _, s := range append([]string{root, leaf}, path...) {
		b := unhex(s)
		if len(b) != HashSize {
			return errors.New("not a hash")
		}
		p.Path = append(p.Path, Hash(b))
	}
	r, l := p.Path[0], p.Path[1]
	p.Path = p.Path[2:]
	return p.verify(r, l)
}

// referenceRoot is the recursive definition of RFC 6962 §2.1, word for word.
func referenceRoot(leaves [][]byte) Hash {
	switch n := len(leaves); n {
	case 0:
		return EmptyRoot()
	case 1:
		return LeafHash(leaves[0])
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		return nodeHash(referenceRoot(leaves[:k]), referenceRoot(leaves[k:]))
	}
}

func drawLeaves(t *rapid.T, least int) [][]byte {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), least, 70).Draw(t, "leaves")
}

func TestTreeIsTheOneOfTheRFC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 0)
		if got, want := Root(leaves), referenceRoot(leaves); got != want {
			t.Fatalf("%d leaves: %s, want %s", len(leaves), got, want)
		}
	})
}

func TestEveryLeafIsProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 1)
		root := Root(leaves)
		for i := range leaves {
			p, err := Prove(leaves, uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := DecodeProof(p.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if err := decoded.Verify(root, leaves[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNoOtherLeafIsProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 1)
		root := Root(leaves)
		i := rapid.IntRange(0, len(leaves)-1).Draw(t, "index")
		p, err := Prove(leaves, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		other := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "other leaf")
		if !bytes.Equal(other, leaves[i]) && p.Verify(root, other) == nil {
			t.Fatalf("leaf %x passes for %x", other, leaves[i])
		}
		if len(p.Path) == 0 {
			return
		}
		bent := Proof{p.Index, p.Size, append([]Hash(nil), p.Path...)}
		at := rapid.IntRange(0, len(p.Path)-1).Draw(t, "node")
		bent.Path[at][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		if err := bent.Verify(root, leaves[i]); !errors.Is(err, ErrProof) {
			t.Fatalf("bent path: %v", err)
		}
		for _, short := range []Proof{{p.Index, p.Size, p.Path[1:]}, {p.Index, p.Size, append(bent.Path, Hash{})}} {
			if short.Verify(root, leaves[i]) == nil {
				t.Fatal("path of a wrong length passes")
			}
		}
	})
}

// An inner node offered as a leaf is the classic second preimage.
func TestInnerNodeIsNoLeaf(t *testing.T) {
	left, right := LeafHash(ctLeaves[0]), LeafHash(ctLeaves[1])
	node := append(left[:], right[:]...)
	p := Proof{Index: 0, Size: 1}
	if err := p.Verify(Root(ctLeaves[:2]), node); !errors.Is(err, ErrProof) {
		t.Errorf("got %v, want ErrProof", err)
	}
}

func TestLogState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 0)
		var log Log
		for i, leaf := range leaves {
			restored, err := DecodeLog(log.Encode())
			if err != nil {
				t.Fatal(err)
			}
			copied := log.Clone()
			copied.Append([]byte("not in the log"))
			log = restored
			log.Append(leaf)
			if got, want := log.Root(), referenceRoot(leaves[:i+1]); got != want || log.Size() != uint64(i+1) {
				t.Fatalf("after %d leaves: %s size %d, want %s", i+1, got, log.Size(), want)
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		b      []byte
		decode func([]byte) error
	}{
		{"proof, empty", nil, decodeProof},
		{"proof, size 0", make([]byte, 16), decodeProof},
		{"proof, half a hash", append(Proof{Index: 0, Size: 2}.Encode(), make([]byte, 16)...), decodeProof},
		{"proof, trailing hash", Proof{0, 2, make([]Hash, 2)}.Encode(), decodeProof},
		{"proof, huge size", Proof{0, 1 << 63, nil}.Encode(), decodeProof},
		{"log, empty", nil, decodeLog},
		{"log, missing frontier", []byte{0, 0, 0, 0, 0, 0, 0, 1}, decodeLog},
		{"log, huge size", append([]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 32)...), decodeLog},
		{"sum proof, empty", nil, decodeSum},
		{"sum proof, node without sum", append(SumProof{Index: 0, Size: 2}.Encode(), make([]byte, 32)...), decodeSum},
		{"sum proof, index outside", SumProof{Index: 2, Size: 2}.Encode(), decodeSum},
	} {
		if err := c.decode(c.b); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func decodeProof(b []byte) error { _, err := DecodeProof(b); return err }
func decodeLog(b []byte) error   { _, err := DecodeLog(b); return err }
func decodeSum(b []byte) error   { _, err := DecodeSumProof(b); return err }
