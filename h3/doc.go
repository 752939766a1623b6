// Package h3 is the part of H3 that a map needs: parents, children, centres and
// true outlines of cells, and the coarsening of a place before it is published.
// Where devices are assigned to cells and where cells are drawn, it is this code.
//
// Indexing and centres come from Kl1mn/h3-go (pure Go); the rest is bit arithmetic
// on the index and geometry on the icosahedron's faces. It finds no neighbours.
package h3
