package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// door is an S3 endpoint and how to stop what serves it.
type door struct {
	url, region, access, secret string
	stop                        func()
}

func servePlain(ctx context.Context, addr, dir string) error {
	be, err := posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, be, &embedgw.Config{
		RootUserAccess: "bench", RootUserSecret: "benchbench", Region: "us-east-1", Ports: []string{addr},
		MaxConnections: 1024, MaxRequests: 1024, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
	})
}

// startPlain serves versitygw on a plain directory from a process of its own.
func startPlain(ctx context.Context) (door, error) {
	dir, err := os.MkdirTemp("", "grange-bench-plain-")
	if err != nil {
		return door{}, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return door{}, err
	}
	addr := l.Addr().String()
	l.Close()
	self, err := os.Executable()
	if err != nil {
		return door{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve-plain", addr+"="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return door{}, err
	}
	d := door{url: "http://" + addr, region: "us-east-1", access: "bench", secret: "benchbench", stop: func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(dir)
	}}
	for range 200 { // the other process has no way to tell that it listens
		if c, err := net.Dial("tcp", addr); err == nil {
			return d, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.stop()
	return door{}, errors.New("versitygw did not start")
}

// startNetwork starts a local network of 12 providers.
func startNetwork(ctx context.Context, grange string) (door, error) {
	home, err := os.MkdirTemp("", "grange-bench-")
	if err != nil {
		return door{}, err
	}
	cmd := exec.CommandContext(ctx, grange, "up", "--home", home, "--ports", "auto")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return door{}, err
	}
	if err := cmd.Start(); err != nil {
		return door{}, err
	}
	ready := make(chan bool, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), "The network is ready") {
				ready <- true
			}
		}
		ready <- false
	}()
	stop := func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		os.RemoveAll(home)
	}
	if !<-ready {
		stop()
		return door{}, errors.New("the network ended before it was ready")
	}
	var e struct {
		S3 struct {
			URL, Region string
			AccessKey   string `json:"access_key"`
			SecretKey   string `json:"secret_key"`
		}
	}
	b, err := os.ReadFile(filepath.Join(home, "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		stop()
		return door{}, err
	}
	return door{url: e.S3.URL, region: e.S3.Region, access: e.S3.AccessKey, secret: e.S3.SecretKey, stop: stop}, nil
}

// load is one measurement: objects of a size, so many at once.
type load struct {
	name, unit    string
	size, objects int
	workers       int
}

// wholePath drives the same load through our gateway and through versitygw on a
// plain directory, one after the other, from this process.
func wholePath(ctx context.Context, grange string, quick bool) ([]row, error) {
	loads := []load{
		{"S3 %s, 64 MiB objects, 4 at once", "MB/s", 64 << 20, 16, 4},
		{"S3 %s, 8 MiB objects, 4 at once", "MB/s", 8 << 20, 64, 4},
		{"S3 %s, 4 KiB objects, 32 at once", "op/s", 4 << 10, 8000, 32},
		{"S3 %s, 64 KiB objects, 32 at once", "op/s", 64 << 10, 2000, 32},
		{"S3 %s, 4 KiB objects, 1 at once", "op/s", 4 << 10, 500, 1},
	}
	ours, err := measure(ctx, func() (door, error) { return startNetwork(ctx, grange) }, loads, quick)
	if err != nil {
		return nil, fmt.Errorf("measure the network: %w", err)
	}
	peer, err := measure(ctx, func() (door, error) { return startPlain(ctx) }, loads, quick)
	if err != nil {
		return nil, fmt.Errorf("measure versitygw: %w", err)
	}
	var rows []row
	for i, l := range loads {
		for k, verb := range []string{"PUT", "GET"} {
			rows = append(rows, row{what: fmt.Sprintf(l.name, verb), unit: l.unit, ours: ours[i][k], peer: peer[i][k], bound: "versitygw on a plain directory"})
		}
	}
	return rows, nil
}

func measure(ctx context.Context, start func() (door, error), loads []load, quick bool) ([][2]float64, error) {
	d, err := start()
	if err != nil {
		return nil, err
	}
	defer d.stop()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(d.url), Region: d.region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(d.access, d.secret, ""),
	})
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bench")}); err != nil {
		return nil, err
	}
	var results [][2]float64
	for i, l := range loads {
		if quick {
			l.objects = max(l.objects/10, l.workers)
		}
		r, err := drive(ctx, client, l, uint64(i))
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// drive puts and then gets the objects of a load; units are MB or operations
// per second.
func drive(ctx context.Context, client *s3.Client, l load, seed uint64) (r [2]float64, err error) {
	body := make([]byte, l.size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(body)
	key := func(i int) *string { return aws.String(fmt.Sprintf("load%d/%06d", seed, i)) }
	put := func(i int) error {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bench"), Key: key(i), Body: bytes.NewReader(body)})
		return err
	}
	get := func(i int) error {
		o, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bench"), Key: key(i)})
		if err != nil {
			return err
		}
		defer o.Body.Close()
		n, err := io.Copy(io.Discard, o.Body)
		if err == nil && n != int64(l.size) {
			err = fmt.Errorf("got %d bytes of %s, want %d", n, *key(i), l.size)
		}
		return err
	}
	for k, op := range []func(int) error{put, get} {
		took, err := parallel(l.objects, l.workers, op)
		if err != nil {
			return r, err
		}
		r[k] = float64(l.objects) / took.Seconds()
		if l.unit == "MB/s" {
			r[k] *= float64(l.size) / 1e6
		}
	}
	return r, nil
}

func parallel(n, workers int, op func(int) error) (time.Duration, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := op(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		return took, err
	default:
		return took, nil
	}
}
