// Package explorer runs an explorer of one ledger: it keeps the index (package
// index) up to date, asks the ledger what an index cannot know (live), and serves
// the API with the web app (api).
package explorer
