package device

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Limits of issuers.
const (
	MaxIssuers    = 32 // bounds the attestations of a subject as well
	MaxIssuerName = 64 // bytes
)

// subject reads a device id or an account address.
func (k *Keeper) subject(text string) (device.SubjectKind, []byte, error) {
	if id, err := device.ParseID(text); err == nil {
		return device.SubjectDevice, id[:], nil
	}
	a, err := k.accounts.StringToBytes(text)
	if err != nil {
		return 0, nil, ErrInvalid.Wrapf("subject %.80q is neither a device id (64 lower-case hex digits) nor an account address", text)
	}
	return device.SubjectAccount, a, nil
}

// subjectKey is the subject's part of a store key.
func subjectKey(kind device.SubjectKind, subject []byte) []byte {
	return append([]byte{byte(kind)}, subject...)
}

// Attest records an issuer's statement.
func (s msgServer) Attest(ctx context.Context, m *devicepb.MsgAttest) (*devicepb.MsgAttestResponse, error) {
	kind, raw, err := s.subject(m.Subject)
	if err != nil {
		return nil, err
	}
	address, issuer, err := s.issuer(ctx, m.Issuer)
	if err != nil {
		return nil, err
	}
	if len(m.Claim) != 32 {
		return nil, ErrInvalid.Wrapf("claim is %d bytes: use its 32-byte hash", len(m.Claim))
	}
	key, err := publicKey(issuer.KeyType, issuer.PublicKey)
	if err != nil {
		return nil, err
	}
	subject := subjectKey(kind, raw)
	last, err := s.attestation(ctx, subject, address)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	a := device.Attestation{
		Kind: kind, Subject: raw, Claim: [32]byte(m.Claim), Level: uint8(min(m.Level, 0xff)), Serial: m.Serial, Expires: m.ExpiresAt,
	}
	if err := a.Verify(key, uint8(issuer.Level), sdkCtx.ChainID(), last.Serial, sdkCtx.BlockTime().Unix(), m.Signature); err != nil {
		return nil, refuseAttestation(err)
	}
	if err := s.dropOrphans(ctx, subject); err != nil {
		return nil, err
	}
	err = s.Attestations.Set(ctx, collections.Join(subject, address), devicepb.Attestation{
		Issuer: m.Issuer, Subject: m.Subject, Claim: m.Claim, Level: m.Level, Serial: m.Serial, ExpiresAt: m.ExpiresAt,
	})
	if err != nil {
		return nil, err
	}
	emit(ctx, EventAttest, "subject", m.Subject, "issuer", m.Issuer, "level", strconv.FormatUint(uint64(m.Level), 10),
		"claim", hex.EncodeToString(m.Claim), "expires_at", strconv.FormatInt(m.ExpiresAt, 10))
	level, err := s.level(ctx, subject)
	return &devicepb.MsgAttestResponse{Level: uint32(level)}, err
}

// Revoke makes everything void that the sender attested of a subject up to a
// serial. It works for a removed issuer too, and before the attestation is
// recorded.
func (s msgServer) Revoke(ctx context.Context, m *devicepb.MsgRevoke) (*devicepb.MsgRevokeResponse, error) {
	kind, raw, err := s.subject(m.Subject)
	if err != nil {
		return nil, err
	}
	address, _, err := s.issuer(ctx, m.Issuer)
	if err != nil {
		return nil, err
	}
	subject := subjectKey(kind, raw)
	last, err := s.attestation(ctx, subject, address)
	if err != nil {
		return nil, err
	}
	if m.Serial == 0 || m.Serial < last.Serial {
		return nil, ErrNonce.Wrapf("revoke up to serial %d: the last attestation of %s has %d, use that or more", m.Serial, m.Subject, last.Serial)
	}
	err = s.Attestations.Set(ctx, collections.Join(subject, address), devicepb.Attestation{
		Issuer: m.Issuer, Subject: m.Subject, Serial: m.Serial, Revoked: true,
	})
	if err != nil {
		return nil, err
	}
	emit(ctx, EventAttest, "subject", m.Subject, "issuer", m.Issuer, "level", "0", "claim", "", "expires_at", "0")
	return &devicepb.MsgRevokeResponse{}, nil
}

// SetIssuer adds, changes or, with level 0, removes an issuer.
func (s msgServer) SetIssuer(ctx context.Context, m *devicepb.MsgSetIssuer) (*devicepb.MsgSetIssuerResponse, error) {
	if m.Authority != s.authority {
		return nil, ErrNotYours.Wrapf("issuers are named by %s, not by %s: make a governance proposal", s.authority, m.Authority)
	}
	address, err := s.address("issuer", m.Issuer.Address)
	if err != nil {
		return nil, err
	}
	if m.Issuer.Level == 0 {
		if _, _, err := s.issuer(ctx, m.Issuer.Address); err != nil {
			return nil, err
		}
		return &devicepb.MsgSetIssuerResponse{}, s.Issuers.Remove(ctx, address)
	}
	if err := checkIssuer(m.Issuer); err != nil {
		return nil, err
	}
	known, err := s.Issuers.Has(ctx, address)
	if err != nil {
		return nil, err
	}
	if !known {
		all, err := s.issuers(ctx)
		if err != nil {
			return nil, err
		}
		if len(all) >= MaxIssuers {
			return nil, ErrTooMany.Wrapf("%d issuers, at most %d are allowed: remove one", len(all), MaxIssuers)
		}
	}
	return &devicepb.MsgSetIssuerResponse{}, s.Issuers.Set(ctx, address, m.Issuer)
}

