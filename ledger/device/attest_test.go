package device

import (
	"crypto/ed25519"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// nameIssuer makes account(100+n) an issuer by governance; its key is secret(100+n).
func nameIssuer(t testing.TB, k *Keeper, ctx sdk.Context, n byte, level uint32) {
	t.Helper()
	_, err := NewMsgServer(k).SetIssuer(ctx, &devicepb.MsgSetIssuer{Authority: account(9), Issuer: devicepb.Issuer{
		Address: account(100 + n), Name: "maker of boxes", KeyType: devicepb.KEY_TYPE_ED25519,
		PublicKey: secret(100 + n).Public().(ed25519.PublicKey), Level: level,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// statement is what issuer n signed.
func statement(t testing.TB, k *Keeper, n byte, subject string, level uint32, serial uint64, expires int64) *devicepb.MsgAttest {
	t.Helper()
	kind, raw, err := k.subject(subject)
	if err != nil {
		t.Fatal(err)
	}
	a := device.Attestation{Kind: kind, Subject: raw, Claim: [32]byte{1}, Level: uint8(level), Serial: serial, Expires: expires}
	message, err := a.Bytes("c")
	if err != nil {
		t.Fatal(err)
	}
	return &devicepb.MsgAttest{
		Signer: account(50), Issuer: account(100 + n), Subject: subject, Claim: a.Claim[:], Level: level, Serial: serial, ExpiresAt: expires,
		Signature: ed25519.Sign(secret(100+n), message),
	}
}

func attest(t testing.TB, k *Keeper, ctx sdk.Context, n byte, subject string, level uint32, serial uint64, expires int64) uint32 {
	t.Helper()
	r, err := NewMsgServer(k).Attest(ctx, statement(t, k, n, subject, level, serial, expires))
	if err != nil {
		t.Fatal(err)
	}
	return r.Level
}

func at(ctx sdk.Context, seconds int64) sdk.Context {
	return ctx.WithBlockTime(time.Unix(seconds, 0).UTC())
}

func payerLevel(t testing.TB, k *Keeper, ctx sdk.Context, n byte) uint8 {
	t.Helper()
	level, err := k.PayerLevel(ctx, mustAddress(t, account(n)))
	if err != nil {
		t.Fatal(err)
	}
	return level
}

func TestLevels(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	ctx = at(ctx, 10)
	nameIssuer(t, k, ctx, 1, 2)
	nameIssuer(t, k, ctx, 2, 3)
	id := put(t, k, ctx, 1, account(1))

	if got := attest(t, k, ctx, 1, account(4), 1, 1, 100); got != 1 {
		t.Fatalf("level %d, want 1", got)
	}
	if got := attest(t, k, ctx, 2, account(4), 3, 1, 50); got != 3 {
		t.Fatalf("level %d, want the higher of two issuers", got)
	}
	if got := payerLevel(t, k, at(ctx, 50), 4); got != 1 {
		t.Fatalf("level %d after the higher one expired, want 1", got)
	}
	if got := payerLevel(t, k, at(ctx, 100), 4); got != 0 {
		t.Fatalf("level %d after all expired, want 0", got)
	}
	if got := payerLevel(t, k, ctx, 5); got != 0 {
		t.Fatalf("an account nobody attests has level %d", got)
	}

	attest(t, k, ctx, 2, id.String(), 3, 1, 100)
	level, err := k.DeviceLevel(ctx, id)
	if err != nil || level != 3 {
		t.Fatalf("device has level %d: %v", level, err)
	}
	for level, want := range []money.BPS{10_000, 15_000, 20_000, 30_000} {
		if got, err := k.CapOf(ctx, uint8(level)); err != nil || got != want {
			t.Errorf("cap of level %d is %d, want %d: %v", level, got, want, err)
		}
	}
	if _, err := k.CapOf(ctx, 4); err == nil {
		t.Error("level 4 has a cap")
	}

	nameIssuer(t, k, ctx, 2, 1) // governance trusts it less
	if level, _ = k.DeviceLevel(ctx, id); level != 1 {
		t.Fatalf("level %d of an issuer that may give 1", level)
	}
	_, err = NewMsgServer(k).SetIssuer(ctx, &devicepb.MsgSetIssuer{Authority: account(9), Issuer: devicepb.Issuer{Address: account(102)}})
	if err != nil {
		t.Fatal(err)
	}
	if level, _ = k.DeviceLevel(ctx, id); level != 0 {
		t.Fatalf("level %d of an issuer that is gone", level)
	}
	attest(t, k, ctx, 1, id.String(), 1, 1, 100)
	r, err := NewQueryServer(k).Attestations(ctx, &devicepb.QueryAttestationsRequest{Subject: id.String()})
	if err != nil || len(r.Attestations) != 1 || r.Level != 1 || r.CapBps != 15_000 {
		t.Fatalf("what a removed issuer said was not dropped: %+v, %v", r, err)
	}
}

func TestRevokedForGood(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	nameIssuer(t, k, ctx, 1, 3)
	server := NewMsgServer(k)
	old := statement(t, k, 1, account(4), 3, 5, math.MaxInt64)
	attest(t, k, ctx, 1, account(4), 3, 4, math.MaxInt64)
	if _, err := server.Revoke(ctx, &devicepb.MsgRevoke{Issuer: account(101), Subject: account(4), Serial: 3}); !errors.Is(err, ErrNonce) {
		t.Fatalf("a serial below the recorded one revokes nothing: %v", err)
	}
	// Serial 5 was given out and not recorded yet.
	if _, err := server.Revoke(ctx, &devicepb.MsgRevoke{Issuer: account(101), Subject: account(4), Serial: 5}); err != nil {
		t.Fatal(err)
	}
	if got := payerLevel(t, k, ctx, 4); got != 0 {
		t.Fatalf("level %d after it was revoked", got)
	}
	if _, err := server.Attest(ctx, old); !errors.Is(err, ErrNonce) {
		t.Fatalf("a revoked attestation came back: %v", err)
	}
	if got := attest(t, k, ctx, 1, account(4), 1, 6, 100); got != 1 {
		t.Fatalf("level %d of a new attestation", got)
	}
	if _, err := server.Revoke(ctx, &devicepb.MsgRevoke{Issuer: account(1), Subject: account(4), Serial: 9}); !errors.Is(err, ErrIssuer) {
		t.Fatalf("somebody else revoked: %v", err)
	}
}

func TestAttestRefuses(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	ctx = at(ctx, 1000)
	nameIssuer(t, k, ctx, 1, 2)
	for _, c := range []struct {
		name   string
		change func(m *devicepb.MsgAttest)
		want   error
	}{
		{"level above the issuer's", func(m *devicepb.MsgAttest) { *m = *statement(t, k, 1, account(4), 3, 1, 5000) }, ErrInvalid},
		{"level beyond a byte", func(m *devicepb.MsgAttest) { m.Level = 258 }, ErrInvalid},
		{"expired", func(m *devicepb.MsgAttest) { *m = *statement(t, k, 1, account(4), 1, 1, 1000) }, ErrInvalid},
		{"another subject", func(m *devicepb.MsgAttest) { m.Subject = account(5) }, ErrSignature},
		{"no subject", func(m *devicepb.MsgAttest) { m.Subject = "" }, ErrInvalid},
		{"long subject", func(m *devicepb.MsgAttest) { m.Subject = strings.Repeat("a", 5000) }, ErrInvalid},
		{"signed by another", func(m *devicepb.MsgAttest) { *m = *statement(t, k, 2, account(4), 1, 1, 5000); m.Issuer = account(101) }, ErrSignature},
		{"nobody's issuer", func(m *devicepb.MsgAttest) { m.Issuer = account(102) }, ErrIssuer},
		{"issuer is no address", func(m *devicepb.MsgAttest) { m.Issuer = "x" }, ErrInvalid},
		{"short claim", func(m *devicepb.MsgAttest) { m.Claim = m.Claim[1:] }, ErrInvalid},
		{"no signature", func(m *devicepb.MsgAttest) { m.Signature = nil }, ErrSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := statement(t, k, 1, account(4), 2, 1, 5000)
			c.change(m)
			if _, err := NewMsgServer(k).Attest(ctx, m); !errors.Is(err, c.want) {
				t.Fatalf("error is %v, want %v", err, c.want)
			}
		})
	}
	t.Run("replayed", func(t *testing.T) {
		m := statement(t, k, 1, account(4), 2, 1, 5000)
		if _, err := NewMsgServer(k).Attest(ctx, m); err != nil {
			t.Fatal(err)
		}
		if _, err := NewMsgServer(k).Attest(ctx, m); !errors.Is(err, ErrNonce) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("issuers are named by governance", func(t *testing.T) {
		_, err := NewMsgServer(k).SetIssuer(ctx, &devicepb.MsgSetIssuer{Authority: account(1), Issuer: devicepb.Issuer{Address: account(1), Level: 3}})
		if !errors.Is(err, ErrNotYours) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("so many issuers and no more", func(t *testing.T) {
		for n := byte(2); n <= MaxIssuers; n++ {
			nameIssuer(t, k, ctx, n, 1)
		}
		_, err := NewMsgServer(k).SetIssuer(ctx, &devicepb.MsgSetIssuer{Authority: account(9), Issuer: devicepb.Issuer{
			Address: account(99), Name: "one more", KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: secret(99).Public().(ed25519.PublicKey), Level: 1,
		}})
		if !errors.Is(err, ErrTooMany) {
			t.Fatalf("error is %v", err)
		}
		nameIssuer(t, k, ctx, 2, 2) // changing one is fine
	})
}

// Whatever issuers say and take back in any order, a serial counts once, and the
// level is the highest of what each said last.
func TestLevelIsTheHighestOfTheLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k, ctx, _ := newKeeper(t)
		type said struct {
			level   uint32
			serial  uint64
			expires int64
		}
		limits := []uint32{1, 2, 3}
		last := make([]said, len(limits))
		for i, l := range limits {
			nameIssuer(t, k, ctx, byte(i+1), l)
		}
		var now int64
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now += rapid.Int64Range(0, 5).Draw(rt, "passed")
			ctx = at(ctx, now)
			i := rapid.IntRange(0, len(limits)-1).Draw(rt, "issuer")
			next := said{rapid.Uint32Range(1, 3).Draw(rt, "level"), rapid.Uint64Range(1, 12).Draw(rt, "serial"), rapid.Int64Range(0, 60).Draw(rt, "expiry")}
			if rapid.IntRange(0, 4).Draw(rt, "revoke") == 0 {
				_, err := NewMsgServer(k).Revoke(ctx, &devicepb.MsgRevoke{Issuer: account(byte(101 + i)), Subject: account(4), Serial: next.serial})
				if (err == nil) != (next.serial >= last[i].serial) {
					rt.Fatalf("revoke serial %d after %d: %v", next.serial, last[i].serial, err)
				}
				if err == nil {
					last[i] = said{serial: next.serial}
				}
			} else {
				_, err := NewMsgServer(k).Attest(ctx, statement(t, k, byte(i+1), account(4), next.level, next.serial, next.expires))
				if (err == nil) != (next.serial > last[i].serial && next.level <= limits[i] && next.expires > now) {
					rt.Fatalf("attest %+v after %+v at %d: %v", next, last[i], now, err)
				}
				if err == nil {
					last[i] = next
				}
			}
			var want uint32
			for _, s := range last {
				if s.expires > now {
					want = max(want, s.level)
				}
			}
			if got := payerLevel(t, k, ctx, 4); uint32(got) != want {
				rt.Fatalf("level %d at %d, want %d of %+v", got, now, want, last)
			}
		}
	})
}
