// Package notary is the smallest whole vertical, to be read and copied: notaries
// sign when they saw a hash (what a time-stamping service does, RFC 3161 without
// its formats), paid per stamp, and earn a grant for answering each other.
// docs/new-vertical.md explains it line by line.
//
//	POST /stamp at the gateway, any body  ->  Stamp
//
// Bytes between notaries, over the tunnel, numbers big endian:
//
//	POST /sight  time 8                 ->  signature 64
//	POST /stamp  receipt 220 ‖ hash 32  ->  receipt 220 ‖ time 8 ‖ signature 64
//
// A sight shows that a device answered one of another owner; owners who collude
// can make them up, which is why they earn from a capped grant only.
package notary
