// Package spatial checks a weather station against its neighbours: is a value
// far from what others nearby measure, do two stations stand in one place, is a
// station alone, is its place known, is a value possible at all.
//
// The checks and their parameters are those of titanlib (Norwegian
// Meteorological Institute), whose published test vectors they reproduce. All
// are pure functions of the stations in the order given. A flag is true for a
// station that fails.
package spatial
