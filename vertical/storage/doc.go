// Package storage says what the storage vertical is. Its parts are in the
// packages below: provider, gateway, s3, and the pure rules erasure, piece and
// proof.
//
// Storage is scored from usage alone. That a provider holds what it is paid for
// is proven on the ledger each epoch and decides about the payment itself, so
// there is nothing left for evidence to say.
package storage
