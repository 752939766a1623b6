// Package sensing runs the roles of the sensing vertical against a ledger: a
// gateway that takes signed batches in from devices that the ledger knows, publishes
// them to verifiers, compares stored images with their records, and sells what it
// took in against leases; a caster whose rovers pay bases by the second; a base, a
// station and a folder of images that sign for hardware that cannot.
//
// What observations are worth, and how they are stored and answered, is in
// vertical/sensing.
package sensing
