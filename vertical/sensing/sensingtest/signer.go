// Package sensingtest holds what tests of the sensing vertical share: device keys
// made from a number.
package sensingtest

import (
	"bytes"
	"crypto/ed25519"

	"github.com/grange-network/grange/core/device"
)

// Signer is an ed25519 device key.
type Signer struct{ private ed25519.PrivateKey }

// NewSigner makes the key of a seed; the same seed is the same device.
func NewSigner(seed byte) Signer {
	return Signer{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

// PublicKey implements sensing.Signer.
func (s Signer) PublicKey() device.PublicKey {
	k, err := device.NewPublicKey(device.Ed25519, s.private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err) // an ed25519 key has the right size
	}
	return k
}

// Sign implements sensing.Signer.
func (s Signer) Sign(p []byte) ([]byte, error) { return ed25519.Sign(s.private, p), nil }
