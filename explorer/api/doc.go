// Package api serves the explorer over HTTP: lists and answers from the index,
// what only the ledger knows, what the network's data gateway lists for nothing,
// the atlas and the advice computed from it, a stream of events, and the
// web app. openapi.yaml is its contract; a test compares.
//
// It changes nothing, fetches nothing that a provider names, and answers without
// the ledger as far as the index goes.
package api
