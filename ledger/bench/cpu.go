package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
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

// tick is the unit of processor times in /proc.
const tick = time.Second / 100

// processorOf is the processor time of other processes so far, where the system
// is Linux.
func processorOf(procs ...*exec.Cmd) (sum time.Duration, err error) {
	for _, p := range procs {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			return 0, err
		}
		// Fields 14 and 15; the second is a name in brackets that may hold anything.
		fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
		var user, system time.Duration
		if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
			return 0, fmt.Errorf("read processor time of process %d: %w", p.Process.Pid, err)
		}
		sum += (user + system) * tick
	}
	return sum, nil
}
