package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
)

const (
	access = "grange"
	secret = "grange-secret-key"
	region = "us-east-1"
	bucket = "bucket"
)

func TestMain(m *testing.M) {
	if home := os.Getenv(crashHome); home != "" {
		serveUntilKilled(home)
		return
	}
	goleak.VerifyTestMain(m,
		// fasthttp looks after its pool every ten seconds, also after the end.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// fasthttp and fiber keep one clock each for the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/gofiber/utils/v2.StartTimeStampUpdater.func1.1"),
	)
}

// fixture is a running door with one bucket.
type fixture struct {
	*sdk.Client
	t    *testing.T
	door *s3.Door
	url  string
	home string
	stop func()
	http *http.Client
}

// start runs a door on home, a new directory if empty, until the test ends or
// stop is called.
func start(t *testing.T, home string, edit func(*s3.Config)) *fixture {
	t.Helper()
	if home == "" {
		home = t.TempDir()
	}
	segments, err := dirsegments.Open(filepath.Join(home, "segments"))
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	cfg := s3.Config{
		Addr: "127.0.0.1:0", Region: region, AccessKey: access, SecretKey: secret,
		Home: filepath.Join(home, "door"), Segments: segments, PackIdle: time.Hour,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ready:  func(addr string) { ready <- addr },
	}
	if edit != nil {
		edit(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	door, addr, err := s3.OpenDoor(ctx, cfg)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- door.Run(ctx, addr) }()
	select {
	case addr = <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("door ended: %v", err)
	}
	f := &fixture{t: t, door: door, url: "http://" + addr, home: home, http: newHTTP()}
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		f.http.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("door ended: %v", err)
		}
	}
	t.Cleanup(f.stop)
	f.Client = f.client(access, secret)
	return f
}

func newHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
}

// begin starts a door that has the bucket.
func begin(t *testing.T) *fixture {
	f := start(t, "", nil)
	f.makeBucket(bucket)
	return f
}

func (f *fixture) client(access, secret string, opts ...func(*sdk.Options)) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(f.url), Region: region, UsePathStyle: true, HTTPClient: f.http,
		Credentials:      credentials.NewStaticCredentialsProvider(access, secret, ""),
		RetryMaxAttempts: 1,
	}, opts...)
}

func (f *fixture) ctx() context.Context { return f.t.Context() }

func (f *fixture) makeBucket(name string) {
	f.t.Helper()
	_, err := f.CreateBucket(f.ctx(), &sdk.CreateBucketInput{Bucket: &name})
	f.must(err)
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) put(key string, data []byte) *sdk.PutObjectOutput {
	f.t.Helper()
	out, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(data)})
	f.must(err)
	return out
}

func (f *fixture) get(key string) []byte {
	f.t.Helper()
	data, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	f.must(err)
	return data
}

func (f *fixture) read(in *sdk.GetObjectInput) ([]byte, error) {
	out, err := f.GetObject(f.ctx(), in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func (f *fixture) remove(key string) {
	f.t.Helper()
	_, err := f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	f.must(err)
}

func (f *fixture) same(key string, want []byte) {
	f.t.Helper()
	if got := f.get(key); !bytes.Equal(got, want) {
		f.t.Fatalf("object %q: got %d bytes %x, want %d bytes %x", key, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
	}
}

// settled collects garbage and checks that the catalog is sound and that the
// segment store has exactly the segments the catalog uses.
func (f *fixture) settled() {
	f.t.Helper()
	f.must(f.door.Verify())
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left, err := f.door.Collect() // a response may still be letting go of its segments
		f.must(err)
		if !left {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatal("discarded segments are held for ever")
		}
	}
	u, err := f.door.Usage()
	f.must(err)
	files, err := filepath.Glob(filepath.Join(f.home, "segments", "*"))
	f.must(err)
	if want := u.Segments + u.Packs + u.Pending; int64(len(files)) != want {
		f.t.Fatalf("segment store has %d segments, catalog %d: %+v", len(files), want, u)
	}
}

// code returns the S3 error code of err and the HTTP status.
func code(err error) (string, int) {
	var api smithy.APIError
	var status interface{ HTTPStatusCode() int }
	c, s := "", 0
	if errors.As(err, &api) {
		c = api.ErrorCode()
	}
	if errors.As(err, &status) {
		s = status.HTTPStatusCode()
	}
	return c, s
}

func (f *fixture) refused(err error, wantCode string, wantStatus int) {
	f.t.Helper()
	if c, s := code(err); c != wantCode || s != wantStatus {
		f.t.Fatalf("got error %q status %d, want %q %d (%v)", c, s, wantCode, wantStatus, err)
	}
}

// noise returns n bytes that depend only on seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	p := make([]byte, n)
	_, _ = r.Read(p)
	return p
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	out, err := url.QueryUnescape(strings.ReplaceAll(s, "+", "%2B"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func name(format string, args ...any) string { return fmt.Sprintf(format, args...) }
