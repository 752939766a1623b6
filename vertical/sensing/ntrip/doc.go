// Package ntrip is an NTRIP caster, versions 1 and 2: GNSS base stations push
// their RTCM streams to mount points, rovers pull them.
//
// Besides the bases' own mount points there is NEAR, which serves the base
// nearest to the position that the rover sends (NMEA GGA): it waits for the first
// position, changes the base when another is closer by more than the hysteresis,
// only between two epochs, and then sends the new base's coordinates first.
//
// Each piece of a base's stream is one buffer shared by all its rovers. A rover
// that does not keep up loses its connection and holds up nobody. Who may push
// and pull, and what is paid for it, is decided by the Gate.
//
// The caster forwards what bases send; judging it is not its business.
package ntrip
