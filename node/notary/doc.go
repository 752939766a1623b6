// Package notary wires the notary vertical's two roles to the ledger, the tunnel
// and the disk: the one that gives stamps and the door that sells them over HTTP.
// What a stamp or a sight is worth is package vertical/notary's to say.
package notary
