// Package sensing runs the roles of the sensing vertical against a ledger: a
// gateway that takes signed batches in over HTTP and MQTT from devices that the
// ledger knows, and a station that signs for hardware that cannot.
package sensing
