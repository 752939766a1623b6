// Package node runs the roles of a network in one place: a supervisor that
// starts them in order and stops them in reverse, the control socket through
// which a person acts on one of them, the lock that keeps a home directory to
// one process, and the files that make a restart identical. It does not know
// what any role does; package node/local wires the real ones.
package node
