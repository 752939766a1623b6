// Package server runs the ledger in this process: CometBFT, the application,
// gRPC and REST, all on loopback unless told otherwise.
//
// A node's home folder is made by InitHome (a chain of one validator) or by
// InitNode and WriteGenesis (several); Run or Start then starts it and goes on
// where it stopped. Nothing here reads flags, files of settings or the
// environment, and no process is spawned.
//
// The home folder:
//
//	config/genesis.json               the chain
//	config/node_key.json              p2p identity
//	config/priv_validator_key.json    consensus key; never run two nodes with one
//	keys/operator.json                account that operates the validator
//	data/                             blocks and state
package server
