// Package trace records what became of a request: spans in OpenTelemetry's
// model from every role of a process, kept in a bounded store on disk, sent to a
// collector when one is named, and counted as metrics.
//
// A request's spans share its trace id. Payment comes later and is cumulative, so
// it is joined by what both sides signed: a span that says which units of which
// lane it read is paid by the first receipt that covers them, and settled by the
// first transaction that does. Load makes the tree of a trace with both.
//
// What failed is always kept; of what went well, as many traces per second as
// the limit allows. The store is no ledger: it is not synced, old files are
// deleted, and a crash costs the last moments.
//
// It knows no role, no ledger and no vertical: they write spans with the names
// and attributes declared here.
package trace
