package receipt

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Signed is a receipt with the keys its lease names.
type Signed struct {
	Receipt  Receipt
	Payer    Key // session key of the lane
	Provider Key // device key of the provider
}

// VerifyBatch checks both signatures of every receipt at several times the
// speed of Verify. It returns nil when all are valid, else one error per
// receipt, nil for those that are valid: the same errors as Verify gives.
func VerifyBatch(chain Chain, batch []Signed) []error {
	b := NewBatch(chain, len(batch))
	for _, s := range batch {
		b.Receipt(s.Receipt, s.Payer, s.Provider)
	}
	return b.Verify()
}

// Batch collects receipts and commitments and verifies their signatures at
// once. Its answer is a function of what was added: the coefficients of the
// combined equation come from a hash over every key, message and signature.
type Batch struct {
	chain      Chain
	verifier   *ed25519.BatchVerifier
	transcript hash.Hash
	faults     []fault
}

// fault makes the error of an entry: signature 0 is the payer's, 1 the provider's.
type fault func(signature int) error

// NewBatch returns an empty batch with room for n receipts or commitments.
func NewBatch(chain Chain, n int) *Batch {
	b := &Batch{
		chain:      chain,
		verifier:   ed25519.NewBatchVerifierWithCapacity(2 * n),
		transcript: sha512.New(),
		faults:     make([]fault, 0, n),
	}
	if 2*n > smallBatch {
		b.verifier.ForceNoPublicKeyExpansion()
	}
	b.transcript.Write([]byte("grange/batch/v1"))
	b.transcript.Write(chain[:])
	return b
}

// smallBatch is the number of signatures up to which tables for every key pay
// off in curve25519-voi.
const smallBatch = 94

// Receipt adds both signatures of r.
func (b *Batch) Receipt(r Receipt, payer, provider Key) {
	b.add(payer, r.payerMessage(b.chain), r.PayerSig)
	b.add(provider, r.providerMessage(b.chain), r.ProviderSig)
	b.faults = append(b.faults, func(signature int) error {
		if signature == 0 {
			return r.fault(payer, ErrPayerSignature)
		}
		return r.fault(provider, ErrProviderSignature)
	})
}

// Commitment adds both signatures of c.
func (b *Batch) Commitment(c Commitment, payer, provider Key) {
	b.add(payer, c.payerMessage(b.chain), c.PayerSig)
	b.add(provider, c.providerMessage(b.chain), c.ProviderSig)
	b.faults = append(b.faults, func(signature int) error {
		if signature == 0 {
			return c.fault(payer, ErrPayerSignature)
		}
		return c.fault(provider, ErrProviderSignature)
	})
}

func (b *Batch) add(key Key, message []byte, sig Signature) {
	b.verifier.AddWithOptions(key[:], message, sig[:], rule)
	b.transcript.Write(key[:])
	b.transcript.Write(sig[:])
	b.transcript.Write(binary.BigEndian.AppendUint32(nil, uint32(len(message))))
	b.transcript.Write(message)
}

// Verify returns nil when every signature added is valid or none was added,
// else one error per entry in the order of adding, nil for the valid ones. A
// batch with an invalid signature costs about as much as single verification
// on top.
func (b *Batch) Verify() []error {
	if len(b.faults) == 0 {
		return nil
	}
	ok, valid := b.verifier.Verify(bytes.NewReader(b.transcript.Sum(nil)))
	if ok {
		return nil
	}
	errs := make([]error, len(b.faults))
	for i, fault := range b.faults {
		switch {
		case !valid[2*i]:
			errs[i] = fault(0)
		case !valid[2*i+1]:
			errs[i] = fault(1)
		}
	}
	return errs
}
