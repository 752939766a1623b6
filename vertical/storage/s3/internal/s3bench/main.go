// Command s3bench compares the door, on a directory of plain segment files,
// with versitygw's own posix backend on a directory, in one run on one machine.
// Both servers run as child processes and get the same requests in turn.
//
// The two do not promise the same: the door answers a PUT after its data and
// its catalog entry are on disk; the posix backend leaves that to the kernel.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"

	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
)

const (
	accessKey = "bench"
	secretKey = "bench-secret"
	region    = "us-east-1"
	child     = "GRANGE_S3BENCH_CHILD"
)

func main() {
	dir := flag.String("dir", "", "directory for the data; default a temporary one")
	each := flag.Duration("time", 3*time.Second, "how long each measurement takes")
	only := flag.String("only", "", "run only measurements whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if kind := os.Getenv(child); kind != "" {
		err = serve(ctx, kind, *dir)
	} else {
		err = compare(ctx, *dir, *each, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, kind, dir string) error {
	ready := func(addr string) { fmt.Println(addr) }
	if kind == "door" {
		segments, err := dirsegments.Open(filepath.Join(dir, "segments"))
		if err != nil {
			return err
		}
		return s3.Serve(ctx, s3.Config{
			Addr: "127.0.0.1:0", Region: region, AccessKey: accessKey, SecretKey: secretKey,
			Home: filepath.Join(dir, "door"), Segments: segments, Ready: ready,
		})
	}
	be, err := posixBackend(dir)
	if err != nil {
		return err
	}
	addr := os.Getenv(child + "_ADDR")
	return embedgw.RunVersityGW(ctx, be, &embedgw.Config{
		RootUserAccess: accessKey, RootUserSecret: secretKey, Region: region, Ports: []string{addr},
		MaxConnections: 4096, MaxRequests: 1024, MultipartMaxParts: 10000, KeepAlive: true, Quiet: true,
		S3Options: []s3api.Option{s3api.WithOnListen(func() { ready(addr) })},
	})
}

func posixBackend(dir string) (backend.Backend, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := (meta.XattrMeta{}).Test(dir); err != nil {
		return nil, fmt.Errorf("the file system of %s has no extended attributes: %w", dir, err)
	}
	return posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
}

// server is a running child.
type server struct {
	kind string
	url  string
	cmd  *exec.Cmd
}

func startServer(ctx context.Context, kind, dir, addr string) (*server, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-dir", filepath.Join(dir, kind))
	cmd.Env = append(os.Environ(), child+"="+kind, child+"_ADDR="+addr)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "127.") {
			return &server{kind: kind, url: "http://" + line, cmd: cmd}, nil
		}
	}
	return nil, fmt.Errorf("start %s: no address", kind)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}
