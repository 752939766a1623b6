package ledgerview

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Attested is what issuers say of a device or an account.
type Attested struct {
	Subject string `json:"subject"`
	// Level is the highest that counts now, 0 for none; CapBPS is what it raises
	// the reward cap to, in basis points.
	Level        uint32        `json:"level"`
	CapBPS       uint32        `json:"cap_bps"`
	Attestations []Attestation `json:"attestations"`
}

// Attestation is what one issuer says.
type Attestation struct {
	Issuer  string    `json:"issuer"`
	Level   uint32    `json:"level"`
	Claim   string    `json:"claim"` // hash in hex
	Serial  uint64    `json:"serial"`
	Expires time.Time `json:"expires"`
	Revoked bool      `json:"revoked"`
}

// Document returns the DID document of the device whose id is, or begins with,
// id, or whose did:key it is.
func (v *View) Document(ctx context.Context, id string) (json.RawMessage, error) {
	if !strings.HasPrefix(id, "did:") {
		d, err := v.Device(ctx, id)
		if err != nil {
			return nil, err
		}
		id = d.ID
	}
	r, err := v.device.Document(ctx, &devicepb.QueryDocumentRequest{Id: id})
	if err != nil {
		return nil, v.explain("read DID document of "+id, err)
	}
	return json.RawMessage(r.Document), nil
}

// Issuer is who may attest.
type Issuer struct {
	Address string `json:"address"` // account
	Name    string `json:"name"`
	Level   uint32 `json:"level"` // highest that its attestations count for
	KeyType string `json:"key_type"`
	Key     string `json:"key"` // that signs them, hex
}

// Issuers lists them by address.
func (v *View) Issuers(ctx context.Context) ([]Issuer, error) {
	r, err := v.device.Issuers(ctx, &devicepb.QueryIssuersRequest{})
	if err != nil {
		return nil, v.explain("list issuers", err)
	}
	out := []Issuer{}
	for _, i := range r.Issuers {
		out = append(out, Issuer{i.Address, i.Name, i.Level, lastWord(i.KeyType.String()), hex.EncodeToString(i.PublicKey)})
	}
	return out, nil
}

// Attested returns what issuers say of the device whose id is, or begins with,
// subject, or of the account with that address.
func (v *View) Attested(ctx context.Context, subject string) (Attested, error) {
	if !strings.HasPrefix(subject, "grange1") {
		d, err := v.Device(ctx, subject)
		if err != nil {
			return Attested{}, err
		}
		subject = d.ID
	}
	r, err := v.device.Attestations(ctx, &devicepb.QueryAttestationsRequest{Subject: subject})
	if err != nil {
		return Attested{}, v.explain(fmt.Sprintf("read attestations of %s", subject), err)
	}
	out := Attested{Subject: subject, Level: r.Level, CapBPS: r.CapBps, Attestations: []Attestation{}}
	for _, a := range r.Attestations {
		out.Attestations = append(out.Attestations, Attestation{
			Issuer: a.Issuer, Level: a.Level, Claim: hex.EncodeToString(a.Claim), Serial: a.Serial,
			Expires: time.Unix(a.ExpiresAt, 0).UTC(), Revoked: a.Revoked,
		})
	}
	return out, nil
}