// issuer returns a registered issuer.
func (k *Keeper) issuer(ctx context.Context, text string) ([]byte, devicepb.Issuer, error) {
	address, err := k.address("issuer", text)
	if err != nil {
		return nil, devicepb.Issuer{}, err
	}
	i, err := k.Issuers.Get(ctx, address)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, i, ErrIssuer.Wrapf("%s is not an issuer: governance names them", text)
	}
	return address, i, err
}

// issuers returns all issuers, at most MaxIssuers, in the order of their
// addresses.
func (k *Keeper) issuers(ctx context.Context) (all []devicepb.Issuer, err error) {
	err = k.Issuers.Walk(ctx, nil, func(_ []byte, i devicepb.Issuer) (bool, error) {
		all = append(all, i)
		return false, nil
	})
	return all, err
}

// attestation is the last one of an issuer for a subject, empty for none.
func (k *Keeper) attestation(ctx context.Context, subject, issuer []byte) (devicepb.Attestation, error) {
	a, err := k.Attestations.Get(ctx, collections.Join(subject, issuer))
	if errors.Is(err, collections.ErrNotFound) {
		return devicepb.Attestation{}, nil
	}
	return a, err
}

// attestations returns those of a subject, in the order of their issuers.
func (k *Keeper) attestations(ctx context.Context, subject []byte) (all []devicepb.Attestation, err error) {
	err = k.Attestations.Walk(ctx, collections.NewPrefixedPairRange[[]byte, []byte](subject),
		func(_ collections.Pair[[]byte, []byte], a devicepb.Attestation) (bool, error) {
			all = append(all, a)
			return false, nil
		})
	return all, err
}

// dropOrphans removes what issuers that are gone attested of a subject, so that
// a subject never has more than MaxIssuers attestations.
func (k *Keeper) dropOrphans(ctx context.Context, subject []byte) error {
	all, err := k.attestations(ctx, subject)
	if err != nil {
		return err
	}
	for _, a := range all {
		address, err := k.address("issuer", a.Issuer)
		if err != nil {
			return err
		}
		known, err := k.Issuers.Has(ctx, address)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if err := k.Attestations.Remove(ctx, collections.Join(subject, address)); err != nil {
			return err
		}
	}
	return nil
}

// level is the highest that counts now: of an issuer that still is one, not
// revoked, not expired, and not above what the issuer may give.
func (k *Keeper) level(ctx context.Context, subject []byte) (uint8, error) {
	all, err := k.attestations(ctx, subject)
	if err != nil {
		return 0, err
	}
	now := sdk.UnwrapSDKContext(ctx).BlockTime().Unix()
	var level uint8
	for _, a := range all {
		if a.Revoked {
			continue
		}
		_, issuer, err := k.issuer(ctx, a.Issuer)
		if errors.Is(err, ErrIssuer) {
			continue
		}
		if err != nil {
			return 0, err
		}
		stated := device.Attestation{Level: uint8(a.Level), Expires: a.ExpiresAt}
		level = max(level, stated.LevelAt(now, uint8(issuer.Level)))
	}
	return level, nil
}

// DeviceLevel is the highest level that issuers attest of a device now, 0 for
// none. It raises caps; it never stands in for a check.
func (k *Keeper) DeviceLevel(ctx context.Context, id device.ID) (uint8, error) {
	return k.level(ctx, subjectKey(device.SubjectDevice, id[:]))
}

// PayerLevel is the highest level that issuers attest of an account now, 0 for
// none: above 0 it is known demand.
func (k *Keeper) PayerLevel(ctx context.Context, account sdk.AccAddress) (uint8, error) {
	return k.level(ctx, subjectKey(device.SubjectAccount, account))
}

// CapOf is the reward cap of a level, in basis points of the cap without
// attestation; money.Whole for level 0.
func (k *Keeper) CapOf(ctx context.Context, level uint8) (money.BPS, error) {
	if level == 0 {
		return money.Whole, nil
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if int(level) > len(params.LevelCaps) {
		return 0, ErrInvalid.Wrapf("level %d: there are %d", level, len(params.LevelCaps))
	}
	return money.BPS(params.LevelCaps[level-1]), nil
}

func checkIssuer(i devicepb.Issuer) error {
	if i.Level == 0 || i.Level > device.MaxLevel {
		return ErrInvalid.Wrapf("issuer %s has level %d: use 1 to %d", i.Address, i.Level, device.MaxLevel)
	}
	if strings.TrimSpace(i.Name) == "" || !plain(i.Name, MaxIssuerName) {
		return ErrInvalid.Wrapf("name of issuer %s is %d bytes: use 1 to %d bytes of printable text", i.Address, len(i.Name), MaxIssuerName)
	}
	_, err := publicKey(i.KeyType, i.PublicKey)
	return err
}

// refuseAttestation gives the reason its code.
func refuseAttestation(err error) error {
	switch {
	case errors.Is(err, device.ErrNonce):
		return ErrNonce.Wrapf("%v: the issuer must sign again with a larger serial", err)
	case errors.Is(err, device.ErrSignature):
		return ErrSignature.Wrapf("%v: the issuer must sign the subject, claim, level, serial and expiry of this message", err)
	}
	return ErrInvalid.Wrap(err.Error())
}
