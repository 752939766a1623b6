// Package host is one machine of a network of many: its keys, the card that
// introduces it to the others, the chain they all make from the same cards, and
// the role it runs.
//
// Nobody has to be trusted to hand out a genesis file: every machine makes it
// from the cards of all, and the same cards give the same bytes everywhere.
//
// The home directory:
//
//	host.json          this machine: name, addresses, peers
//	card.json          what the others need to know; holds no secrets
//	chain              keys, blocks and state (ledger/server)
//	data/verifier      beacon key and the epochs scored here
package host
