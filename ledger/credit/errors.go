package credit

import errorsmod "cosmossdk.io/errors"

// ModuleName names the module, its store and its account.
const ModuleName = "credit"

// StoreKey is the name of the module's store.
const StoreKey = ModuleName

// Errors of the credit module, each with the code that clients see.
var (
	ErrInvalid    = errorsmod.Register(ModuleName, 2, "invalid message")
	ErrNotFound   = errorsmod.Register(ModuleName, 3, "not found")
	ErrNotYours   = errorsmod.Register(ModuleName, 4, "not allowed for this account")
	ErrStale      = errorsmod.Register(ModuleName, 5, "price is stale")
	ErrTooLittle  = errorsmod.Register(ModuleName, 7, "amount is too small")
	ErrPrice      = errorsmod.Register(ModuleName, 8, "price has changed")
	ErrFunds      = errorsmod.Register(ModuleName, 9, "not enough funds")
	ErrTransfer   = errorsmod.Register(ModuleName, 10, "credits do not move between users")
	ErrCap        = errorsmod.Register(ModuleName, 11, "supply cap reached")
	ErrBudget     = errorsmod.Register(ModuleName, 12, "reward budget is spent")
	ErrEpoch      = errorsmod.Register(ModuleName, 13, "epoch is out of order")
	ErrParameters = errorsmod.Register(ModuleName, 14, "parameters contradict each other")
	ErrInvariant  = errorsmod.Register(ModuleName, 15, "accounts do not add up")
)
