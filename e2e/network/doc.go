// Package network starts a real local network from the built binary and drives
// it as its users do: by commands, by S3 clients, by killing its processes. It
// is for tests only and knows nothing of the code inside.
package network
