// Package store keeps the readings of accepted batches as rows that anybody can
// query: Parquet files by kind, H3 cell of resolution 3 and day, sorted by cell,
// variable and time, each with a Merkle root (package segment), in a directory or
// a bucket. Any Parquet reader reads them.
//
// The log of ingest is the truth. The newest rows are in memory until they are
// flushed; the catalogue names the files and the place in the log that they reach,
// in one write, so that a store that was killed reads the rest again and no
// reading is there twice.
//
// The package decides nothing about who may see a row: devices that move are in
// it by small cells, and package query shows them only where enough of them were.
package store
