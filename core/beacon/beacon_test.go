package beacon

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testKey(t testing.TB, n byte) *Key {
	t.Helper()
	k, err := NewKey([]byte(strings.Repeat(string(rune('a'+n)), 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The master keys of EIP-2333's test cases 0 and 1: the same derivation.
func TestNewKeyMatchesEIP2333(t *testing.T) {
	for _, c := range []struct{ name, seed, scalar string }{
		{"case 0", "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04",
			"6083874454709270928345386274498605044986640685124978867557563392430687146096"},
		{"case 1", "3141592653589793238462643383279502884197169399375105820974944592",
			"29757020647961307431480504535336562678282505419141012933316116377660817309383"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := NewKey(unhex(t, c.seed))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := new(big.Int).SetString(c.scalar, 10)
			if k.scalar.Cmp(want) != 0 {
				t.Fatalf("scalar %v, want %v", &k.scalar, want)
			}
		})
	}
}

// Round 1000 of the public drand network quicknet, which signs on G1 with the
// same curve, encodings and hashing (its suite name ends in NUL).
func TestVerifyAcceptsDrandQuicknet(t *testing.T) {
	public := unhex(t, "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a")
	signature := unhex(t, "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39")
	round := sha256.Sum256(binary.BigEndian.AppendUint64(nil, 1000))
	const suite = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
	if err := verify(public, signature, round[:], suite); err != nil {
		t.Fatal(err)
	}
	round[0] ^= 1
	if err := verify(public, signature, round[:], suite); !errors.Is(err, ErrInvalid) {
		t.Fatalf("other message accepted: %v", err)
	}
}

func TestVector(t *testing.T) {
	k := testKey(t, 0)
	pub, sig := k.Public(), k.Sign("grange-local-1", 7)
	pop, err := k.Prove("grange-local-1", []byte("validator"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := Next(Genesis("grange-local-1"), 1, []Signature{sig, pop})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, got, want string }{
		{"public key", hex.EncodeToString(pub[:]), vectorPublic},
		{"reveal", hex.EncodeToString(sig[:]), vectorReveal},
		{"possession", hex.EncodeToString(pop[:]), vectorPossession},
		{"genesis seed", Genesis("grange-local-1").String(), vectorGenesis},
		{"next seed", next.String(), vectorNext},
		{"neutral seed", Neutral(next, 2).String(), vectorNeutral},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestRevealBindsChainEpochAndKey(t *testing.T) {
	a, b := testKey(t, 0), testKey(t, 1)
	pa, pb, sig := a.Public(), b.Public(), a.Sign("chain", 5)
	for _, c := range []struct {
		name   string
		public PublicKey
		chain  string
		epoch  uint64
		ok     bool
	}{
		{"same", pa, "chain", 5, true},
		{"other chain", pa, "chain2", 5, false},
		{"other epoch", pa, "chain", 6, false},
		{"other key", pb, "chain", 5, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Verify(c.public[:], sig[:], c.chain, c.epoch)
			if c.ok != (err == nil) || (err != nil && !errors.Is(err, ErrInvalid)) {
				t.Fatalf("ok=%v, got %v", c.ok, err)
			}
		})
	}
}

func TestPossessionBindsOwnerChainAndUse(t *testing.T) {
	k := testKey(t, 0)
	pub := k.Public()
	pop, err := k.Prove("chain", []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	reveal := k.Sign("chain", 1)
	for _, c := range []struct {
		name, chain, owner string
		proof              Signature
		ok                 bool
	}{
		{"same", "chain", "alice", pop, true},
		{"replayed by another", "chain", "mallory", pop, false},
		{"other chain", "chain2", "alice", pop, false},
		{"a reveal is no proof", "chain", "alice", reveal, false},
		{"no owner", "chain", "", pop, false},
		{"owner too long", "chain", strings.Repeat("a", MaxOwnerSize+1), pop, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := VerifyPossession(pub[:], c.proof[:], c.chain, []byte(c.owner))
			if c.ok != (err == nil) || (err != nil && !errors.Is(err, ErrInvalid)) {
				t.Fatalf("ok=%v, got %v", c.ok, err)
			}
		})
	}
	if err := Verify(pub[:], pop[:], "chain", 1); err == nil {
		t.Fatal("a proof of possession passed as a reveal")
	}
	if _, err := k.Prove("chain", nil); err == nil {
		t.Fatal("proved for nobody")
	}
}

func TestDecodersRefuse(t *testing.T) {
	k := testKey(t, 0)
	pub, sig := k.Public(), k.Sign("c", 1)
	g2Infinity := append([]byte{0xc0}, make([]byte, PublicKeySize-1)...)
	g1Infinity := append([]byte{0xc0}, make([]byte, SignatureSize-1)...)
	flip := func(b []byte, i int, x byte) []byte { c := append([]byte(nil), b...); c[i] ^= x; return c }
	full := func() []byte {
		var p bls.G1Affine
		if _, err := p.SetBytes(sig[:]); err != nil {
			t.Fatal(err)
		}
		r := p.RawBytes()
		return r[:]
	}
	for _, c := range []struct {
		name   string
		public []byte
		sig    []byte
	}{
		{"empty", nil, nil},
		{"short", pub[:95], sig[:47]},
		{"long", append(pub[:], 0), append(sig[:], 0)},
		{"infinity", g2Infinity, g1Infinity},
		{"infinity with dirt", flip(g2Infinity, 50, 1), flip(g1Infinity, 40, 1)},
		{"uncompressed flag", flip(pub[:], 0, 0x80), flip(sig[:], 0, 0x80)},
		{"uncompressed form", pub[:48], full()},
		{"not below the modulus", append([]byte{0x9f}, make([]byte, 95)...), append([]byte{0x9f}, bytesOf(0xff, 47)...)},
		{"zero", make([]byte, 96), make([]byte, 48)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParsePublicKey(c.public); !errors.Is(err, ErrInvalid) {
				t.Errorf("public key: %v", err)
			}
			if _, err := ParseSignature(c.sig); !errors.Is(err, ErrInvalid) {
				t.Errorf("signature: %v", err)
			}
		})
	}
}

func bytesOf(b byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// A curve point outside the prime-order subgroup must not pass: x = 4 is the
// least abscissa on E(Fp) found that is not in G1.
func TestDecodersCheckTheSubgroup(t *testing.T) {
	refused := 0
	for x := byte(0); x < 64; x++ {
		b := make([]byte, SignatureSize)
		b[0], b[SignatureSize-1] = 0x80, x
		if _, err := ParseSignature(b); err != nil && strings.Contains(err.Error(), "subgroup") {
			refused++
		}
	}
	if refused < 10 {
		t.Fatalf("%d small abscissas were refused for the subgroup, want about half of 64", refused)
	}
}

func TestNewKeyRefusesBadSeeds(t *testing.T) {
	for _, n := range []int{0, MinSeedSize - 1, MaxSeedSize + 1} {
		if _, err := NewKey(make([]byte, n)); err == nil {
			t.Errorf("%d bytes accepted", n)
		}
	}
}

func TestKeyDoesNotPrintItsSecret(t *testing.T) {
	k := testKey(t, 0)
	if s := k.String() + k.GoString(); strings.Contains(s, k.scalar.String()) || strings.Contains(s, k.scalar.Text(16)) {
		t.Fatal("secret printed")
	}
}

func TestNextIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		sigs := make([]Signature, n)
		for i := range sigs {
			sigs[i] = Signature{byte(i), rapid.Byte().Draw(t, "b")}
		}
		prev := Seed{rapid.Byte().Draw(t, "prev")}
		epoch := rapid.Uint64().Draw(t, "epoch")
		want, err := Next(prev, epoch, sigs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Next(prev, epoch, rapid.Permutation(sigs).Draw(t, "order"))
		if err != nil || got != want {
			t.Fatalf("shuffled: %v, want %v (%v)", got, want, err)
		}
		if less, err := Next(prev, epoch, sigs[:n-1]); err == nil && less == want {
			t.Fatal("withholding one left the seed as it was")
		}
		if other, _ := Next(prev, epoch+1, sigs); other == want {
			t.Fatal("epoch does not enter the seed")
		}
		if want == Neutral(prev, epoch) {
			t.Fatal("neutral and decided seeds collide")
		}
	})
}

func TestNextRefuses(t *testing.T) {
	if _, err := Next(Seed{}, 1, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
	if _, err := Next(Seed{}, 1, []Signature{{1}, {2}, {1}}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("duplicate: %v", err)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	k := testKey(f, 0)
	pub := k.Public()
	f.Add(pub[:])
	f.Add(append([]byte{0xc0}, make([]byte, PublicKeySize-1)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePublicKey(b)
		if err == nil && hex.EncodeToString(p[:]) != hex.EncodeToString(b) {
			t.Fatalf("%x decoded to %x", b, p)
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	s := testKey(f, 0).Sign("c", 1)
	f.Add(s[:])
	f.Add(append([]byte{0xc0}, make([]byte, SignatureSize-1)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseSignature(b)
		if err == nil && hex.EncodeToString(p[:]) != hex.EncodeToString(b) {
			t.Fatalf("%x decoded to %x", b, p)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := testKey(b, 0)
	pub, sig := k.Public(), k.Sign("c", 1)
	for b.Loop() {
		if err := Verify(pub[:], sig[:], "c", 1); err != nil {
			b.Fatal(err)
		}
	}
}
