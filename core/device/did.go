package device

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"
)

// MaxDIDSize bounds a did:key of our key types in bytes: the prefix and base58
// of at most 35 bytes.
const MaxDIDSize = len(didPrefix) + 48

const didPrefix = "did:key:z"

// ParseDID reads a did:key of one of our key types (W3C CCG did:key method).
// There is one spelling for each key: what DID writes.
func ParseDID(s string) (PublicKey, error) {
	if len(s) > MaxDIDSize {
		return PublicKey{}, fmt.Errorf("read DID %.80q: %d bytes, want at most %d", s, len(s), MaxDIDSize)
	}
	text, ok := strings.CutPrefix(s, didPrefix)
	if !ok {
		return PublicKey{}, fmt.Errorf("read DID %q: want %s and base58", s, didPrefix)
	}
	raw, err := base58.Decode(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("read DID %q: %w", s, err)
	}
	for _, t := range []KeyType{Ed25519, P256, Secp256k1} {
		key, ok := bytes.CutPrefix(raw, t.multicodec())
		if !ok {
			continue
		}
		k, err := NewPublicKey(t, key)
		if err != nil {
			return PublicKey{}, fmt.Errorf("read DID %q: %w", s, err)
		}
		if k.DID() != s {
			return PublicKey{}, fmt.Errorf("read DID %q: its one spelling is %s", s, k.DID())
		}
		return k, nil
	}
	return PublicKey{}, fmt.Errorf("read DID %q: key type is not ed25519, P-256 or secp256k1", s)
}

// Record is what the ledger adds to a device's DID document.
type Record struct {
	ChainID string
	// Owner is the account in the ledger's notation; empty for none.
	Owner string
	// Endpoint is where the device is reached; empty for nowhere.
	Endpoint string
	// Active is false for a device that was retired.
	Active bool
}

// Method is a verification method of a DID document (W3C DID Core 1.0, 5.2;
// Controlled Identifiers 1.0, Multikey).
type Method struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Controller string `json:"controller"`
	PublicKey  string `json:"publicKeyMultibase"`
}

// Service is a service of a DID document (W3C DID Core 1.0, 5.4).
type Service struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Endpoint string `json:"serviceEndpoint"`
}

// Document is a DID document (W3C DID Core 1.0).
type Document struct {
	Context        []string  `json:"@context"`
	ID             string    `json:"id"`
	AlsoKnownAs    []string  `json:"alsoKnownAs,omitempty"`
	Controller     []string  `json:"controller,omitempty"`
	Methods        []Method  `json:"verificationMethod"`
	Authentication []string  `json:"authentication"`
	Assertion      []string  `json:"assertionMethod"`
	Invocation     []string  `json:"capabilityInvocation"`
	Delegation     []string  `json:"capabilityDelegation"`
	Services       []Service `json:"service,omitempty"`
}

// NewDocument is the DID document of a key: what the did:key method makes of the
// key alone, and what the ledger records. The owner is its controller, as the
// did:pkh of the account (CAIP-10); a retired device is reached nowhere.
func NewDocument(k PublicKey, r Record) Document {
	did := k.DID()
	key := strings.TrimPrefix(did, "did:key:")
	reference := did + "#" + key
	d := Document{
		Context: []string{"https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"},
		ID:      did,
		Methods: []Method{{ID: reference, Type: "Multikey", Controller: did, PublicKey: key}},
	}
	uses := []string{reference}
	d.Authentication, d.Assertion, d.Invocation, d.Delegation = uses, uses, uses, uses
	if r.Owner != "" {
		d.AlsoKnownAs = []string{"grange://" + r.ChainID + "/device/" + k.ID().String()}
		d.Controller = []string{"did:pkh:cosmos:" + r.ChainID + ":" + r.Owner}
	}
	if r.Endpoint != "" && r.Active {
		d.Services = []Service{{ID: did + "#endpoint", Type: "GrangeDevice", Endpoint: r.Endpoint}}
	}
	return d
}

// JSON is the document's application/did+ld+json form, the same bytes for the
// same document.
func (d Document) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		panic(fmt.Sprintf("encode DID document: %v", err)) // strings always encode
	}
	return b.Bytes()
}
