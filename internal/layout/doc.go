// Package layout holds the test that imports point down the package map and
// that verticals never import each other. It contains no code.
package layout
