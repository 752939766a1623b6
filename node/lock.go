package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// HeldError is returned by Lock when another process holds the file.
type HeldError struct {
	Path string
	PID  int // 0 when the holder has not written it yet
}

// Error names the file and the process that holds it.
func (e *HeldError) Error() string {
	return fmt.Sprintf("lock %s: held by process %d", e.Path, e.PID)
}

// Lock takes the file at path for this process until release is called or the
// process ends, and writes the process id in it. It returns *HeldError when
// another process has it.
func Lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &HeldError{Path: path, PID: readPID(f)}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write process id to %s: %w", path, err)
	}
	// The file stays: removing it would let two processes lock two files of the
	// same name.
	return func() { f.Close() }, nil
}

func readPID(f *os.File) int {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// LockWithin is Lock that waits for another holder to leave, at most d.
func LockWithin(ctx context.Context, path string, d time.Duration) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond) // flock has no wait that can be cancelled
	defer tick.Stop()
	for {
		release, err = Lock(path)
		var held *HeldError
		if !errors.As(err, &held) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}
