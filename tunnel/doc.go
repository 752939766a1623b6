// Package tunnel carries streams between keys: TLS 1.3 in which both ends show
// a self-signed certificate of an ed25519 key, then yamux, so that one
// connection holds many net.Conn streams and the peer's identity is its public
// key. A Listener gives the streams to an http.Server, a Dialer opens them for
// an http.Transport, and a Router lets a peer without a listening port be
// reached: it splices bytes that stay encrypted between the two ends.
//
// It does not decide who may do what (the server looks the peer's key up), does
// not retry requests, and knows nothing about the ledger.
package tunnel
