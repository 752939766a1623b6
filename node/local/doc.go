// Package local is the network that runs on one machine: one validator with
// its off-chain duties, storage providers with a device, an owner account and a
// data directory each, one S3 gateway, and a status page. It makes the keys and
// the plan on first start, brings every device onto the ledger through the same
// messages anybody would send, and finds all of it again on the next start.
//
// It holds no rules: what a role does is the role's own package.
package local
