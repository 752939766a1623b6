package network

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Endpoints is the content of endpoints.json that clients depend on.
type Endpoints struct {
	RPC    string `json:"rpc"`
	REST   string `json:"rest"`
	GRPC   string `json:"grpc"`
	Status string `json:"status"`
	// Station is where a weather console reports.
	Station string `json:"station"`
	S3      struct {
		URL       string `json:"url"`
		Region    string `json:"region"`
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
	} `json:"s3"`
}

var binary struct {
	sync.Once
	path string
	err  error
}

// Binary is the path of grange: $GRANGE_BIN, or built once for the test run.
func Binary(t testing.TB) string {
	t.Helper()
	binary.Do(func() {
		if binary.path = os.Getenv("GRANGE_BIN"); binary.path != "" {
			return
		}
		dir, err := os.MkdirTemp("", "grange-e2e-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "grange")
		out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary.path, "github.com/grange-network/grange/cmd/grange").CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("build grange: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// Clean removes the binary that Binary built. Call it from TestMain.
func Clean() {
	if os.Getenv("GRANGE_BIN") == "" && binary.path != "" {
		os.RemoveAll(filepath.Dir(binary.path))
	}
}

// Network is a running local network.
type Network struct {
	Home string
	Endpoints
	t    testing.TB
	args []string
	cmd  *exec.Cmd
	done chan error
	log  *tail
}

// Start starts a network in a fresh home and stops it when the test ends.
func Start(t testing.TB, args ...string) *Network {
	t.Helper()
	n := &Network{Home: t.TempDir(), t: t, args: args}
	n.Up()
	t.Cleanup(n.Down)
	return n
}

// Up starts the network on its home and waits until it says that it is ready.
func (n *Network) Up() {
	n.t.Helper()
	n.log = new(tail)
	ready, w := io.Pipe()
	n.cmd = exec.Command(Binary(n.t), append([]string{"up", "--home", n.Home, "--ports", "auto"}, n.args...)...)
	n.cmd.Stdout, n.cmd.Stderr = io.MultiWriter(n.log, w), n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { err := cmd.Wait(); w.Close(); done <- err }(n.cmd, n.done)
	found := make(chan bool, 1)
	go func() {
		ok := false
		for s := bufio.NewScanner(ready); s.Scan(); {
			if !ok && strings.Contains(s.Text(), "The network is ready") {
				ok = true
				found <- true
			}
		}
		if !ok {
			found <- false
		}
	}()
	select {
	case ok := <-found:
		if !ok {
			n.t.Fatalf("the network ended before it was ready:\n%s", n.log)
		}
	case <-time.After(3 * time.Minute):
		n.Kill()
		n.t.Fatalf("the network was not ready after 3 minutes:\n%s", n.log)
	}
	b, err := os.ReadFile(filepath.Join(n.Home, "endpoints.json"))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &n.Endpoints); err != nil {
		n.t.Fatal(err)
	}
}

// Down stops the network as Ctrl-C does.
func (n *Network) Down() {
	n.t.Helper()
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-n.done:
		if err != nil && !n.t.Failed() {
			n.t.Errorf("stop: %v\n%s", err, n.log)
		}
	case <-time.After(time.Minute):
		n.Kill()
		n.t.Errorf("the network did not stop within a minute:\n%s", n.log)
	}
	n.cmd = nil
	if n.t.Failed() {
		n.t.Logf("log of the network:\n%s", n.log)
	}
}

// Kill ends every process of the network at once, as a power cut does.
func (n *Network) Kill() {
	_ = syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
	<-n.done
	n.cmd = nil
}

// Run runs a grange command on the network and returns what it printed.
func (n *Network) Run(args ...string) (string, error) {
	cmd := exec.Command(Binary(n.t), append(args, "--home", n.Home)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("grange %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// Must is Run for commands that must succeed.
func (n *Network) Must(args ...string) string {
	n.t.Helper()
	out, err := n.Run(args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// Status is what grange status --json tells of the network.
type Status struct {
	Chain struct {
		Height int64
		Epoch  struct{ Number uint64 }
	}
	Devices int
	Leases  map[string]int
	Held    uint64 `json:"held_bytes"`
	Roles   []struct {
		Name, Kind, State string
		PID               int
	}
	Problems []struct{ Role, What string }
}

// Status asks the network how it is.
func (n *Network) Status() Status {
	n.t.Helper()
	var s Status
	n.JSON(&s, "status")
	return s
}

// Until asks again and again, a few times a second, until ok returns true; the
// test fails when that takes longer than the limit. The network is another
// process: there is no event to wait for.
func (n *Network) Until(limit time.Duration, what string, ok func() bool) {
	n.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			n.t.Fatalf("after %v still not: %s\n%s", limit, what, n.log)
		}
	}
}

// WaitEpochs waits until that many more epochs have ended.
func (n *Network) WaitEpochs(count uint64) uint64 {
	n.t.Helper()
	target := n.Status().Chain.Epoch.Number + count
	n.Until(5*time.Minute, "epoch over", func() bool { return n.Status().Chain.Epoch.Number >= target })
	return target
}

// JSON runs a command with --json and decodes what it prints into v.
func (n *Network) JSON(v any, args ...string) {
	n.t.Helper()
	out := n.Must(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		n.t.Fatalf("grange %s --json: %v in\n%s", strings.Join(args, " "), err, out)
	}
}

// ExitCode is the exit code an error of Run carries, 0 for nil.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// Client runs an outside client with the environment it needs to find the S3
// door. The test is skipped when the client is not installed.
func (n *Network) Client(name string, args ...string) (string, error) {
	n.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		n.t.Skipf("%s is not installed: make test installs it where it may", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(clean(os.Environ()), n.clientEnv()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, last(out, 4000))
	}
	return string(out), nil
}

// MustClient is Client for runs that must succeed.
func (n *Network) MustClient(name string, args ...string) string {
	n.t.Helper()
	out, err := n.Client(name, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// clean drops what the machine's own environment would tell an S3 client.
func clean(env []string) []string {
	return slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, "AWS_") || strings.HasPrefix(s, "RCLONE_") })
}

// With is the same network reporting to a subtest.
func (n *Network) With(t testing.TB) *Network {
	sub := *n
	sub.t = t
	return &sub
}

func (n *Network) clientEnv() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + n.S3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + n.S3.SecretKey,
		"AWS_DEFAULT_REGION=" + n.S3.Region, "AWS_ENDPOINT_URL=" + n.S3.URL,
		"AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=3",
		"RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_GRANGE_TYPE=s3", "RCLONE_CONFIG_GRANGE_PROVIDER=Other",
		"RCLONE_CONFIG_GRANGE_ENDPOINT=" + n.S3.URL, "RCLONE_CONFIG_GRANGE_REGION=" + n.S3.Region,
		"RCLONE_CONFIG_GRANGE_ACCESS_KEY_ID=" + n.S3.AccessKey, "RCLONE_CONFIG_GRANGE_SECRET_ACCESS_KEY=" + n.S3.SecretKey,
	}
}

// AWS runs the AWS CLI against the network.
func (n *Network) AWS(args ...string) string {
	n.t.Helper()
	return n.MustClient("aws", append([]string{"--endpoint-url", n.S3.URL}, args...)...)
}

// Log is the newest output of the network.
func (n *Network) Log() string { return n.log.String() }

// tail keeps the newest output.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 64 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - tailSize; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

func last(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
