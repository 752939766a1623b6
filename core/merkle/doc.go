// Package merkle commits to lists: the history tree of RFC 6962 over byte
// leaves, an append-only log that keeps only its frontier, and a sum tree whose
// root commits to a sorted map of key → amount together with its total.
//
// All hashes are SHA-256 and every kind of node starts with its own byte, so a
// leaf can never be read as an inner node, nor a node of one kind of tree as a
// node of the other:
//
//	0x00 leaf of the history tree       0x01 inner node of it
//	0x02 leaf of the sum tree           0x03 inner node of it
//	0x04 root of the sum tree
//
// The package is pure. It stores no leaves for the log, fetches nothing, and
// does not know what the leaves mean.
package merkle
