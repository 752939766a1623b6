package device

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Event types of the registry and the attributes they carry.
const (
	EventRegister = "grange.device.register" // device, did, owner
	EventUpdate   = "grange.device.update"   // device, owner, status
	EventTransfer = "grange.device.transfer" // device, owner, new_owner
	EventLien     = "grange.device.lien"     // device, beneficiary, released
	EventAnnounce = "grange.device.announce" // device, owner, new_owner (empty: withdrawn), from_epoch
	EventObject   = "grange.device.object"   // device, by, new_owner
	EventAttest   = "grange.device.attest"   // subject, issuer, level (0: revoked), claim, expires_at
)

func emit(ctx context.Context, kind string, pairs ...string) {
	e := sdk.NewEvent(kind)
	for i := 0; i+1 < len(pairs); i += 2 {
		e = e.AppendAttributes(sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(e)
}

func emitUpdate(ctx context.Context, d devicepb.Device) {
	emit(ctx, EventUpdate, "device", d.Id, "owner", d.Owner, "status", d.Profile.Status.String())
}
