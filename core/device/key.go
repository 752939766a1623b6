package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/mr-tron/base58"
)

// KeyType is the curve of a device key. Its number is hashed into the id.
type KeyType uint8

// The key types a device may have.
const (
	Ed25519   KeyType = 1
	P256      KeyType = 2
	Secp256k1 KeyType = 3
)

// Sizes in bytes of keys and signatures on the wire.
const (
	Ed25519KeySize = 32
	// CompressedKeySize is SEC 1 compressed, for both P256 and Secp256k1.
	CompressedKeySize = 33
	SignatureSize     = 64
)

// String is the type's name.
func (t KeyType) String() string {
	switch t {
	case Ed25519:
		return "ed25519"
	case P256:
		return "p256"
	case Secp256k1:
		return "secp256k1"
	}
	return fmt.Sprintf("key type %d", uint8(t))
}

// multicodec is the unsigned varint in front of the key in a did:key, from the
// multicodec table.
func (t KeyType) multicodec() []byte {
	switch t {
	case Ed25519:
		return []byte{0xed, 0x01}
	case P256:
		return []byte{0x80, 0x24}
	case Secp256k1:
		return []byte{0xe7, 0x01}
	}
	return nil
}

// ID is a device's identity: SHA-256 of the key type byte and the public key.
type ID [sha256.Size]byte

// String is 64 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String writes; it accepts lower case only, so that an id
// has one spelling.
func ParseID(s string) (id ID, err error) {
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("read device id %.80q: %d characters, want %d hex digits", s, len(s), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("read device id %q: %w", s, err)
	}
	if id.String() != s {
		return ID{}, fmt.Errorf("read device id %q: use lower case", s)
	}
	return id, nil
}

// PublicKey is a device's key. Make it with NewPublicKey; the zero value is
// invalid.
type PublicKey struct {
	kind KeyType
	raw  string // immutable and comparable
}

// NewPublicKey checks that raw is a usable key of the type: 32 bytes of a point
// of large order for Ed25519, a 33-byte compressed point on the curve for the
// others.
func NewPublicKey(t KeyType, raw []byte) (PublicKey, error) {
	if err := checkKey(t, raw); err != nil {
		return PublicKey{}, fmt.Errorf("read %s device key: %w", t, err)
	}
	return PublicKey{kind: t, raw: string(raw)}, nil
}

// StoredKey is a key that NewPublicKey accepted before, without checking it
// again.
func StoredKey(t KeyType, raw []byte) PublicKey { return PublicKey{kind: t, raw: string(raw)} }

// Type is the key's curve.
func (k PublicKey) Type() KeyType { return k.kind }

// Bytes is the key's encoding, a copy.
func (k PublicKey) Bytes() []byte { return []byte(k.raw) }

// ID is the device's identity.
func (k PublicKey) ID() ID {
	return sha256.Sum256(append([]byte{byte(k.kind)}, k.raw...))
}

// DID is the W3C did:key identifier: multibase base58btc of multicodec and key
// (W3C CCG did:key method).
func (k PublicKey) DID() string {
	return "did:key:z" + base58.Encode(append(k.kind.multicodec(), k.raw...))
}

// Verify reports whether signature is the key's on message: RFC 8032 for
// Ed25519; for the others 64 bytes r‖s over SHA-256 of the message with s in
// the lower half of the order, so that nobody can make a second signature out
// of the first.
func (k PublicKey) Verify(message, signature []byte) bool {
	if len(signature) != SignatureSize {
		return false
	}
	switch k.kind {
	case Ed25519:
		return ed25519.Verify(ed25519.PublicKey(k.raw), message, signature)
	case P256:
		return verifyP256([]byte(k.raw), message, signature)
	case Secp256k1:
		return verifySecp256k1([]byte(k.raw), message, signature)
	}
	return false
}

func checkKey(t KeyType, raw []byte) error {
	want := CompressedKeySize
	if t == Ed25519 {
		want = Ed25519KeySize
	}
	if t.multicodec() == nil {
		return fmt.Errorf("unknown type: use 1 (ed25519), 2 (p256) or 3 (secp256k1)")
	}
	if len(raw) != want {
		return fmt.Errorf("%d bytes, want %d", len(raw), want)
	}
	switch t {
	case Ed25519:
		return checkEd25519(raw)
	case P256:
		if x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), raw); x == nil {
			return fmt.Errorf("%x is not a point of the curve", raw)
		}
	case Secp256k1:
		if _, err := secp256k1.ParsePubKey(raw); err != nil {
			return fmt.Errorf("%x is not a point of the curve", raw)
		}
	}
	return nil
}

// checkEd25519 refuses keys with which a signature says nothing: encodings that
// are not the canonical one of a point, and points of small order, for which
// one signature fits many messages.
func checkEd25519(raw []byte) error {
	p, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil || !bytes.Equal(p.Bytes(), raw) {
		return fmt.Errorf("%x is not a canonical point of the curve", raw)
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("%x is a point of small order", raw)
	}
	return nil
}

func verifyP256(key, message, signature []byte) bool {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), key)
	if x == nil {
		return false
	}
	point := make([]byte, 65)
	point[0] = 4 // SEC 1 uncompressed
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if s.Cmp(p256Half) > 0 {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.Verify(public, digest[:], r, s)
}

// p256Half is half the order of the curve's base point.
var p256Half = new(big.Int).Rsh(elliptic.P256().Params().N, 1)

func verifySecp256k1(key, message, signature []byte) bool {
	public, err := secp256k1.ParsePubKey(key)
	if err != nil {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) || s.IsOverHalfOrder() {
		return false
	}
	digest := sha256.Sum256(message)
	return secpecdsa.NewSignature(&r, &s).Verify(digest[:], public)
}
