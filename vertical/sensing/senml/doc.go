// Package senml reads and writes packs of sensor readings, SenML of RFC 8428, in
// JSON and CBOR, with numeric values only.
//
// Parse resolves a pack: every record comes out with its full name, absolute
// time, unit and value. It is strict where a reading could be misread: duplicate
// fields, unknown mandatory fields, relative times and other versions are errors.
// Text, data and boolean values are passed over, since nothing is scored from
// them.
package senml
