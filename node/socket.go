package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// maxSocketPath is the longest path of a unix socket on every system we build
// for (sockaddr_un has 104 bytes on macOS, 108 on Linux, one is the final 0).
const maxSocketPath = 103

// ListenControl listens on the control socket of a home directory. The caller
// holds the home's lock, so a socket that is there was left by a dead process.
func ListenControl(home string) (net.Listener, error) {
	path := ControlPath(home)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var l net.Listener
	err := withShortPath(path, func(short string) error {
		var err error
		l, err = net.Listen("unix", short)
		if err == nil {
			l.(*net.UnixListener).SetUnlinkOnClose(false) // the short path may be gone by then
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on control socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// DialControl connects to the control socket of a home directory.
func DialControl(ctx context.Context, home string) (net.Conn, error) {
	var c net.Conn
	err := withShortPath(ControlPath(home), func(short string) error {
		var err error
		c, err = new(net.Dialer).DialContext(ctx, "unix", short)
		return err
	})
	return c, err
}

// ControlPath is where the control socket of a home directory is.
func ControlPath(home string) string { return filepath.Join(home, "control.sock") }

// withShortPath calls f with a path of the same file that fits a socket
// address: on Linux through an open descriptor of its directory.
func withShortPath(path string, f func(string) error) error {
	if len(path) <= maxSocketPath {
		return f(path)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("path %s has %d bytes, a socket allows %d: choose a shorter --home", path, len(path), maxSocketPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}
