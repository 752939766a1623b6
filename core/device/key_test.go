package device

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"pgregory.net/rapid"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signer makes signatures of one key type.
type signer struct {
	public []byte
	sign   func(message []byte) []byte
}

func newSigner(t testing.TB, kind KeyType) signer {
	switch kind {
	case Ed25519:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return signer{public, func(m []byte) []byte { return ed25519.Sign(private, m) }}
	case P256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return signer{elliptic.MarshalCompressed(elliptic.P256(), private.X, private.Y), func(m []byte) []byte {
			digest := sha256.Sum256(m)
			r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			if s.Cmp(p256Half) > 0 {
				s.Sub(elliptic.P256().Params().N, s)
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}}
	default:
		private, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		return signer{private.PubKey().SerializeCompressed(), func(m []byte) []byte {
			digest := sha256.Sum256(m)
			signature := secpecdsa.Sign(private, digest[:])
			r, s := signature.R(), signature.S()
			rb, sb := r.Bytes(), s.Bytes()
			return append(rb[:], sb[:]...)
		}}
	}
}

var kinds = []KeyType{Ed25519, P256, Secp256k1}

// Vectors from the did:key method specification (w3c-ccg.github.io/did-key-spec).
func TestDIDVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		kind KeyType
		did  string
	}{
		{"ed25519", Ed25519, "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"},
		{"p256", P256, "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"},
		{"secp256k1", Secp256k1, "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := decodeBase58(t, strings.TrimPrefix(c.did, "did:key:z"))
			k, err := NewPublicKey(c.kind, raw[2:])
			if err != nil {
				t.Fatal(err)
			}
			if got := k.DID(); got != c.did {
				t.Fatalf("did %s, want %s", got, c.did)
			}
		})
	}
}

// decodeBase58 is written out so that the vectors do not depend on the encoder
// under test.
func decodeBase58(t *testing.T, s string) []byte {
	t.Helper()
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	n := new(big.Int)
	for _, r := range s {
		i := strings.IndexRune(alphabet, r)
		if i < 0 {
			t.Fatalf("bad digit %q", r)
		}
		n.Add(n.Mul(n, big.NewInt(58)), big.NewInt(int64(i)))
	}
	return n.Bytes()
}

