// Package beacon is the arithmetic of the network's randomness: BLS12-381
// signatures that each validator reveals once per epoch, the proof that a
// validator possesses the key it registers, and the chain of seeds folded from
// the revealed signatures.
//
// A BLS signature of a fixed message is unique, so a validator cannot choose
// among several values and no commit round is needed; the most it can do is
// withhold its own.
//
// Scheme: minimal signatures (signature 48 B in G1, public key 96 B in G2). The
// ledger stores one signature per validator and epoch but one key per
// validator, and hashing to G1 is several times cheaper than to G2. Encodings
// are the compressed ones of the IETF pairing-friendly-curves draft, hashing is
// RFC 9380, the ciphersuite names are those of draft-irtf-cfrg-bls-signature.
//
// The package does not know who is bonded, how much power a reveal carries or
// when an epoch ends, and it draws no randomness.
package beacon
