// Package orbit computes where satellites are from their broadcast orbits (GPS,
// Galileo, BeiDou), and where a receiver is from pseudoranges to them.
//
// Formulas are those of IS-GPS-200 and the systems' interface documents; a
// position is that of single point positioning: metres, not centimetres. The
// package knows no GLONASS orbits, no ionosphere model (two frequencies cancel the
// ionosphere, one does not) and no clock.
package orbit
