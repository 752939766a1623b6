// Package chain names what every part of the ledger must agree on: address
// prefix, denominations, coin type, default chain id. Importing it configures
// the Cosmos SDK's process-wide address prefixes, so any package that prints or
// parses an address must import it.
//
// It holds no state and no rules.
package chain

import (
	"os"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

const (
	// Prefix is the bech32 human-readable part of account addresses.
	Prefix = "grange"
	// CoinType is the SLIP-44 number in the HD path of account keys.
	CoinType = 118
	// Grain is the base denomination of the staked and earned token, 1e-6 GRAIN.
	Grain = "ugrain"
	// Credit is the base denomination usage is paid in, 1e-6 USD.
	Credit = "ucredit"
	// LocalID is the chain id of a network on one machine.
	LocalID = "grange-local-1"
	// MinGasPrice is the lowest price per unit of gas a node relays by default,
	// as the SDK writes decimal coins.
	MinGasPrice = "0.001" + Grain
)

// init runs before any address can be formatted. The SDK keeps one address
// configuration per scope and computes the scope anew for every address from
// the host name and the executable's path unless the variable is set, which
// costs about a seventh of block execution; main may set its own scope before
// starting the process, otherwise it is set here.
func init() {
	if os.Getenv(sdk.EnvConfigScope) == "" {
		if err := os.Setenv(sdk.EnvConfigScope, Prefix); err != nil {
			panic("set " + sdk.EnvConfigScope + ": " + err.Error())
		}
	}
	c := sdk.GetConfig()
	c.SetBech32PrefixForAccount(Prefix, Prefix+"pub")
	c.SetBech32PrefixForValidator(Prefix+"valoper", Prefix+"valoperpub")
	c.SetBech32PrefixForConsensusNode(Prefix+"valcons", Prefix+"valconspub")
	c.SetCoinType(CoinType)
}
