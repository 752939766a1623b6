package device

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Domains separate what a device signs from everything else it signs, padded
// with zeros to domainSize.
const (
	domainRegister = "grange/register/v1"
	domainTransfer = "grange/transfer/v1"
	domainObject   = "grange/object/v1"
	domainAttest   = "grange/attest/v1"
	domainSize     = 24
)

// MaxAddressSize bounds an owner's address in bytes, as the ledger does.
const MaxAddressSize = 255

// Reasons for which a binding is refused; test with errors.Is.
var (
	ErrSignature = errors.New("device signature does not match")
	ErrNonce     = errors.New("nonce is not larger than the last")
	ErrAddress   = errors.New("owner address has a bad length")
)

// RegisterBytes is what a device signs to say "this account owns me":
//
//	domain 24 ‖ SHA-256(chain id) 32 ‖ owner length u8 ‖ owner ‖ nonce u64 BE
//
// The device is not named: its key verifies the signature.
func RegisterBytes(chainID string, owner []byte, nonce uint64) ([]byte, error) {
	b, err := signHead(domainRegister, chainID, nil, owner)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(b, nonce), nil
}

// TransferBytes is what a device signs to change its owner:
//
//	domain 24 ‖ SHA-256(chain id) 32 ‖ device id 32 ‖ owner length u8 ‖ owner ‖ nonce u64 BE
func TransferBytes(chainID string, id ID, newOwner []byte, nonce uint64) ([]byte, error) {
	b, err := signHead(domainTransfer, chainID, id[:], newOwner)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(b, nonce), nil
}

// ObjectBytes is what a device signs to end the announced change of its owner:
//
//	domain 24 ‖ SHA-256(chain id) 32 ‖ device id 32 ‖ owner length u8 ‖ announced owner ‖ nonce u64 BE
func ObjectBytes(chainID string, id ID, announced []byte, nonce uint64) ([]byte, error) {
	b, err := signHead(domainObject, chainID, id[:], announced)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(b, nonce), nil
}

func signHead(domain, chainID string, id, owner []byte) ([]byte, error) {
	if len(owner) == 0 || len(owner) > MaxAddressSize {
		return nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrAddress, len(owner), MaxAddressSize)
	}
	b := make([]byte, domainSize, domainSize+2*sha256.Size+1+len(owner)+8)
	copy(b, domain)
	chain := sha256.Sum256([]byte(chainID))
	b = append(b, chain[:]...)
	b = append(b, id...)
	b = append(b, byte(len(owner)))
	return append(b, owner...), nil
}

// VerifyRegister checks a device's consent to its first owner. The nonce must be
// at least 1.
func VerifyRegister(k PublicKey, chainID string, owner []byte, nonce uint64, signature []byte) error {
	if nonce == 0 {
		return fmt.Errorf("register device %s: %w: 0, want at least 1", k.ID(), ErrNonce)
	}
	message, err := RegisterBytes(chainID, owner, nonce)
	if err != nil {
		return fmt.Errorf("register device %s: %w", k.ID(), err)
	}
	if !k.Verify(message, signature) {
		return fmt.Errorf("register device %s: %w (chain %q, owner %x, nonce %d)", k.ID(), ErrSignature, chainID, owner, nonce)
	}
	return nil
}

// VerifyTransfer checks a device's consent to a new owner. last is the newest
// nonce the device has used.
func VerifyTransfer(k PublicKey, chainID string, newOwner []byte, last, nonce uint64, signature []byte) error {
	if nonce <= last {
		return fmt.Errorf("transfer device %s: %w: %d, last was %d", k.ID(), ErrNonce, nonce, last)
	}
	message, err := TransferBytes(chainID, k.ID(), newOwner, nonce)
	if err != nil {
		return fmt.Errorf("transfer device %s: %w", k.ID(), err)
	}
	if !k.Verify(message, signature) {
		return fmt.Errorf("transfer device %s: %w (chain %q, new owner %x, nonce %d)", k.ID(), ErrSignature, chainID, newOwner, nonce)
	}
	return nil
}

// VerifyObject checks a device's objection to an announced owner. last is the
// newest nonce the device has used.
func VerifyObject(k PublicKey, chainID string, announced []byte, last, nonce uint64, signature []byte) error {
	if nonce <= last {
		return fmt.Errorf("object to new owner of device %s: %w: %d, last was %d", k.ID(), ErrNonce, nonce, last)
	}
	message, err := ObjectBytes(chainID, k.ID(), announced, nonce)
	if err != nil {
		return fmt.Errorf("object to new owner of device %s: %w", k.ID(), err)
	}
	if !k.Verify(message, signature) {
		return fmt.Errorf("object to new owner of device %s: %w (chain %q, announced owner %x, nonce %d)", k.ID(), ErrSignature, chainID, announced, nonce)
	}
	return nil
}
