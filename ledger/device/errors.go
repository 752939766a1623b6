package device

import errorsmod "cosmossdk.io/errors"

// ModuleName names the module and its store.
const ModuleName = "device"

// Errors of the registry, each with the code that clients see.
var (
	ErrInvalid   = errorsmod.Register(ModuleName, 2, "invalid message")
	ErrNotFound  = errorsmod.Register(ModuleName, 3, "no such device")
	ErrNotYours  = errorsmod.Register(ModuleName, 4, "not allowed for this account")
	ErrExists    = errorsmod.Register(ModuleName, 5, "device key is registered already")
	ErrSignature = errorsmod.Register(ModuleName, 6, "device signature does not hold")
	ErrNonce     = errorsmod.Register(ModuleName, 7, "nonce is used up")
	ErrKey       = errorsmod.Register(ModuleName, 8, "device key is not usable")
	ErrCell      = errorsmod.Register(ModuleName, 9, "cell is not usable")
	ErrCooldown  = errorsmod.Register(ModuleName, 10, "cell was changed too recently")
	ErrSplits    = errorsmod.Register(ModuleName, 11, "payout splits are not valid")
	ErrRetired   = errorsmod.Register(ModuleName, 12, "device is retired")
	ErrTooMany   = errorsmod.Register(ModuleName, 13, "too many")
	ErrTooEarly  = errorsmod.Register(ModuleName, 14, "too early")
	ErrIssuer    = errorsmod.Register(ModuleName, 15, "no such issuer")
)
