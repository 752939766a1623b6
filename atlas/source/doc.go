// Package source asks live services for figures and turns the answers into
// claims: CoinGecko, DefiLlama, the Akash console, Helium's entity API,
// Spacescope and DePIN.Ninja. It asks nobody until configured. A service that
// fails or drifts leaves the last good value, marked stale; a value that jumps
// tenfold, or is zero, is put in quarantine until it has been seen repeatedly.
//
// It also writes our own figures in the shapes that DePINScan and DePIN.Ninja
// read. It decides nothing about claims: that is package atlas.
package source
