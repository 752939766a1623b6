package beacon

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
)

// Sizes in bytes of the wire objects, all fixed.
const (
	PublicKeySize = bls.SizeOfG2AffineCompressed // 96
	SignatureSize = bls.SizeOfG1AffineCompressed // 48
	MinSeedSize   = 32                           // least key material for NewKey
	MaxSeedSize   = 1024                         // most key material for NewKey
)

// ErrInvalid is wrapped by every refusal of a key, a signature or a proof.
var ErrInvalid = errors.New("invalid BLS object")

// PublicKey is a validator's beacon key: a compressed point of G2.
type PublicKey [PublicKeySize]byte

// Signature is a reveal or a proof of possession: a compressed point of G1.
type Signature [SignatureSize]byte

// Key is a secret beacon key. It has no textual form, so that it cannot end in
// a log by accident.
type Key struct {
	scalar big.Int
	public PublicKey
}

// String hides the secret.
func (k *Key) String() string { return "beacon key " + fmt.Sprintf("%x", k.public[:8]) }

// GoString hides the secret.
func (k *Key) GoString() string { return k.String() }

// Public returns the key that others verify with.
func (k *Key) Public() PublicKey { return k.public }

// NewKey derives a key from secret bytes with the KeyGen procedure of
// draft-irtf-cfrg-bls-signature (the one of EIP-2333 for a master key). The
// seed holds MinSeedSize to MaxSeedSize bytes of secret entropy.
func NewKey(seed []byte) (*Key, error) {
	if len(seed) < MinSeedSize || len(seed) > MaxSeedSize {
		return nil, fmt.Errorf("derive beacon key from %d bytes: want %d to %d", len(seed), MinSeedSize, MaxSeedSize)
	}
	k := new(Key)
	salt := sha256.Sum256([]byte("BLS-SIG-KEYGEN-SALT-"))
	ikm := append(append(make([]byte, 0, len(seed)+1), seed...), 0)
	for k.scalar.Sign() == 0 {
		// 48 bytes reduced modulo the 255-bit order leave a negligible bias.
		okm, err := hkdf.Key(sha256.New, ikm, salt[:], "\x00\x30", 48)
		if err != nil {
			return nil, fmt.Errorf("derive beacon key: %w", err)
		}
		k.scalar.Mod(new(big.Int).SetBytes(okm), fr.Modulus())
		salt = sha256.Sum256(salt[:])
	}
	var p bls.G2Affine
	p.ScalarMultiplicationBase(&k.scalar)
	k.public = p.Bytes()
	return k, nil
}

// ParsePublicKey decodes a compressed G2 point. It refuses any length but
// PublicKeySize, points off the curve or outside the prime-order subgroup, the
// point at infinity, and every encoding that is not canonical.
func ParsePublicKey(b []byte) (PublicKey, error) {
	p, err := decodeG2(b)
	if err != nil {
		return PublicKey{}, err
	}
	return p.Bytes(), nil
}

// ParseSignature decodes a compressed G1 point under the same rules.
func ParseSignature(b []byte) (Signature, error) {
	p, err := decodeG1(b)
	if err != nil {
		return Signature{}, err
	}
	return p.Bytes(), nil
}

func decodeG2(b []byte) (bls.G2Affine, error) {
	var p bls.G2Affine
	if len(b) != PublicKeySize {
		return p, fmt.Errorf("decode public key of %d bytes, want %d: %w", len(b), PublicKeySize, ErrInvalid)
	}
	if b[0]&0x80 == 0 {
		return p, fmt.Errorf("decode public key: not the compressed form: %w", ErrInvalid)
	}
	if _, err := p.SetBytes(b); err != nil { // checks the curve and the subgroup
		return p, fmt.Errorf("decode public key: %w: %w", err, ErrInvalid)
	}
	if p.IsInfinity() {
		return p, fmt.Errorf("decode public key: point at infinity: %w", ErrInvalid)
	}
	if p.Bytes() != [PublicKeySize]byte(b) {
		return p, fmt.Errorf("decode public key: encoding is not canonical: %w", ErrInvalid)
	}
	return p, nil
}

func decodeG1(b []byte) (bls.G1Affine, error) {
	var p bls.G1Affine
	if len(b) != SignatureSize {
		return p, fmt.Errorf("decode signature of %d bytes, want %d: %w", len(b), SignatureSize, ErrInvalid)
	}
	if b[0]&0x80 == 0 {
		return p, fmt.Errorf("decode signature: not the compressed form: %w", ErrInvalid)
	}
	if _, err := p.SetBytes(b); err != nil {
		return p, fmt.Errorf("decode signature: %w: %w", err, ErrInvalid)
	}
	if p.IsInfinity() {
		return p, fmt.Errorf("decode signature: point at infinity: %w", ErrInvalid)
	}
	if p.Bytes() != [SignatureSize]byte(b) {
		return p, fmt.Errorf("decode signature: encoding is not canonical: %w", ErrInvalid)
	}
	return p, nil
}
