package ledgerport

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/key"
)

// maker is the key of an issuer that the test's ledger begins with.
func maker() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func issuers(k key.Key) json.RawMessage {
	pub := base64.StdEncoding.EncodeToString(maker().Public().(ed25519.PublicKey))
	return json.RawMessage(fmt.Sprintf(`{"issuers":[{"address":%q,"name":"maker","key_type":"KEY_TYPE_ED25519","public_key":%q,"level":2}]}`, k.Address().String(), pub))
}

// attest has the sponsor, an issuer, attest a device twice and revoke it, with
// the buyer as the one who carries it to the ledger.
func (w world) attest(t *testing.T, ctx context.Context, id [32]byte) {
	t.Helper()
	a := device.Attestation{Kind: device.SubjectDevice, Subject: id[:], Claim: [32]byte{1}, Level: 2, Expires: time.Now().Add(time.Hour).Unix()}
	for want := uint64(1); want <= 2; want++ {
		serial, level, err := w.buyer.Attest(ctx, w.sponsor.Address(), maker(), a)
		if err != nil || serial != want || level != 2 {
			t.Fatalf("attested with serial %d, level now %d (%v), want %d and 2", serial, level, err, want)
		}
	}
	a.Level = 3
	if _, _, err := w.buyer.Attest(ctx, w.sponsor.Address(), maker(), a); err == nil {
		t.Error("attested above the issuer's level")
	}
	if serial, err := w.sponsor.Revoke(ctx, device.ID(id).String(), 0); err != nil || serial != 2 {
		t.Fatalf("revoked up to %d (%v), want 2", serial, err)
	}
	proposal, err := w.buyer.ProposeIssuer(ctx, devicepb.Issuer{
		Address: w.buyer.Address(), Name: "another", KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: maker().Public().(ed25519.PublicKey), Level: 1,
	}, 10_000_000)
	if err != nil || proposal != 1 {
		t.Fatalf("proposal %d (%v), want 1", proposal, err)
	}
}
