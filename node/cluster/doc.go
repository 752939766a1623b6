// Package cluster runs a ledger of several validators on one machine, each a
// process of its own, whose connections to each other pass through links that
// can be cut, healed and delayed.
//
// It is for trying and testing what happens when machines and networks fail:
// the processes are real, so that kill -9 and SIGSTOP are too. There are no
// storage providers and no gateway here, node/local has those; a cluster may have
// notaries, whose evidence all validators score.
//
// The home directory:
//
//	cluster.json           the plan: written at first start, then kept
//	endpoints.json         where everything is, while the network is ready
//	data/NAME/chain        a validator's keys, blocks and state (ledger/server)
//	data/NAME/verifier     its beacon key and the epochs it scored
//	data/user.json         key of an account with GRAIN to spend
//	data/evidence          what verticals with evidence publish
//	data/notary-*          keys and receipts of the notaries and their door
//	logs/NAME.log          what a role printed
package cluster
