package device

import (
	"crypto/ed25519"
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

func announce(t testing.TB, k *Keeper, ctx sdk.Context, id device.ID, owner, to string) {
	t.Helper()
	_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: owner, Device: id.String(), Announce: &devicepb.Announce{NewOwner: to}})
	if err != nil {
		t.Fatal(err)
	}
}

func lien(to string, most uint64) devicepb.PayoutSplit {
	return devicepb.PayoutSplit{To: to, Bps: 5000, Denom: "ucredit", Cap: most, Lien: true}
}

func setPayouts(t testing.TB, k *Keeper, ctx sdk.Context, id device.ID, owner string, splits ...devicepb.PayoutSplit) {
	t.Helper()
	_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: owner, Device: id.String(), Payouts: &devicepb.Payouts{Splits: splits}})
	if err != nil {
		t.Fatal(err)
	}
}

func objection(t testing.TB, seed byte, id device.ID, announced string, nonce uint64) *devicepb.MsgObject {
	t.Helper()
	message, err := device.ObjectBytes("c", id, mustAddress(t, announced), nonce)
	if err != nil {
		t.Fatal(err)
	}
	return &devicepb.MsgObject{Signer: account(77), Device: id.String(), Nonce: nonce, Signature: ed25519.Sign(secret(seed), message)}
}

func TestAnnouncedOwnerWaits(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	epoch := clock(10)
	k.SetEpochs(&epoch)
	server := NewMsgServer(k)
	id := put(t, k, ctx, 1, account(1))
	setPayouts(t, k, ctx, id, account(1), lien(account(7), 50), devicepb.PayoutSplit{To: account(3), Bps: 100})
	take := func(who byte) error {
		_, err := server.TakeOver(ctx, &devicepb.MsgTakeOver{NewOwner: account(who), Device: id.String()})
		return err
	}

	if err := take(2); !errors.Is(err, ErrNotYours) {
		t.Fatalf("taken over without a word of the owner: %v", err)
	}
	announce(t, k, ctx, id, account(1), account(2))
	d, err := k.Get(ctx, id)
	if err != nil || d.Pending == nil || d.Pending.FromEpoch != 18 || d.Owner != account(1) {
		t.Fatalf("device is %+v: %v", d, err)
	}
	epoch = 17
	if err := take(2); !errors.Is(err, ErrTooEarly) {
		t.Fatalf("taken over one epoch early: %v", err)
	}
	epoch = 18
	if err := take(3); !errors.Is(err, ErrNotYours) {
		t.Fatalf("taken over by another: %v", err)
	}
	if err := take(2); err != nil {
		t.Fatal(err)
	}
	d, err = k.Get(ctx, id)
	if err != nil || d.Owner != account(2) || d.Pending != nil || len(d.Payouts) != 1 || d.Payouts[0] != lien(account(7), 50) {
		t.Fatalf("want the new owner with the lien alone, device is %+v: %v", d, err)
	}
	for who, want := range map[byte]uint64{1: 0, 2: 1} {
		if n, err := k.count(ctx, mustAddress(t, account(who))); err != nil || n != want {
			t.Errorf("account %d has %d devices, want %d: %v", who, n, want, err)
		}
	}
	if err := take(2); !errors.Is(err, ErrNotYours) {
		t.Fatalf("taken over twice: %v", err)
	}
}

func TestObjections(t *testing.T) {
	for _, c := range []struct {
		name    string
		message func(t *testing.T, id device.ID) *devicepb.MsgObject
		want    error
	}{
		{"the device", func(t *testing.T, id device.ID) *devicepb.MsgObject { return objection(t, 1, id, account(2), 2) }, nil},
		{"a lender", func(_ *testing.T, id device.ID) *devicepb.MsgObject {
			return &devicepb.MsgObject{Signer: account(7), Device: id.String()}
		}, nil},
		{"a beneficiary without a lien", func(_ *testing.T, id device.ID) *devicepb.MsgObject {
			return &devicepb.MsgObject{Signer: account(3), Device: id.String()}
		}, ErrNotYours},
		{"another device", func(t *testing.T, id device.ID) *devicepb.MsgObject { return objection(t, 2, id, account(2), 2) }, ErrSignature},
		{"against another owner", func(t *testing.T, id device.ID) *devicepb.MsgObject { return objection(t, 1, id, account(3), 2) }, ErrSignature},
		{"with a used nonce", func(t *testing.T, id device.ID) *devicepb.MsgObject { return objection(t, 1, id, account(2), 1) }, ErrNonce},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, ctx, _ := newKeeper(t)
			id := put(t, k, ctx, 1, account(1))
			setPayouts(t, k, ctx, id, account(1), lien(account(7), 50), devicepb.PayoutSplit{To: account(3), Bps: 100})
			if _, err := NewMsgServer(k).Object(ctx, c.message(t, id)); !errors.Is(err, ErrInvalid) {
				t.Fatalf("objected to nothing: %v", err)
			}
			announce(t, k, ctx, id, account(1), account(2))
			_, err := NewMsgServer(k).Object(ctx, c.message(t, id))
			if !errors.Is(err, c.want) {
				t.Fatalf("error is %v, want %v", err, c.want)
			}
			d, err := k.Get(ctx, id)
			if err != nil || (d.Pending == nil) != (c.want == nil) {
				t.Fatalf("device is %+v: %v", d, err)
			}
			if _, err := NewMsgServer(k).Object(ctx, c.message(t, id)); c.want == nil && err == nil {
				t.Fatal("objected twice")
			}
		})
	}
}

