// Package query answers questions about stored observations over HTTP: readings
// of a cell and time as JSON, GeoJSON, CSV or Parquet, whole files, map tiles, a
// stream of what comes in, stations, and proofs that a reading was signed by its
// device and published (Check).
//
// Every answer that holds readings is paid through a Till, by the row: what is
// paid goes to the devices whose rows it holds. Devices that move are told of
// only together, where at least Crowd of them were.
//
// The package holds no money and no ledger; it takes nothing in.
package query
