// Package ingest takes signed batches in and makes them durable before it
// answers.
//
// Accept checks a batch's signature with the registry's key, that a kind of
// observation knows one of its readings, its times, its place in the device's
// chain and the device's rate, appends it to a log and only then returns a
// Receipt. The same batch again gets the same answer and counts once. Two batches
// with one number, or one that names another predecessor, show that a key has been
// copied: they are refused, kept as evidence and counted.
//
// Handler is Accept over HTTP. After a crash Open rebuilds what it knows from the
// log, and from the checkpoint that Trim writes before records go that all who read
// the log have kept. What readings are worth is not its business.
package ingest
