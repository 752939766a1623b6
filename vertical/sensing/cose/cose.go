package cose

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/internal/strictcbor"
)

// MaxSize is the most bytes of a message.
const MaxSize = 1 << 20

// Header labels and algorithms of RFC 9052 and RFC 9053.
const (
	labelAlgorithm = 1
	labelCritical  = 2
	labelKeyID     = 4

	algEdDSA = -8
	algES256 = -7

	tagSign1 = 18
)

// Errors.
var (
	// ErrMalformed says that the bytes are no COSE_Sign1 message.
	ErrMalformed = errors.New("malformed COSE_Sign1 message")
	// ErrSignature says that the signature is not the key's.
	ErrSignature = errors.New("signature does not match")
)

// Message is a COSE_Sign1 message.
type Message struct {
	Protected   Header // signed
	Unprotected Header // anybody may have changed it
	Payload     []byte
	Signature   []byte

	protected []byte // as signed
}

// Header has what the sender says about a message by label; values are int64,
// uint64, []byte or other things that CBOR has. Text labels are not kept.
type Header map[int64]any

// KeyID returns the sender's name for its key, from either header; nil if absent.
func (m *Message) KeyID() []byte {
	for _, h := range []Header{m.Protected, m.Unprotected} {
		if id, ok := h[labelKeyID].([]byte); ok {
			return id
		}
	}
	return nil
}

var (
	decode = strictcbor.Decoder(cbor.DecOptions{
		MaxNestedLevels: 8, MaxArrayElements: 1 << 16, MaxMapPairs: 1 << 12, IntDec: cbor.IntDecConvertSignedOrFail, TagsMd: cbor.TagsAllowed,
	})
	encode = strictcbor.Encoder(cbor.CoreDetEncOptions())
)

// wire is the array of a message.
type wire struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[any]any
	Payload     []byte
	Signature   []byte
}

// Parse reads a message, with or without its tag. Nothing is verified.
func Parse(raw []byte) (*Message, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrMalformed, len(raw), MaxSize)
	}
	m, ok := quick(raw)
	if !ok {
		var err error
		if m, err = parse(raw); err != nil {
			return nil, err
		}
	}
	if _, ok := m.Protected[labelCritical]; ok {
		return nil, fmt.Errorf("%w: it has critical headers, which are not supported", ErrMalformed)
	}
	for l := range m.Protected {
		if _, twice := m.Unprotected[l]; twice {
			return nil, fmt.Errorf("%w: label %d is in both headers", ErrMalformed, l)
		}
	}
	return m, nil
}

// parse decodes a message, however it is written.
func parse(raw []byte) (*Message, error) {
	body := raw
	if len(raw) > 0 && raw[0]>>5 == 6 { // a tag
		var t cbor.RawTag
		if err := decode.Unmarshal(raw, &t); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if t.Number != tagSign1 {
			return nil, fmt.Errorf("%w: tag %d, want %d", ErrMalformed, t.Number, tagSign1)
		}
		body = t.Content
	}
	var w wire
	if err := decode.Unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if w.Payload == nil {
		return nil, fmt.Errorf("%w: the payload is detached", ErrMalformed)
	}
	m := &Message{Payload: w.Payload, Signature: w.Signature, protected: w.Protected}
	var err error
	if m.Unprotected, err = header(w.Unprotected); err != nil {
		return nil, err
	}
	var protected map[any]any
	if len(w.Protected) > 0 {
		if err := decode.Unmarshal(w.Protected, &protected); err != nil {
			return nil, fmt.Errorf("%w: protected header: %w", ErrMalformed, err)
		}
	}
	if len(protected) == 0 {
		m.protected = nil // section 4.4: an empty header is signed as no bytes
	}
	if m.Protected, err = header(protected); err != nil {
		return nil, err
	}
	return m, nil
}

func header(in map[any]any) (Header, error) {
	out := Header{}
	for k, v := range in {
		switch l := k.(type) {
		case int64:
			out[l] = v
		case string:
		default:
			return nil, fmt.Errorf("%w: header label of type %T", ErrMalformed, k)
		}
	}
	return out, nil
}

// signed is the Sig_structure of RFC 9052 section 4.4.
func signed(protected, external, payload []byte) []byte {
	const heads = 32 // bytes, at most
	out := make([]byte, 0, heads+len(protected)+len(external)+len(payload))
	out = strictcbor.AppendText(strictcbor.AppendArray(out, 4), "Signature1")
	for _, b := range [][]byte{protected, external, payload} {
		out = strictcbor.AppendBytes(out, b)
	}
	return out
}

// Verify checks the signature with a device's key. external is what both sides
// know without sending it; nil for nothing. The error wraps ErrSignature.
func (m *Message) Verify(k device.PublicKey, external []byte) error {
	return m.VerifySigned(k, m.Signed(external))
}

// VerifySigned is Verify for a caller that has what Signed returns.
func (m *Message) VerifySigned(k device.PublicKey, signed []byte) error {
	if err := m.checkAlgorithm(k); err != nil {
		return err
	}
	if !k.Verify(signed, lower(k.Type(), m.Signature)) {
		return ErrSignature
	}
	return nil
}

// checkAlgorithm refuses a message that names another algorithm than the key's.
func (m *Message) checkAlgorithm(k device.PublicKey) error {
	alg, ok := m.Protected[labelAlgorithm]
	if !ok {
		alg = m.Unprotected[labelAlgorithm]
	}
	want, err := algorithm(k)
	if err != nil {
		return err
	}
	if alg != want {
		return fmt.Errorf("%w: algorithm %v, the key's is %d", ErrSignature, alg, want)
	}
	return nil
}

// Signed returns the bytes that the signature is over. What they do not hold,
// the unprotected header and the signature itself, anybody may have changed.
func (m *Message) Signed(external []byte) []byte { return signed(m.protected, external, m.Payload) }

func algorithm(k device.PublicKey) (int64, error) {
	switch k.Type() {
	case device.Ed25519:
		return algEdDSA, nil
	case device.P256:
		return algES256, nil
	}
	return 0, fmt.Errorf("%w: no algorithm for %s keys, want ed25519 or p256", ErrSignature, k.Type())
}

// lower brings an ES256 signature to the form with the smaller s, which is the
// only one that device keys accept; secure elements make either.
func lower(t device.KeyType, signature []byte) []byte {
	if t != device.P256 || len(signature) != 64 {
		return signature
	}
	n := elliptic.P256().Params().N
	s := new(big.Int).SetBytes(signature[32:])
	if s.Cmp(new(big.Int).Rsh(n, 1)) <= 0 || s.Cmp(n) >= 0 {
		return signature
	}
	out := make([]byte, 64)
	copy(out, signature[:32])
	s.Sub(n, s).FillBytes(out[32:])
	return out
}

// Sign makes a tagged message. sign makes the key's signature over its argument:
// 64 bytes, for P-256 r and s over the argument's SHA-256. extra are further
// protected headers.
func Sign(k device.PublicKey, sign func([]byte) ([]byte, error), payload, external []byte, extra Header) ([]byte, error) {
	alg, err := algorithm(k)
	if err != nil {
		return nil, err
	}
	h := Header{labelAlgorithm: alg}
	for l, v := range extra {
		h[l] = v
	}
	protected, err := encode.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode protected header: %w", err)
	}
	signature, err := sign(signed(protected, external, payload))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	id := k.ID()
	return encode.Marshal(cbor.Tag{Number: tagSign1, Content: wire{
		Protected: protected, Unprotected: map[any]any{int64(labelKeyID): id[:]}, Payload: payload, Signature: signature,
	}})
}
