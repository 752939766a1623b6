package main

import (
	"fmt"
	"syscall"
	"time"
)

// spent is how long something took.
type spent struct {
	wall, cpu time.Duration
}

// measure runs f and returns what it took, processor time of all threads of this
// process included.
func measure(f func() error) (spent, error) {
	wall, cpu := time.Now(), processor()
	err := f()
	return spent{time.Since(wall), processor() - cpu}, err
}

// perCPU is n for a second of processor.
func (s spent) perCPU(n int) float64 { return float64(n) / s.cpu.Seconds() }

// processor is the processor time of this process so far.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("read processor time: %v", err)) // the arguments are constants
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
