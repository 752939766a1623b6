package ledgerport

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/chain"
)

// Attest records what an issuer says of a device or an account, signed with the
// issuer's ed25519 key. This account only carries it. A serial of 0 becomes the
// one after the last. It returns the serial and the subject's level after it.
func (p *Port) Attest(ctx context.Context, issuer string, k ed25519.PrivateKey, a device.Attestation) (serial uint64, level uint32, err error) {
	subject := hex.EncodeToString(a.Subject)
	if a.Kind == device.SubjectAccount {
		subject = sdk.AccAddress(a.Subject).String()
	}
	if a.Serial == 0 {
		last, err := p.lastSerial(ctx, issuer, subject)
		if err != nil {
			return 0, 0, err
		}
		a.Serial = last + 1
	}
	message, err := a.Bytes(p.ChainID())
	if err != nil {
		return 0, 0, err
	}
	r, err := p.send(ctx, &devicepb.MsgAttest{
		Signer: p.Address(), Issuer: issuer, Subject: subject, Claim: a.Claim[:], Level: uint32(a.Level), Serial: a.Serial, ExpiresAt: a.Expires,
		Signature: ed25519.Sign(k, message),
	})
	if err != nil {
		return 0, 0, fmt.Errorf("attest %s: %w", subject, err)
	}
	var answer devicepb.MsgAttestResponse
	err = r.Response(0, &answer)
	return a.Serial, answer.Level, err
}

// Revoke makes void what this account, an issuer, attested of a subject up to a
// serial; 0 is the last one. It returns the serial.
func (p *Port) Revoke(ctx context.Context, subject string, serial uint64) (uint64, error) {
	if serial == 0 {
		last, err := p.lastSerial(ctx, p.Address(), subject)
		if err != nil {
			return 0, err
		}
		serial = max(last, 1)
	}
	if _, err := p.send(ctx, &devicepb.MsgRevoke{Issuer: p.Address(), Subject: subject, Serial: serial}); err != nil {
		return 0, fmt.Errorf("revoke what was attested of %s: %w", subject, err)
	}
	return serial, nil
}

// lastSerial is the serial of the last attestation of an issuer for a subject, 0
// for none.
func (p *Port) lastSerial(ctx context.Context, issuer, subject string) (uint64, error) {
	r, err := p.device.Attestations(ctx, &devicepb.QueryAttestationsRequest{Subject: subject})
	if err != nil {
		return 0, fmt.Errorf("read attestations of %s: %w", subject, err)
	}
	for _, a := range r.Attestations {
		if a.Issuer == issuer {
			return a.Serial, nil
		}
	}
	return 0, nil
}

// ProposeIssuer asks the validators to name, change or, with level 0, remove an
// issuer, with a deposit in ugrain. It returns the proposal to vote on.
func (p *Port) ProposeIssuer(ctx context.Context, issuer devicepb.Issuer, deposit int64) (proposal uint64, err error) {
	authority := authtypes.NewModuleAddress(govtypes.ModuleName).String()
	title := fmt.Sprintf("Issuer %s: level %d", issuer.Name, issuer.Level)
	summary := fmt.Sprintf("%s, %s, attests devices and accounts up to level %d with the key %x; level 0 removes it.", issuer.Name, issuer.Address, issuer.Level, issuer.PublicKey)
	m, err := govv1.NewMsgSubmitProposal([]sdk.Msg{&devicepb.MsgSetIssuer{Authority: authority, Issuer: issuer}},
		sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, deposit)), p.Address(), "", title, summary, false)
	if err != nil {
		return 0, err
	}
	r, err := p.send(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("propose issuer %s: %w", issuer.Name, err)
	}
	var answer govv1.MsgSubmitProposalResponse
	err = r.Response(0, &answer)
	return answer.ProposalId, err
}
