package device

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxLevel is the highest level of an attestation. 1: the issuer knows whose it
// is (a serial number, a customer). 2: the key is in hardware that gives no
// copies. 3: the software that runs was measured as well.
const MaxLevel = 3

// ErrAttestation is why an attestation is refused; test with errors.Is.
var ErrAttestation = errors.New("attestation is not valid")

// SubjectKind says what an attestation is about.
type SubjectKind uint8

// The kinds of subjects. The number is part of what is signed.
const (
	SubjectDevice  SubjectKind = 1 // 32 bytes of a device id
	SubjectAccount SubjectKind = 2 // an account address
)

// Attestation is what an issuer says of a subject. It never replaces a check: it
// only raises a cap.
type Attestation struct {
	Kind    SubjectKind
	Subject []byte
	// Claim is the hash of what the issuer claims and publishes elsewhere.
	Claim [32]byte
	// Level is 1 to MaxLevel.
	Level uint8
	// Serial grows with each attestation of an issuer for a subject, so that an
	// old or revoked one cannot be brought again.
	Serial uint64
	// Expires is in Unix seconds.
	Expires int64
}

// Bytes is what the issuer signs:
//
//	domain 24 ‖ SHA-256(chain id) 32 ‖ subject length u8 ‖ subject ‖ kind u8 ‖
//	claim 32 ‖ level u8 ‖ serial u64 BE ‖ expiry u64 BE
func (a Attestation) Bytes(chainID string) ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	b, err := signHead(domainAttest, chainID, nil, a.Subject)
	if err != nil {
		return nil, err
	}
	b = append(b, byte(a.Kind))
	b = append(b, a.Claim[:]...)
	b = append(b, a.Level)
	b = binary.BigEndian.AppendUint64(b, a.Serial)
	return binary.BigEndian.AppendUint64(b, uint64(a.Expires)), nil
}

func (a Attestation) check() error {
	switch {
	case a.Kind == SubjectDevice && len(a.Subject) != len(ID{}):
		return fmt.Errorf("%w: a device id of %d bytes, want %d", ErrAttestation, len(a.Subject), len(ID{}))
	case a.Kind != SubjectDevice && a.Kind != SubjectAccount:
		return fmt.Errorf("%w: subject kind %d, want %d or %d", ErrAttestation, a.Kind, SubjectDevice, SubjectAccount)
	case a.Level == 0 || a.Level > MaxLevel:
		return fmt.Errorf("%w: level %d, want 1 to %d", ErrAttestation, a.Level, MaxLevel)
	case a.Serial == 0:
		return fmt.Errorf("%w: serial 0, want at least 1", ErrAttestation)
	}
	return nil
}

// Verify checks a new attestation at now, in Unix seconds, against the issuer's
// key, the highest level the issuer may give, and the last serial of this issuer
// for this subject (0 for none).
func (a Attestation) Verify(issuer PublicKey, limit uint8, chainID string, last uint64, now int64, signature []byte) error {
	message, err := a.Bytes(chainID)
	if err != nil {
		return err
	}
	switch {
	case a.Level > limit:
		return fmt.Errorf("%w: level %d, this issuer may give at most %d", ErrAttestation, a.Level, limit)
	case a.Expires <= now:
		return fmt.Errorf("%w: expired at %d, now is %d", ErrAttestation, a.Expires, now)
	case a.Serial <= last:
		return fmt.Errorf("attest %x: %w: serial %d, last was %d", a.Subject, ErrNonce, a.Serial, last)
	case !issuer.Verify(message, signature):
		return fmt.Errorf("attest %x: %w (chain %q, level %d, serial %d, expiry %d)", a.Subject, ErrSignature, chainID, a.Level, a.Serial, a.Expires)
	}
	return nil
}

// LevelAt is what the attestation counts for at now: at most what its issuer may
// give today, 0 once it has expired.
func (a Attestation) LevelAt(now int64, limit uint8) uint8 {
	if a.Expires <= now {
		return 0
	}
	return min(a.Level, limit)
}