func TestAnnounceRefuses(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	id := put(t, k, ctx, 1, account(1))
	module := make([]byte, 20)
	module[0] = 0xff
	for _, c := range []struct {
		name string
		by   byte
		to   string
		more *devicepb.Transfer
		want error
	}{
		{"somebody else", 2, account(3), nil, ErrNotYours},
		{"to himself", 1, account(1), nil, ErrInvalid},
		{"to a module", 1, sdk.AccAddress(module).String(), nil, ErrInvalid},
		{"to nobody", 1, "x", nil, ErrInvalid},
		{"with a transfer", 1, account(2), &devicepb.Transfer{}, ErrInvalid},
		{"withdraw nothing", 1, "", nil, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{
				Owner: account(c.by), Device: id.String(), Announce: &devicepb.Announce{NewOwner: c.to}, Transfer: c.more,
			})
			if !errors.Is(err, c.want) {
				t.Fatalf("error is %v, want %v", err, c.want)
			}
		})
	}
	announce(t, k, ctx, id, account(1), account(2))
	announce(t, k, ctx, id, account(1), "")
	if d, err := k.Get(ctx, id); err != nil || d.Pending != nil {
		t.Fatalf("device is %+v: %v", d, err)
	}
}

// Invariant 10 of the ledger: whatever owners, devices, lenders and strangers try
// in any order, a device has one owner who is counted once, its nonce never
// falls, and a lien goes only by its beneficiary's release or by being paid.
func TestOwnersNeverRemoveALien(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k, ctx, _ := newKeeper(t)
		server := NewMsgServer(k)
		epoch := clock(1)
		k.SetEpochs(&epoch)
		id := put(t, k, ctx, 1, account(1))
		const people = 4
		who := func(label string) string { return account(rapid.ByteRange(1, people).Draw(rt, label)) }
		owed := map[string]uint64{} // by lender, what the liens may still pay
		nonce, owner := uint64(1), account(1)
		before := func() map[string]uint64 {
			got := map[string]uint64{}
			d, err := k.Get(ctx, id)
			if err != nil {
				rt.Fatal(err)
			}
			for _, s := range splitsFrom(d.Payouts) {
				if s.Lien {
					got[s.To] += s.Owed()
				}
			}
			return got
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			actor, other := who("actor"), who("other")
			next := rapid.Uint64Range(0, nonce+2).Draw(rt, "nonce")
			update := &devicepb.MsgUpdate{Owner: actor, Device: id.String()}
			switch rapid.IntRange(0, 8).Draw(rt, "what") {
			case 0: // promise a lender or others
				s := lien(other, rapid.Uint64Range(1, 1000).Draw(rt, "cap"))
				s.Bps = rapid.Uint32Range(1, 5000).Draw(rt, "share")
				s.Lien = rapid.Bool().Draw(rt, "lien")
				update.Payouts = &devicepb.Payouts{Splits: []devicepb.PayoutSplit{s}}
				same := before()
				if _, err := server.Update(ctx, update); err == nil && s.Lien {
					if after := before(); after[other] != same[other] { // not the lien there was
						owed[other] += s.Cap
					}
				}
			case 1: // forget everybody
				update.Payouts = &devicepb.Payouts{}
				_, _ = server.Update(ctx, update)
			case 2: // hand over with the device's signature, right or wrong
				message, _ := device.TransferBytes("c", id, mustAddress(t, other), next)
				update.Transfer = &devicepb.Transfer{NewOwner: other, Nonce: next, Signature: ed25519.Sign(secret(1), message)}
				_, _ = server.Update(ctx, update)
			case 3:
				update.Announce = &devicepb.Announce{NewOwner: other}
				_, _ = server.Update(ctx, update)
			case 4:
				_, _ = server.TakeOver(ctx, &devicepb.MsgTakeOver{NewOwner: actor, Device: id.String()})
			case 5:
				_, _ = server.Object(ctx, &devicepb.MsgObject{Signer: actor, Device: id.String()})
			case 6:
				_, _ = server.Object(ctx, objection(t, 1, id, other, next))
			case 7:
				if _, err := server.ReleaseLien(ctx, &devicepb.MsgReleaseLien{Beneficiary: actor, Device: id.String()}); err == nil {
					delete(owed, actor)
				}
			case 8: // it earns
				epoch += clock(rapid.IntRange(0, 9).Draw(rt, "epochs"))
				was := before()
				if err := k.Payout(ctx, "market", "ucredit", []Earning{{id, rapid.Uint64Range(0, 2000).Draw(rt, "earned")}}); err != nil {
					rt.Fatal(err)
				}
				left := before()
				for lender := range was {
					owed[lender] -= was[lender] - left[lender]
				}
			}
			for lender, want := range owed {
				if got := before()[lender]; got != want {
					rt.Fatalf("lender %s may still get %d, want %d", lender, got, want)
				}
			}
			checkOwnership(rt, k, ctx, id, &nonce, &owner, people)
		}
	})
}

// checkOwnership compares the device with the index and the counts, and its
// nonce with the last one seen.
func checkOwnership(rt *rapid.T, k *Keeper, ctx sdk.Context, id device.ID, nonce *uint64, owner *string, people byte) {
	d, err := k.Get(ctx, id)
	if err != nil {
		rt.Fatal(err)
	}
	if d.Nonce < *nonce {
		rt.Fatalf("nonce fell from %d to %d", *nonce, d.Nonce)
	}
	if d.Owner != *owner && d.Pending != nil {
		rt.Fatalf("the new owner %s inherits an announcement for %s", d.Owner, d.Pending.NewOwner)
	}
	*nonce, *owner = d.Nonce, d.Owner
	for n := byte(1); n <= people; n++ {
		got, err := k.count(ctx, mustAddress(rt, account(n)))
		want := uint64(0)
		if account(n) == d.Owner {
			want = 1
		}
		if err != nil || got != want {
			rt.Fatalf("%s has %d devices, want %d: %v", account(n), got, want, err)
		}
	}
}
