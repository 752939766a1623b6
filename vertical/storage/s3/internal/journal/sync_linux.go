package journal

import (
	"os"
	"syscall"
)

// syncData makes the file's data and size durable.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
