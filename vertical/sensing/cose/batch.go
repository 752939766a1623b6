package cose

import (
	"crypto/rand"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/grange-network/grange/core/device"
)

// fewest is the number of Ed25519 signatures from which on checking them together
// is quicker, and most from which on tables for every key no longer pay.
const (
	fewest = 4
	most   = 94
)

// Batch checks the signatures of many messages together. Those over Ed25519 cost
// about half of what Verify costs; the others are checked one by one.
//
// What Verify accepts a Batch accepts. Beyond that it accepts what only the key's
// owner can make, signatures that are right but for a point of small order, so
// who must agree with others to the bit uses Verify.
type Batch struct {
	entries []batchEntry
}

type batchEntry struct {
	message *Message
	key     device.PublicKey
	signed  []byte
}

// Add puts in a message; signed is what Signed returns.
func (b *Batch) Add(m *Message, k device.PublicKey, signed []byte) {
	b.entries = append(b.entries, batchEntry{m, k, signed})
}

// Verify returns what Message.Verify returns for each message, in the order of
// adding. One wrong signature makes it as slow as that.
func (b *Batch) Verify() []error {
	errs := make([]error, len(b.entries))
	var together []int
	for i, e := range b.entries {
		if e.key.Type() == device.Ed25519 && len(e.message.Signature) == device.SignatureSize {
			if errs[i] = e.message.checkAlgorithm(e.key); errs[i] == nil {
				together = append(together, i)
			}
			continue
		}
		errs[i] = e.message.VerifySigned(e.key, e.signed)
	}
	if len(together) >= fewest && b.allValid(together) {
		return errs
	}
	for _, i := range together {
		errs[i] = b.entries[i].message.VerifySigned(b.entries[i].key, b.entries[i].signed)
	}
	return errs
}

func (b *Batch) allValid(which []int) bool {
	v := ed25519.NewBatchVerifierWithCapacity(len(which))
	if len(which) > most {
		v.ForceNoPublicKeyExpansion()
	}
	rule := &ed25519.Options{Verify: &ed25519.VerifyOptions{}}
	for _, i := range which {
		e := b.entries[i]
		v.AddWithOptions(e.key.Bytes(), e.signed, e.message.Signature, rule)
	}
	return v.VerifyBatchOnly(rand.Reader)
}
