// Package query answers questions about stored observations over HTTP: readings
// of a cell and time as JSON, GeoJSON, CSV or Parquet, whole files, map tiles, a
// stream of what comes in, stations, and proofs that a reading was signed by its
// device and published (Check).
//
// Every answer that holds readings is paid through a Till, by the row: what is
// paid goes to the devices whose rows it holds. Of devices that move nothing is told
// but the facts of products (package facts).
//
// The package holds no money and no ledger; it takes nothing in.
package query
