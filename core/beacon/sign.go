package beacon

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
)

// Domain separation tags of the two uses of a key (RFC 9380 §3.1).
const (
	suiteSign  = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
	suiteProve = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
)

// MaxOwnerSize is the longest owner name in bytes that a proof of possession binds.
const MaxOwnerSize = 255

const domainSize = 24

// revealMessage is domain ‖ sha256(chain id) ‖ epoch: 64 bytes.
func revealMessage(chainID string, epoch uint64) []byte {
	m := make([]byte, 0, domainSize+sha256.Size+8)
	m = appendDomain(m, "grange/beacon/v1")
	chain := sha256.Sum256([]byte(chainID))
	m = append(m, chain[:]...)
	return binary.BigEndian.AppendUint64(m, epoch)
}

func appendDomain(m []byte, name string) []byte {
	var d [domainSize]byte
	copy(d[:], name)
	return append(m, d[:]...)
}

// possessionMessage is public key ‖ sha256(chain id) ‖ owner. Binding the owner
// keeps a second validator from registering a key it saw in the first one's
// transaction.
func possessionMessage(public PublicKey, chainID string, owner []byte) ([]byte, error) {
	if len(owner) == 0 || len(owner) > MaxOwnerSize {
		return nil, fmt.Errorf("bind key to an owner of %d bytes: want 1 to %d: %w", len(owner), MaxOwnerSize, ErrInvalid)
	}
	chain := sha256.Sum256([]byte(chainID))
	m := append(make([]byte, 0, PublicKeySize+sha256.Size+len(owner)), public[:]...)
	m = append(m, chain[:]...)
	return append(m, owner...), nil
}

// Sign returns the key's one valid reveal for the epoch of a chain.
func (k *Key) Sign(chainID string, epoch uint64) Signature {
	return k.sign(revealMessage(chainID, epoch), suiteSign)
}

// Prove returns the proof that the holder of k registers it for owner on a
// chain. owner is the validator's address, 1 to MaxOwnerSize bytes.
func (k *Key) Prove(chainID string, owner []byte) (Signature, error) {
	m, err := possessionMessage(k.public, chainID, owner)
	if err != nil {
		return Signature{}, err
	}
	return k.sign(m, suiteProve), nil
}

func (k *Key) sign(message []byte, suite string) Signature {
	h, err := bls.HashToG1(message, []byte(suite))
	if err != nil {
		panic("beacon: suite name longer than 255 bytes") // the only error, and suites are constants
	}
	var s bls.G1Affine
	s.ScalarMultiplication(&h, &k.scalar)
	return s.Bytes()
}

// Verify reports whether signature is public's reveal for the epoch of a chain:
// nil, or an error that wraps ErrInvalid. Both inputs come from the network.
func Verify(public, signature []byte, chainID string, epoch uint64) error {
	if err := verify(public, signature, revealMessage(chainID, epoch), suiteSign); err != nil {
		return fmt.Errorf("verify reveal of epoch %d on %s: %w", epoch, chainID, err)
	}
	return nil
}

// VerifyPossession reports whether proof shows that owner holds the secret of
// public on a chain: nil, or an error that wraps ErrInvalid.
func VerifyPossession(public, proof []byte, chainID string, owner []byte) error {
	pub, err := ParsePublicKey(public)
	if err != nil {
		return err
	}
	m, err := possessionMessage(pub, chainID, owner)
	if err != nil {
		return err
	}
	if err := verify(public, proof, m, suiteProve); err != nil {
		return fmt.Errorf("verify possession on %s: %w", chainID, err)
	}
	return nil
}

// verify checks e(signature, g2) = e(H(message), public).
func verify(public, signature, message []byte, suite string) error {
	q, err := decodeG2(public)
	if err != nil {
		return err
	}
	s, err := decodeG1(signature)
	if err != nil {
		return err
	}
	h, err := bls.HashToG1(message, []byte(suite))
	if err != nil {
		return fmt.Errorf("hash message to curve: %w", err)
	}
	h.Neg(&h)
	_, _, _, g2 := bls.Generators()
	ok, err := bls.PairingCheck([]bls.G1Affine{s, h}, []bls.G2Affine{g2, q})
	if err != nil {
		return fmt.Errorf("check pairing: %w", err)
	}
	if !ok {
		return fmt.Errorf("signature does not match key %x: %w", public[:8], ErrInvalid)
	}
	return nil
}
