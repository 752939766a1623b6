// Package device is what a device is without a ledger: its key, the id,
// did:key and DID document made from it, the bytes it signs to bind itself to an
// owner, what issuers attest of it, its H3 cell, and how what it earns is split.
//
// It stores nothing and knows no account format: owners are bytes. Everything is
// integer arithmetic on its arguments.
package device
