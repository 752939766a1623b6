// Package vertical is what a kind of resource plugs into the network with: its
// name, its class, what a unit of it is, and one pure function, Score, that says
// what its devices did in an epoch.
//
// A device earns in two ways. What its usage settled is paid at once, and the
// bonus on it, at most a share of what that usage burned, follows from the
// ledger alone: package core/score computes it for every vertical. What its
// evidence is worth is for the vertical to say: Score returns a weight for each
// device, and the weights share the epoch's bootstrap grant, if the vertical has
// one left.
//
// A vertical also has a provider that serves and signs, and a gateway that
// speaks the clients' protocol and pays. They are roles of package node and do
// not show here. docs/new-vertical.md walks through writing one, and package
// conformance tests it.
//
// The package holds no vertical, fetches no evidence and pays nobody.
package vertical
