package device

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestAttestBytesVector(t *testing.T) {
	a := Attestation{Kind: SubjectAccount, Subject: []byte{0xaa, 0xbb}, Claim: [32]byte{0x11}, Level: 2, Serial: 0x0102030405060708, Expires: 0x1112}
	b, err := a.Bytes("grange-local-1")
	if err != nil {
		t.Fatal(err)
	}
	chain := sha256.Sum256([]byte("grange-local-1"))
	expected := "6772616e67652f6174746573742f76310000000000000000" + hex.EncodeToString(chain[:]) + "02aabb" + "02" +
		"11" + strings.Repeat("00", 31) + "02" + "0102030405060708" + "0000000000001112"
	if got := hex.EncodeToString(b); got != expected {
		t.Fatalf("sign bytes\n%s, want\n%s", got, expected)
	}
}

func TestObjectBytesVector(t *testing.T) {
	b, err := ObjectBytes("grange-local-1", ID{0x22}, []byte{0xaa, 0xbb}, 7)
	if err != nil {
		t.Fatal(err)
	}
	chain := sha256.Sum256([]byte("grange-local-1"))
	expected := "6772616e67652f6f626a6563742f76310000000000000000" + hex.EncodeToString(chain[:]) +
		"22" + strings.Repeat("00", 31) + "02aabb" + "0000000000000007"
	if got := hex.EncodeToString(b); got != expected {
		t.Fatalf("sign bytes\n%s, want\n%s", got, expected)
	}
}

func TestVerifyAttestation(t *testing.T) {
	for _, kind := range kinds {
		s := newSigner(t, kind)
		key, err := NewPublicKey(kind, s.public)
		if err != nil {
			t.Fatal(err)
		}
		good := Attestation{Kind: SubjectDevice, Subject: make([]byte, 32), Level: 2, Serial: 5, Expires: 100}
		for _, c := range []struct {
			name  string
			forge func(a *Attestation) // after
			limit uint8
			last  uint64
			now   int64
			chain string
			want  error
		}{
			{name: "good"},
			{name: "level above the issuer's", limit: 1, want: ErrAttestation},
			{name: "expired", now: 100, want: ErrAttestation},
			{name: "last second", now: 99},
			{name: "serial used", last: 5, want: ErrNonce},
			{name: "older serial", last: 6, want: ErrNonce},
			{name: "another chain", chain: "other", want: ErrSignature},
			{name: "raised level", forge: func(a *Attestation) { a.Level = 3 }, want: ErrSignature},
			{name: "longer", forge: func(a *Attestation) { a.Expires++ }, want: ErrSignature},
			{name: "another subject", forge: func(a *Attestation) { a.Subject = append(make([]byte, 31), 1) }, want: ErrSignature},
			{name: "a device id read as an account", forge: func(a *Attestation) { a.Kind = SubjectAccount }, want: ErrSignature},
			{name: "another claim", forge: func(a *Attestation) { a.Claim[0] = 1 }, want: ErrSignature},
			{name: "level 0", forge: func(a *Attestation) { a.Level = 0 }, want: ErrAttestation},
			{name: "level 4", forge: func(a *Attestation) { a.Level = 4 }, want: ErrAttestation},
			{name: "serial 0", forge: func(a *Attestation) { a.Serial = 0 }, want: ErrAttestation},
			{name: "unknown kind", forge: func(a *Attestation) { a.Kind = 3 }, want: ErrAttestation},
			{name: "short id", forge: func(a *Attestation) { a.Subject = a.Subject[1:] }, want: ErrAttestation},
			{name: "account without address", forge: func(a *Attestation) { a.Kind, a.Subject = SubjectAccount, nil }, want: ErrAddress},
		} {
			t.Run(kind.String()+" "+c.name, func(t *testing.T) {
				a := good
				message, err := a.Bytes("grange-1")
				if err != nil {
					t.Fatal(err)
				}
				signature := s.sign(message)
				if c.forge != nil {
					c.forge(&a)
				}
				if c.limit == 0 {
					c.limit = MaxLevel
				}
				if c.chain == "" {
					c.chain = "grange-1"
				}
				if err := a.Verify(key, c.limit, c.chain, c.last, c.now, signature); !errors.Is(err, c.want) {
					t.Fatalf("error is %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestLevelAt(t *testing.T) {
	a := Attestation{Level: 3, Expires: 100}
	for _, c := range []struct {
		name  string
		now   int64
		limit uint8
		want  uint8
	}{
		{"all of it", 99, 3, 3},
		{"the issuer was lowered", 99, 1, 1},
		{"the issuer is gone", 99, 0, 0},
		{"expired", 100, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := a.LevelAt(c.now, c.limit); got != c.want {
				t.Fatalf("level %d, want %d", got, c.want)
			}
		})
	}
}

func TestVerifyObject(t *testing.T) {
	s := newSigner(t, Ed25519)
	key, err := NewPublicKey(Ed25519, s.public)
	if err != nil {
		t.Fatal(err)
	}
	thief := []byte{1, 2, 3}
	message, err := ObjectBytes("c", key.ID(), thief, 9)
	if err != nil {
		t.Fatal(err)
	}
	signature := s.sign(message)
	for _, c := range []struct {
		name        string
		chain       string
		announced   []byte
		last, nonce uint64
		want        error
	}{
		{"good", "c", thief, 8, 9, nil},
		{"used", "c", thief, 9, 9, ErrNonce},
		{"another nonce", "c", thief, 8, 10, ErrSignature},
		{"another owner", "c", []byte{4}, 8, 9, ErrSignature},
		{"another chain", "d", thief, 8, 9, ErrSignature},
		{"no owner", "c", nil, 8, 9, ErrAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := VerifyObject(key, c.chain, c.announced, c.last, c.nonce, signature); !errors.Is(err, c.want) {
				t.Fatalf("error is %v, want %v", err, c.want)
			}
		})
	}
	t.Run("a consent to a transfer is no objection", func(t *testing.T) {
		message, err := TransferBytes("c", key.ID(), thief, 9)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyObject(key, "c", thief, 8, 9, s.sign(message)); !errors.Is(err, ErrSignature) {
			t.Fatalf("error is %v", err)
		}
	})
}
