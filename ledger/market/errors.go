package market

import errorsmod "cosmossdk.io/errors"

// ModuleName names the module, its store and its escrow account.
const ModuleName = "market"

// Errors of the market, each with the code that clients see.
var (
	ErrInvalid    = errorsmod.Register(ModuleName, 2, "invalid message")
	ErrNotFound   = errorsmod.Register(ModuleName, 3, "not found")
	ErrNotYours   = errorsmod.Register(ModuleName, 4, "not allowed for this account")
	ErrSoldOut    = errorsmod.Register(ModuleName, 5, "capacity is sold")
	ErrPrice      = errorsmod.Register(ModuleName, 6, "price has changed")
	ErrFunds      = errorsmod.Register(ModuleName, 7, "not enough credits")
	ErrSignature  = errorsmod.Register(ModuleName, 8, "signature does not hold")
	ErrState      = errorsmod.Register(ModuleName, 9, "lease does not allow this now")
	ErrBond       = errorsmod.Register(ModuleName, 10, "bond is too small")
	ErrTooMany    = errorsmod.Register(ModuleName, 11, "too many items")
	ErrDevice     = errorsmod.Register(ModuleName, 12, "device cannot do this")
	ErrProof      = errorsmod.Register(ModuleName, 14, "proof does not hold")
	ErrParameters = errorsmod.Register(ModuleName, 13, "parameters contradict each other")
)
