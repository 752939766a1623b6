package receipt

import (
	"crypto"
	"encoding/binary"
	"fmt"
)

// CommitmentSize is the length in bytes of an encoded commitment.
const CommitmentSize = commitmentBody + 2*SignatureSize

const commitmentBody = 32 + 8 + 32 + 8

// Commitment states what the provider holds for a lease: a set with this root
// and this many units, as of this revision. Both sides sign; a higher revision
// replaces a lower one.
type Commitment struct {
	Lease    [32]byte // id of the lease on the ledger
	Revision uint64   // counts the lease's commitments from 1
	Root     [32]byte // root of the set, by the vertical's rules
	Units    uint64   // units held, for storage bytes

	PayerSig    Signature // by the payer's key for this lease
	ProviderSig Signature // by the provider's device key; zero until countersigned
}

// Encode returns the 208 bytes of the wire format.
func (c Commitment) Encode() []byte {
	b := c.appendBody(make([]byte, 0, CommitmentSize))
	b = append(b, c.PayerSig[:]...)
	return append(b, c.ProviderSig[:]...)
}

// DecodeCommitment reads exactly CommitmentSize bytes; see Decode.
func DecodeCommitment(b []byte) (Commitment, error) {
	if len(b) != CommitmentSize {
		return Commitment{}, fmt.Errorf("decode commitment: length %d, want %d", len(b), CommitmentSize)
	}
	return Commitment{
		Lease:       [32]byte(b[0:32]),
		Revision:    binary.BigEndian.Uint64(b[32:40]),
		Root:        [32]byte(b[40:72]),
		Units:       binary.BigEndian.Uint64(b[72:80]),
		PayerSig:    Signature(b[80:144]),
		ProviderSig: Signature(b[144:208]),
	}, nil
}

func (c Commitment) appendBody(b []byte) []byte {
	b = append(b, c.Lease[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Revision)
	b = append(b, c.Root[:]...)
	return binary.BigEndian.AppendUint64(b, c.Units)
}

// SignPayer sets PayerSig with an ed25519 key and clears ProviderSig.
func (c *Commitment) SignPayer(chain Chain, key crypto.Signer) (err error) {
	c.ProviderSig = Signature{}
	if c.PayerSig, err = sign(key, c.payerMessage(chain)); err != nil {
		return fmt.Errorf("sign commitment of lease %x revision %d: %w", c.Lease, c.Revision, err)
	}
	return nil
}

// CountersignProvider sets ProviderSig over the body and PayerSig.
func (c *Commitment) CountersignProvider(chain Chain, key crypto.Signer) (err error) {
	if c.ProviderSig, err = sign(key, c.providerMessage(chain)); err != nil {
		return fmt.Errorf("countersign commitment of lease %x revision %d: %w", c.Lease, c.Revision, err)
	}
	return nil
}

// VerifyPayer checks the payer's signature alone (ErrPayerSignature).
func (c Commitment) VerifyPayer(chain Chain, payer Key) error {
	if !verify(payer, c.payerMessage(chain), c.PayerSig) {
		return c.fault(payer, ErrPayerSignature)
	}
	return nil
}

// Verify checks both signatures (ErrPayerSignature, ErrProviderSignature).
func (c Commitment) Verify(chain Chain, payer, provider Key) error {
	if err := c.VerifyPayer(chain, payer); err != nil {
		return err
	}
	if !verify(provider, c.providerMessage(chain), c.ProviderSig) {
		return c.fault(provider, ErrProviderSignature)
	}
	return nil
}

func (c Commitment) fault(key Key, cause error) error {
	return fmt.Errorf("verify commitment of lease %x revision %d with key %x: %w", c.Lease, c.Revision, key, cause)
}

func (c Commitment) payerMessage(chain Chain) []byte {
	return c.appendBody(message(domainCommitment, chain, commitmentBody))
}

func (c Commitment) providerMessage(chain Chain) []byte {
	b := c.appendBody(message(domainCommitmentAck, chain, commitmentBody+SignatureSize))
	return append(b, c.PayerSig[:]...)
}
