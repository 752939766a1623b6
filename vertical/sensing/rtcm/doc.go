// Package rtcm reads RTCM 3 streams of GNSS base stations: frames with their
// check, station coordinates and descriptors, satellite observations (MSM4 to
// MSM7) and broadcast orbits of GPS, GLONASS, Galileo and BeiDou.
//
// Scanner finds frames in a byte stream and resynchronises behind damage;
// Decode* turn a frame's payload into values in SI units and report what is
// malformed. Layouts and scale factors are those of RTCM standard 10403.3; field
// names are in the comments. The package writes no messages, computes no
// positions and knows no network protocol.
package rtcm
