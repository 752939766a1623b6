package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// reportFD is the descriptor on which a role's process tells its parent that it
// is ready and how it is.
const reportFD = 3

// maxReport is the longest line a parent reads from a role's process.
const maxReport = 1 << 20

// report is one line from a role's process to its parent.
type report struct {
	Ready  bool            `json:"ready,omitempty"`
	Status json.RawMessage `json:"status,omitempty"`
}

// Process is a role that runs in a child process, so that killing it is real.
// The child learns that it must stop from the end of its standard input, which
// also comes when the parent died without a word.
type Process struct {
	name  string
	argv  []string
	log   string
	once  sync.Once
	ready chan struct{}
	proc  atomic.Pointer[os.Process]
	last  atomic.Pointer[json.RawMessage]
}

// NewProcess makes a role of the command argv, whose output is appended to the
// file log. The command must serve the role with Serve.
func NewProcess(name, log string, argv ...string) *Process {
	return &Process{name: name, argv: argv, log: log, ready: make(chan struct{})}
}

// Name is the name given to NewProcess.
func (p *Process) Name() string { return p.name }

// Ready is closed when the child said it is ready.
func (p *Process) Ready() <-chan struct{} { return p.ready }

// Status is what the child reported last.
func (p *Process) Status() any {
	if s := p.last.Load(); s != nil {
		return *s
	}
	return nil
}

// PID is the child's process id.
func (p *Process) PID() int {
	if c := p.proc.Load(); c != nil {
		return c.Pid
	}
	return 0
}

// Kill sends SIGKILL to the child.
func (p *Process) Kill() error {
	c := p.proc.Load()
	if c == nil {
		return errors.New("it has no process yet")
	}
	if err := c.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Run starts the child and waits for its end.
func (p *Process) Run(ctx context.Context) error {
	out, err := OpenLog(p.log)
	if err != nil {
		return err
	}
	defer out.Close()
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()

	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, out, []*os.File{to}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C goes to the parent alone
	leash, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	to.Close()
	if err != nil {
		return err
	}
	p.proc.Store(cmd.Process)

	read := make(chan struct{})
	go func() { defer close(read); p.read(from) }()
	exited := make(chan error, 1)
	go func() { <-read; exited <- cmd.Wait() }()
	select {
	case err = <-exited:
	case <-ctx.Done():
		leash.Close()
		err = <-exited
	}
	if err != nil {
		return fmt.Errorf("process %d: %w; its output is in %s", cmd.Process.Pid, err, p.log)
	}
	return nil
}

// maxLog is the size in bytes above which a log is put aside at the next start.
const maxLog = 32 << 20

// OpenLog opens a log file to append to. One that has grown large becomes
// PATH.old, in place of the one before.
func OpenLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// read takes the child's reports until it closes them, which its end does.
func (p *Process) read(from io.Reader) {
	sc := bufio.NewScanner(from)
	sc.Buffer(nil, maxReport)
	for sc.Scan() {
		var r report
		if json.Unmarshal(sc.Bytes(), &r) != nil {
			continue
		}
		if r.Status != nil {
			p.last.Store(&r.Status)
		}
		if r.Ready {
			p.once.Do(func() { close(p.ready) })
		}
	}
}

// Serve runs a role as the child of a Process: it reports on the descriptor its
// parent gave, and ends the role when ctx ends or the parent is gone.
func Serve(ctx context.Context, r Role) error {
	to := os.NewFile(reportFD, "report")
	if _, err := to.Stat(); err != nil {
		return fmt.Errorf("serve %s: not started by a node (no descriptor %d): start it with: grange local start %s", r.Name(), reportFD, r.Name())
	}
	defer to.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the process: a read of standard input cannot be cancelled
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errors.New("the parent process is gone"))
	}()
	done := make(chan struct{})
	reported := make(chan struct{})
	go func() { defer close(reported); reportTo(to, r, done) }()
	err := r.Run(ctx)
	close(done)
	<-reported
	return err
}

func reportTo(w io.Writer, r Role, done <-chan struct{}) {
	enc := json.NewEncoder(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ready := r.Ready()
	for {
		var say report
		select {
		case <-done:
			return
		case <-ready:
			say.Ready, ready = true, nil
		case <-tick.C:
		}
		if b, err := json.Marshal(r.Status()); err == nil && len(b) < maxReport/2 {
			say.Status = b
		}
		if enc.Encode(say) != nil {
			return // nobody listens; the end of standard input says what to do
		}
	}
}
