package device

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
)

// specDIDs are examples of the did:key method specification
// (w3c-ccg.github.io/did-key-spec).
var specDIDs = []struct {
	name string
	kind KeyType
	did  string
}{
	{"ed25519", Ed25519, "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"},
	{"ed25519 of the introduction", Ed25519, "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"},
	{"p256", P256, "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"},
	{"p256 second", P256, "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"},
	{"secp256k1", Secp256k1, "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"},
	{"secp256k1 second", Secp256k1, "did:key:zQ3shtxV1FrJfhqE1dvxYRcCknWNjHc3c5X1y3ZSoPDi2aur2"},
}

// The document of a key alone is what the method specification derives from it
// with the Multikey type, without key agreement.
func TestDocumentOfAKeyAlone(t *testing.T) {
	for _, c := range specDIDs {
		t.Run(c.name, func(t *testing.T) {
			k, err := ParseDID(c.did)
			if err != nil {
				t.Fatal(err)
			}
			if k.Type() != c.kind || k.DID() != c.did {
				t.Fatalf("%s %s", k.Type(), k.DID())
			}
			key := strings.TrimPrefix(c.did, "did:key:")
			want := fmt.Sprintf(`{
  "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
  "id": %[1]q,
  "verificationMethod": [{"id": "%[1]s#%[2]s", "type": "Multikey", "controller": %[1]q, "publicKeyMultibase": %[2]q}],
  "authentication": ["%[1]s#%[2]s"], "assertionMethod": ["%[1]s#%[2]s"],
  "capabilityInvocation": ["%[1]s#%[2]s"], "capabilityDelegation": ["%[1]s#%[2]s"]
}`, c.did, key)
			if got := NewDocument(k, Record{}).JSON(); !sameJSON(t, got, []byte(want)) {
				t.Fatalf("document is\n%s", got)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func TestDocumentOfARecord(t *testing.T) {
	k, err := ParseDID(specDIDs[0].did)
	if err != nil {
		t.Fatal(err)
	}
	record := Record{ChainID: "grange-1", Owner: "grange1xyz", Endpoint: "tcp://10.0.0.1:7000", Active: true}
	d := NewDocument(k, record)
	if want := []string{"did:pkh:cosmos:grange-1:grange1xyz"}; !reflect.DeepEqual(d.Controller, want) {
		t.Errorf("controller %v, want %v", d.Controller, want)
	}
	if want := []string{"grange://grange-1/device/" + k.ID().String()}; !reflect.DeepEqual(d.AlsoKnownAs, want) {
		t.Errorf("also known as %v, want %v", d.AlsoKnownAs, want)
	}
	if len(d.Services) != 1 || d.Services[0] != (Service{k.DID() + "#endpoint", "GrangeDevice", record.Endpoint}) {
		t.Errorf("services %v", d.Services)
	}
	record.Active = false
	if d := NewDocument(k, record); len(d.Services) != 0 {
		t.Errorf("a retired device is reached at %v", d.Services)
	}
}

func TestParseDIDRefuses(t *testing.T) {
	good := specDIDs[0].did
	x25519 := "did:key:z" + base58.Encode(append([]byte{0xec, 0x01}, make([]byte, 32)...))
	short := "did:key:z" + base58.Encode([]byte{0xed, 0x01, 1, 2})
	for name, in := range map[string]string{
		"empty":                    "",
		"another method":           "did:web:example.com",
		"another base":             "did:key:f" + good[9:],
		"not base58":               good[:20] + "0OIl",
		"no key":                   "did:key:z",
		"key type without use":     x25519,
		"key cut short":            short,
		"leading zero byte":        "did:key:z1" + good[9:],
		"with a fragment":          good + "#" + good[8:],
		"long":                     good + strings.Repeat("1", 100),
		"p256 key not on a curve":  "did:key:z" + base58.Encode(append([]byte{0x80, 0x24, 5}, make([]byte, 32)...)),
		"ed25519 of small order":   "did:key:z" + base58.Encode(append([]byte{0xed, 0x01, 1}, make([]byte, 31)...)),
		"upper case scheme":        "DID:key:" + good[8:],
		"codec without minimality": "did:key:z" + base58.Encode(append([]byte{0xed, 0x81, 0x00}, make([]byte, 32)...)),
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := ParseDID(in); err == nil {
				t.Fatalf("accepted as %s", k.DID())
			}
		})
	}
}

func FuzzParseDID(f *testing.F) {
	for _, c := range specDIDs {
		f.Add(c.did)
	}
	f.Add("did:key:z")
	f.Fuzz(func(t *testing.T, in string) {
		k, err := ParseDID(in)
		if err != nil {
			return
		}
		if k.DID() != in {
			t.Fatalf("%q reads as %q", in, k.DID())
		}
		if d := NewDocument(k, Record{ChainID: in, Owner: in, Endpoint: in, Active: true}); !json.Valid(d.JSON()) {
			t.Fatalf("document is not JSON: %s", d.JSON())
		}
	})
}
