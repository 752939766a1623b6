package oracle

import errorsmod "cosmossdk.io/errors"

// ModuleName names the module, its store and the account claims pass through.
const ModuleName = "oracle"

// Errors of the oracle, each with the code that clients see.
var (
	ErrInvalid     = errorsmod.Register(ModuleName, 2, "invalid message")
	ErrNotFound    = errorsmod.Register(ModuleName, 3, "not found")
	ErrNotBonded   = errorsmod.Register(ModuleName, 4, "validator has no bonded power")
	ErrKey         = errorsmod.Register(ModuleName, 5, "beacon key does not allow this")
	ErrTooEarly    = errorsmod.Register(ModuleName, 6, "too early")
	ErrTooLate     = errorsmod.Register(ModuleName, 7, "too late")
	ErrDone        = errorsmod.Register(ModuleName, 8, "already done")
	ErrNeutral     = errorsmod.Register(ModuleName, 9, "epoch is neutral, nothing to prove")
	ErrNothing     = errorsmod.Register(ModuleName, 10, "device holds nothing to prove")
	ErrCount       = errorsmod.Register(ModuleName, 11, "wrong number of proofs")
	ErrProof       = errorsmod.Register(ModuleName, 12, "proof does not hold")
	ErrSignature   = errorsmod.Register(ModuleName, 13, "signature does not hold")
	ErrBudget      = errorsmod.Register(ModuleName, 14, "total exceeds the budget")
	ErrBreaker     = errorsmod.Register(ModuleName, 15, "claim breaker is at its limit")
	ErrUnsupported = errorsmod.Register(ModuleName, 16, "unknown vertical")
	ErrAuthority   = errorsmod.Register(ModuleName, 17, "not allowed for this account")
	ErrDeposit     = errorsmod.Register(ModuleName, 18, "deposit is missing")
)
