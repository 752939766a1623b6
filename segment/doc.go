// Package segment writes evidence rows as Parquet files that commit to
// themselves: a segment holds rows of one kind, one H3 parent cell and one day,
// and its footer names the root of the Merkle tree over the rows. Any Parquet
// reader can read one.
//
// A leaf of the tree is the canonical encoding of a row, which the kind's owner
// defines; the tree is that of core/merkle (RFC 6962). The same rows in the same
// order make the same bytes, however they were handed over: order, encodings,
// page and group sizes and the compressor (zstd) are fixed. The bytes may change
// with a new version of the Parquet library, the root never does.
//
// Rows are flat structs without optional or repeated fields. A Writer holds one
// row group in memory. Verify trusts nothing about a file: before the Parquet
// library sees it, every length that the footer, the page headers and the
// encodings claim is checked against the bytes that are there, so a malformed
// file costs memory in proportion to its size and ends in ErrMalformed.
//
// The package stores and fetches nothing, sorts nothing and drops no duplicates.
package segment
