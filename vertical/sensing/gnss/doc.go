// Package gnss is the kind of GNSS base stations: it judges streams of RTCM 3 that
// bases send to rovers.
//
// A stream is too large to publish. Once a minute a signer publishes one epoch of
// it as it was, with the station's coordinates and the orbits that are new, and
// what was counted over the minute (Minute). The signer is the base's sidecar, or a
// caster that says as a witness what a base without one sent.
//
// Of that Kind computes whether the base stands where it says, whether its
// satellites are where they should be, whether it is a copy, and what it is worth
// (see Kind.Weigh). What a rover gains from a stream is not measured.
package gnss
