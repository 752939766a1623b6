package server

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to five times what lives before it is collected.
// Executing a block allocates much that dies with the block, and what lives, the
// cached nodes of the state tree, is all pointers: with Go's default a third of a
// busy validator's processor time goes into marking it again.
const gcPercent = 400

// Tune sets what the whole process should run with when it executes blocks. Call
// it first in main; GOGC and COSMOS_SDK_CONFIG_SCOPE in the environment prevail.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// The SDK computes this from the host name for every address otherwise.
	if os.Getenv("COSMOS_SDK_CONFIG_SCOPE") == "" {
		_ = os.Setenv("COSMOS_SDK_CONFIG_SCOPE", "grange") // fails for malformed names only
	}
}
