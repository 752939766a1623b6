package oracle

import (
	"context"
	"strconv"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Event types of the oracle and the attributes they carry.
const (
	EventEpoch        = "grange.oracle.epoch"        // epoch, status, seed
	EventKey          = "grange.oracle.key"          // validator, since
	EventReveal       = "grange.oracle.reveal"       // validator, epoch
	EventProof        = "grange.oracle.proof"        // device, epoch, sequence, units, size, challenges
	EventVote         = "grange.oracle.vote"         // validator, vertical, epoch, root
	EventReport       = "grange.oracle.report"       // vertical, epoch, root, total, payable_epoch
	EventEquivocation = "grange.oracle.equivocation" // validator, vertical, epoch
	EventFine         = "grange.oracle.fine"         // validator, reason, burned
	EventJail         = "grange.oracle.jail"         // validator, reason, epochs
	EventChallenge    = "grange.oracle.challenge"    // vertical, epoch, challenger, fraud, proven, reason
	EventClaim        = "grange.oracle.claim"        // device, vertical, epoch, paid, lifetime
)

func number[T ~uint64 | ~uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }

func emit(ctx context.Context, kind string, pairs ...string) {
	attributes := make([]sdk.Attribute, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attributes = append(attributes, sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, attributes...))
}
