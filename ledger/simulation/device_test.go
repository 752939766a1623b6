package simulation

import (
	"crypto/ed25519"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

func (w *world) register(v view) sdk.Msg {
	u, _ := pick(w, w.units)
	if known := slices.ContainsFunc(v.devices, func(d devicepb.Device) bool { return d.Id == u.id.String() }); known && !w.chance(10) {
		return nil
	}
	owner := w.someone()
	nonce := 1 + w.rng.Uint64N(3)
	message, err := coredevice.RegisterBytes(chainID, owner.Address(), nonce)
	w.must(err)
	return &devicepb.MsgRegister{Owner: owner.address, KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: u.key.Public().(ed25519.PublicKey), Nonce: nonce,
		Signature: ed25519.Sign(u.key, message), Profile: w.profile(0)}
}

func (w *world) profile(cell uint64) devicepb.Profile {
	p := devicepb.Profile{Class: devicepb.CLASS_DRN, Capabilities: []string{"storage-node"}, Cell: cell, Status: devicepb.STATUS_ACTIVE}
	if w.chance(25) {
		p.Class, p.Cell = devicepb.CLASS_PRN, 0x8a2a1072b59ffff+w.rng.Uint64N(3)<<15
	}
	if w.chance(5) {
		p.Status = devicepb.STATUS_PAUSED
	}
	return p
}

func (w *world) update(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	if !ok {
		return nil
	}
	msg := &devicepb.MsgUpdate{Owner: d.Owner, Device: d.Id}
	if w.chance(50) {
		p := w.profile(d.Profile.Cell)
		msg.Profile = &p
		return msg
	}
	msg.Payouts = &devicepb.Payouts{}
	for range w.rng.IntN(3) {
		s := devicepb.PayoutSplit{To: w.someone().address, Bps: w.rng.Uint32N(6_000)}
		if w.chance(40) {
			s.Lien, s.Cap, s.Denom = true, 1+w.rng.Uint64N(100_000), money.CreditDenom
		}
		msg.Payouts.Splits = append(msg.Payouts.Splits, s)
	}
	return msg
}

func (w *world) transfer(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	u, known := w.unitByText(d.Id)
	if !ok || !known {
		return nil
	}
	to := w.someone()
	nonce := d.Nonce + w.rng.Uint64N(3)
	message, err := coredevice.TransferBytes(chainID, u.id, to.Address(), nonce)
	w.must(err)
	return &devicepb.MsgUpdate{Owner: d.Owner, Device: d.Id, Transfer: &devicepb.Transfer{NewOwner: to.address, Nonce: nonce, Signature: ed25519.Sign(u.key, message)}}
}

func (w *world) release(v view) sdk.Msg {
	for _, d := range v.devices {
		for _, p := range d.Payouts {
			if p.Lien && w.chance(30) {
				return &devicepb.MsgReleaseLien{Beneficiary: p.To, Device: d.Id}
			}
		}
	}
	return nil
}

// announce says who is to have a device, or takes that back.
func (w *world) announce(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	if !ok {
		return nil
	}
	to := w.someone().address
	if d.Pending != nil && w.chance(30) {
		to = ""
	}
	return &devicepb.MsgUpdate{Owner: d.Owner, Device: d.Id, Announce: &devicepb.Announce{NewOwner: to}}
}

// waiting is a device that an announced owner waits for.
func (w *world) waiting(v view) (devicepb.Device, bool) {
	return pick(w, slices.DeleteFunc(slices.Clone(v.devices), func(d devicepb.Device) bool { return d.Pending == nil }))
}

func (w *world) takeOver(v view) sdk.Msg {
	d, ok := w.waiting(v)
	if !ok {
		return nil
	}
	return &devicepb.MsgTakeOver{NewOwner: d.Pending.NewOwner, Device: d.Id}
}

// object stops an announced change, as the device or as a lender.
func (w *world) object(v view) sdk.Msg {
	d, ok := w.waiting(v)
	u, known := w.unitByText(d.Id)
	if !ok || !known {
		return nil
	}
	for _, p := range d.Payouts {
		if p.Lien && w.chance(50) {
			return &devicepb.MsgObject{Signer: p.To, Device: d.Id}
		}
	}
	announced, err := sdk.AccAddressFromBech32(d.Pending.NewOwner)
	w.must(err)
	message, err := coredevice.ObjectBytes(chainID, u.id, announced, d.Nonce+1)
	w.must(err)
	return &devicepb.MsgObject{Signer: w.someone().address, Device: d.Id, Nonce: d.Nonce + 1, Signature: ed25519.Sign(u.key, message)}
}

// issuerKey signs what the one issuer, the first person, attests.
var issuerKey = ed25519.NewKeyFromSeed(seedOf("issuer", 0))

func (w *world) attest(v view) sdk.Msg {
	a := coredevice.Attestation{Kind: coredevice.SubjectAccount, Claim: [32]byte(seedOf("claim", w.rng.IntN(9))), Level: uint8(1 + w.rng.IntN(3)),
		Serial: 1 + w.rng.Uint64N(50), Expires: w.time.Unix() + w.rng.Int64N(1_000)}
	who := w.someone()
	subject := who.address
	a.Subject = who.Address()
	if d, ok := pick(w, v.devices); ok && w.chance(60) {
		if u, known := w.unitByText(d.Id); known {
			a.Kind, a.Subject, subject = coredevice.SubjectDevice, u.id[:], d.Id
		}
	}
	message, err := a.Bytes(chainID)
	w.must(err)
	return &devicepb.MsgAttest{Signer: w.someone().address, Issuer: w.people[0].address, Subject: subject, Claim: a.Claim[:], Level: uint32(a.Level),
		Serial: a.Serial, ExpiresAt: a.Expires, Signature: ed25519.Sign(issuerKey, message)}
}

func (w *world) revoke(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	if !ok {
		return nil
	}
	return &devicepb.MsgRevoke{Issuer: w.people[0].address, Subject: d.Id, Serial: w.rng.Uint64N(40)}
}
