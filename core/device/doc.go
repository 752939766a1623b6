// Package device is what a device is without a ledger: its key, the id and
// did:key made from it, the bytes it signs to bind itself to an owner, its H3
// cell, and how what it earns is split.
//
// It stores nothing and knows no account format: owners are bytes. Everything is
// integer arithmetic on its arguments.
package device