// A committed vector: RFC 8032 test 1's key.
func TestIDVector(t *testing.T) {
	k, err := NewPublicKey(Ed25519, unhex(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
	if err != nil {
		t.Fatal(err)
	}
	want := sha256.Sum256(append([]byte{1}, k.Bytes()...))
	if k.ID() != want {
		t.Fatalf("id %s, want %x", k.ID(), want)
	}
	if back, err := ParseID(k.ID().String()); err != nil || back != k.ID() {
		t.Fatalf("parsed %s: %v", back, err)
	}
}

func TestRegisterBytesVector(t *testing.T) {
	b, err := RegisterBytes("grange-local-1", []byte{0xaa, 0xbb}, 0x0102030405060708)
	if err != nil {
		t.Fatal(err)
	}
	chain := sha256.Sum256([]byte("grange-local-1"))
	expected := "6772616e67652f72656769737465722f7631000000000000" + hex.EncodeToString(chain[:]) + "02aabb" + "0102030405060708"
	if got := hex.EncodeToString(b); got != expected {
		t.Fatalf("sign bytes\n%s, want\n%s", got, expected)
	}
}

func TestParseIDRefuses(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for _, c := range []struct{ name, in string }{
		{"empty", ""},
		{"short", good[:62]},
		{"long", good + "00"},
		{"upper case", strings.ToUpper(good)},
		{"not hex", "zz" + good[2:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if id, err := ParseID(c.in); err == nil {
				t.Fatalf("accepted as %s", id)
			}
		})
	}
}

func TestNewPublicKeyRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		kind KeyType
		key  string
	}{
		{"unknown type", 0, strings.Repeat("00", 32)},
		{"type beyond the last", 4, strings.Repeat("00", 32)},
		{"ed25519 too short", Ed25519, strings.Repeat("11", 31)},
		{"ed25519 identity", Ed25519, "01" + strings.Repeat("00", 31)},
		{"ed25519 order 2", Ed25519, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"ed25519 not canonical", Ed25519, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"p256 not on curve", P256, "02" + strings.Repeat("ff", 32)},
		{"p256 infinity", P256, strings.Repeat("00", 33)},
		{"secp256k1 bad prefix", Secp256k1, "05" + strings.Repeat("11", 32)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := NewPublicKey(c.kind, unhex(t, c.key)); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

func TestRegisterAndTransfer(t *testing.T) {
	owner, other := []byte("owner account 20 b.."), []byte("other account 20 b..")
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			s := newSigner(t, kind)
			k, err := NewPublicKey(kind, s.public)
			if err != nil {
				t.Fatal(err)
			}
			m, err := RegisterBytes("c", owner, 7)
			if err != nil {
				t.Fatal(err)
			}
			signature := s.sign(m)
			if err := VerifyRegister(k, "c", owner, 7, signature); err != nil {
				t.Fatal(err)
			}
			for name, err := range map[string]error{
				"other chain":      VerifyRegister(k, "d", owner, 7, signature),
				"other owner":      VerifyRegister(k, "c", other, 7, signature),
				"other nonce":      VerifyRegister(k, "c", owner, 8, signature),
				"cut signature":    VerifyRegister(k, "c", owner, 7, signature[:63]),
				"used as transfer": VerifyTransfer(k, "c", owner, 0, 7, signature),
			} {
				if !errors.Is(err, ErrSignature) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := VerifyRegister(k, "c", owner, 0, signature); !errors.Is(err, ErrNonce) {
				t.Errorf("nonce 0: %v", err)
			}
			m, err = TransferBytes("c", k.ID(), other, 8)
			if err != nil {
				t.Fatal(err)
			}
			signature = s.sign(m)
			if err := VerifyTransfer(k, "c", other, 7, 8, signature); err != nil {
				t.Fatal(err)
			}
			if err := VerifyTransfer(k, "c", other, 8, 8, signature); !errors.Is(err, ErrNonce) {
				t.Errorf("replay: %v", err)
			}
		})
	}
}

func TestHighSIsRefused(t *testing.T) {
	for _, c := range []struct {
		kind  KeyType
		order *big.Int
	}{{P256, elliptic.P256().Params().N}, {Secp256k1, secp256k1.Params().N}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			s := newSigner(t, c.kind)
			k, _ := NewPublicKey(c.kind, s.public)
			signature := s.sign([]byte("m"))
			if !k.Verify([]byte("m"), signature) {
				t.Fatal("good signature refused")
			}
			high := new(big.Int).Sub(c.order, new(big.Int).SetBytes(signature[32:]))
			high.FillBytes(signature[32:])
			if k.Verify([]byte("m"), signature) {
				t.Fatal("the other form of the signature is accepted")
			}
		})
	}
}

func TestSignBytesAreInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owner := rapid.SliceOfN(rapid.Byte(), 1, MaxAddressSize)
		a, b := owner.Draw(t, "a"), owner.Draw(t, "b")
		n, m := rapid.Uint64().Draw(t, "n"), rapid.Uint64().Draw(t, "m")
		x, err := RegisterBytes("c", a, n)
		if err != nil {
			t.Fatal(err)
		}
		y, err := RegisterBytes("c", b, m)
		if err != nil {
			t.Fatal(err)
		}
		if (string(x) == string(y)) != (string(a) == string(b) && n == m) {
			t.Fatalf("%x and %x", x, y)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q read as %s", s, id)
		}
	})
}

func FuzzNewPublicKey(f *testing.F) {
	for _, kind := range kinds {
		f.Add(byte(kind), newSigner(f, kind).public)
	}
	f.Fuzz(func(t *testing.T, kind byte, raw []byte) {
		k, err := NewPublicKey(KeyType(kind), raw)
		if err != nil {
			return
		}
		k.Verify(raw, make([]byte, SignatureSize)) // must not panic
		if !strings.HasPrefix(k.DID(), "did:key:z") {
			t.Fatal(k.DID())
		}
	})
}
