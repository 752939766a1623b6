// Package cose signs and checks single-signer CBOR messages, COSE_Sign1 of RFC
// 9052, with device keys: EdDSA over Ed25519 and ES256 over P-256 (RFC 9053).
//
// Devices sign batches of readings with it, because sensor firmware and secure
// elements already can. It does not know what a payload means, encrypts nothing,
// and has no other algorithm, detached payload or counter signature.
package cose
