package journal

import (
	"os"
	"syscall"
)

// syncData makes the file's data and size durable.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// allocate reserves n bytes for the file, if the file system can. It is only
// for speed.
func allocate(f *os.File, n int64) { _ = syscall.Fallocate(int(f.Fd()), 0, 0, n) }
