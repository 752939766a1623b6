package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"go.uber.org/goleak"
)

// TestMain is also the S3 server of the tests, in a process of its own.
func TestMain(m *testing.M) {
	if addr := os.Getenv("EVIDENCE_SERVE_S3"); addr != "" {
		if err := serveS3(addr, os.Getenv("EVIDENCE_SERVE_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func serveS3(addr, dir string) error {
	be, err := posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), be, &embedgw.Config{
		RootUserAccess: "test", RootUserSecret: "testtest", Region: "us-east-1", Ports: []string{addr},
		MaxConnections: 64, MaxRequests: 64, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
	})
}

// startS3 serves versitygw on a plain directory and makes a bucket.
func startS3(t *testing.T) S3Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "EVIDENCE_SERVE_S3="+addr, "EVIDENCE_SERVE_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := S3Config{
		Endpoint: "http://" + addr, Region: "us-east-1", Bucket: "evidence", Prefix: "net/", AccessKey: "test", SecretKey: "testtest",
		Client: &http.Client{Transport: transport},
	}
	for range 3600 { // the other process has no way to tell that it listens
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			if _, err := NewS3(c).client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(c.Bucket)}); err != nil {
				t.Fatal(err)
			}
			return c
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("versitygw did not start")
	return c
}

// onEveryStore runs the suite on each Store with a store of its own.
func onEveryStore(t *testing.T, suite func(t *testing.T, s Store)) {
	t.Run("dir", func(t *testing.T) {
		d, err := NewDir(t.TempDir() + "/a/b")
		if err != nil {
			t.Fatal(err)
		}
		suite(t, d)
	})
	t.Run("s3", func(t *testing.T) { suite(t, NewS3(startS3(t))) })
	if path := os.Getenv("GRANGE_ENDPOINTS"); path != "" {
		t.Run("network", func(t *testing.T) { suite(t, NewS3(networkS3(t, path))) })
	}
}

// networkS3 is a new bucket at the S3 door of a running network.
func networkS3(t *testing.T, endpoints string) S3Config {
	t.Helper()
	raw, err := os.ReadFile(endpoints)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		S3 struct {
			URL, Region string
			AccessKey   string `json:"access_key"`
			SecretKey   string `json:"secret_key"`
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := S3Config{
		Endpoint: e.S3.URL, Region: e.S3.Region, AccessKey: e.S3.AccessKey, SecretKey: e.S3.SecretKey,
		Bucket: fmt.Sprintf("evidence-%d", time.Now().UnixNano()), Client: &http.Client{Transport: transport},
	}
	if _, err := NewS3(c).client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(c.Bucket)}); err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, s Store, key string) (string, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func list(t *testing.T, s Store, prefix string) (all []string) {
	t.Helper()
	for k, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

func TestStore(t *testing.T) { onEveryStore(t, conformStore) }

// conformStore is the contract of Store.
func conformStore(t *testing.T, s Store) {
	put := func(key, body string) {
		t.Helper()
		if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), "a/none"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a key that is not there: %v", err)
	}
	if keys := list(t, s, "a/"); len(keys) != 0 {
		t.Fatalf("an empty store lists %q", keys)
	}
	for _, k := range []string{"a/2", "a/10", "a/b/c", "a/b.json", "b/1", "a/empty"} {
		put(k, strings.TrimPrefix(k, "a/empty"))
	}
	for _, k := range []string{"a/2", "b/1", "a/b/c"} {
		if got, err := read(t, s, k); err != nil || got != k {
			t.Fatalf("%s holds %q, %v", k, got, err)
		}
	}
	if got, err := read(t, s, "a/empty"); err != nil || got != "" {
		t.Fatalf("an empty file holds %q, %v", got, err)
	}
	if got := list(t, s, "a/"); !slices.Equal(got, []string{"a/10", "a/2", "a/b.json", "a/b/c", "a/empty"}) {
		t.Fatalf("list: %q", got)
	}
	if got := list(t, s, "a/b"); !slices.Equal(got, []string{"a/b.json", "a/b/c"}) {
		t.Fatalf("list part of a name: %q", got)
	}
	used := strings.NewReader("new")
	_, err := used.Seek(2, io.SeekStart)
	if err := errors.Join(err, s.Put(t.Context(), "a/2", used)); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, s, "a/2"); err != nil || got != "new" {
		t.Fatalf("put again: %q, %v", got, err)
	}
	for range 2 {
		if err := s.Delete(t.Context(), "a/2"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), "a/2"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a deleted key: %v", err)
	}
	for _, k := range []string{"", "/a", "../a", "a//b", "a/.b", "a/B c", "a/"} {
		if err := s.Put(t.Context(), k, strings.NewReader("")); err == nil {
			t.Errorf("key %q is taken", k)
		}
		if _, err := s.Get(t.Context(), k); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("key %q is read: %v", k, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ended, "a/x", strings.NewReader("")); !errors.Is(err, context.Canceled) {
		t.Errorf("put with an ended context: %v", err)
	}
	conformConcurrent(t, s)
}

// conformConcurrent: a reader sees one whole file, whoever writes.
func conformConcurrent(t *testing.T, s Store) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5 {
				if err := s.Put(t.Context(), "c/x", bytes.NewReader(bytes.Repeat([]byte{byte('0' + i)}, 100_000))); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 5 {
				got, err := read(t, s, "c/x")
				if errors.Is(err, ErrNotFound) {
					continue
				}
				if err != nil || len(got) != 100_000 || strings.Trim(got, got[:1]) != "" {
					t.Errorf("read %d bytes while others write: %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
