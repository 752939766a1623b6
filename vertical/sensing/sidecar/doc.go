// Package sidecar lets weather stations that cannot sign take part unchanged: it
// answers like the services they already report to, signs what they say with a
// device key and hands it to an ingest gateway.
//
// It speaks the upload protocols of Weather Underground (GET) and Ecowitt (POST).
// A report is answered when it is signed and durable in the sidecar's own log; it
// leaves the log when the gateway has acknowledged it. So a gateway or a link
// that is down loses nothing, and counters never repeat.
//
// It judges nothing. Whoever can reach it can report: it belongs on the station's
// own network.
package sidecar
