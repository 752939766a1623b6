package receipt

import (
	"crypto"
	stded25519 "crypto/ed25519"
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// SignatureSize and KeySize are the lengths in bytes of ed25519 signatures and
// public keys.
const (
	SignatureSize = ed25519.SignatureSize
	KeySize       = ed25519.PublicKeySize
)

// Signature is an ed25519 signature, R ‖ S.
type Signature [SignatureSize]byte

// Key is an ed25519 public key.
type Key [KeySize]byte

// Errors of verification.
var (
	ErrPayerSignature    = errors.New("payer signature is not valid")
	ErrProviderSignature = errors.New("provider signature is not valid")
)

// Domains of the four signatures; message pads them to domainSize.
const (
	domainSize          = 24
	domainReceipt       = "grange/receipt/v1"
	domainReceiptAck    = "grange/receipt-ack/v1"
	domainCommitment    = "grange/commitment/v1"
	domainCommitmentAck = "grange/commitment-ack/v1"
)

// rule is the set of signatures this network accepts; doc.go says why. All four
// relaxations are off, and the equation is the cofactored one.
var rule = &ed25519.Options{Verify: &ed25519.VerifyOptions{}}

// Valid returns nil when k can verify signatures: the canonical encoding of a
// curve point that is not of small order. The ledger checks it where a key is
// registered, so that no lane is opened that can never pay.
func (k Key) Valid() error {
	var encoded curve.CompressedEdwardsY
	var point curve.EdwardsPoint
	if _, err := encoded.SetBytes(k[:]); err != nil {
		return fmt.Errorf("check key %x: %w", k, err)
	}
	if _, err := point.SetCompressedY(&encoded); err != nil {
		return fmt.Errorf("check key %x: not a point of the curve: %w", k, err)
	}
	if !encoded.IsCanonicalVartime() {
		return fmt.Errorf("check key %x: encoding is not canonical", k)
	}
	if point.IsSmallOrder() {
		return fmt.Errorf("check key %x: point is of small order", k)
	}
	return nil
}

// heldBy refuses a signer whose public key is not k.
func (k Key) heldBy(signer crypto.Signer) error {
	public, ok := signer.Public().(stded25519.PublicKey)
	if !ok || len(public) != KeySize {
		return fmt.Errorf("key is %T, want ed25519", signer.Public())
	}
	if Key(public) != k {
		return fmt.Errorf("key is %x, want %x", public, k)
	}
	return nil
}

// SignPayer sets PayerSig with the lane's session key and clears ProviderSig.
func (r *Receipt) SignPayer(chain Chain, key crypto.Signer) (err error) {
	r.ProviderSig = Signature{}
	if r.PayerSig, err = sign(key, r.payerMessage(chain)); err != nil {
		return fmt.Errorf("sign receipt of lease %x lane %d seq %d: %w", r.Lease, r.Lane, r.Seq, err)
	}
	return nil
}

// CountersignProvider sets ProviderSig with the provider's device key over the
// body and PayerSig.
func (r *Receipt) CountersignProvider(chain Chain, key crypto.Signer) (err error) {
	if r.ProviderSig, err = sign(key, r.providerMessage(chain)); err != nil {
		return fmt.Errorf("countersign receipt of lease %x lane %d seq %d: %w", r.Lease, r.Lane, r.Seq, err)
	}
	return nil
}

// VerifyPayer checks the payer's signature alone (ErrPayerSignature).
func (r Receipt) VerifyPayer(chain Chain, payer Key) error {
	if !verify(payer, r.payerMessage(chain), r.PayerSig) {
		return r.fault(payer, ErrPayerSignature)
	}
	return nil
}

// Verify checks both signatures (ErrPayerSignature, ErrProviderSignature).
func (r Receipt) Verify(chain Chain, payer, provider Key) error {
	if err := r.VerifyPayer(chain, payer); err != nil {
		return err
	}
	if !verify(provider, r.providerMessage(chain), r.ProviderSig) {
		return r.fault(provider, ErrProviderSignature)
	}
	return nil
}

func (r Receipt) fault(key Key, cause error) error {
	return fmt.Errorf("verify receipt of lease %x lane %d seq %d with key %x: %w", r.Lease, r.Lane, r.Seq, key, cause)
}

func (r Receipt) payerMessage(chain Chain) []byte {
	return r.appendBody(message(domainReceipt, chain, payerPart))
}

func (r Receipt) providerMessage(chain Chain) []byte {
	b := r.appendBody(message(domainReceiptAck, chain, signedPart))
	return append(b, r.PayerSig[:]...)
}

// message starts what is signed: domain padded with zeros ‖ chain, with room
// for n bytes more.
func message(domain string, chain Chain, n int) []byte {
	b := make([]byte, domainSize, domainSize+len(chain)+n)
	copy(b, domain)
	return append(b, chain[:]...)
}

func sign(key crypto.Signer, message []byte) (Signature, error) {
	if _, ok := key.Public().(stded25519.PublicKey); !ok {
		return Signature{}, fmt.Errorf("key is %T, want ed25519", key.Public())
	}
	b, err := key.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return Signature{}, err
	}
	if len(b) != SignatureSize {
		return Signature{}, fmt.Errorf("signature of %d bytes, want %d", len(b), SignatureSize)
	}
	return Signature(b), nil
}

func verify(key Key, message []byte, sig Signature) bool {
	return ed25519.VerifyWithOptions(key[:], message, sig[:], rule)
}
