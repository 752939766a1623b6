// Package ledgerport connects the roles to the ledger: it implements the small
// interfaces that the storage provider, the gateway and the verifier declare,
// with the ledger's client, and brings new devices onto the ledger. It decides
// nothing: what to send, and when, is the roles' business.
package ledgerport
