package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
)

// signed returns a signed request for a body with the given SHA-256.
func (f *fixture) signed(method, path, sum string, length int64) *http.Request {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.ctx(), method, f.url+path, http.NoBody)
	f.must(err)
	req.ContentLength = length
	req.Header.Set("X-Amz-Content-Sha256", sum)
	err = v4.NewSigner().SignHTTP(f.ctx(), aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, req, sum, "s3", region, time.Now())
	f.must(err)
	return req
}

// raw sends the request's head and only the given bytes of its body, and then
// closes the sending side. It returns the status, 0 if there is no answer.
func (f *fixture) raw(req *http.Request, body []byte) int {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	f.must(err)
	defer conn.Close()
	var head bytes.Buffer
	head.WriteString(req.Method + " " + req.URL.RequestURI() + " HTTP/1.1\r\nHost: " + req.Host + "\r\n")
	head.WriteString(name("Content-Length: %d\r\n", req.ContentLength))
	f.must(req.Header.Write(&head))
	head.WriteString("\r\n")
	_, err = conn.Write(append(head.Bytes(), body...))
	f.must(err)
	f.must(conn.(*net.TCPConn).CloseWrite())
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Minute))
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func hexSum(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

func TestTruncatedBodyLeavesNothing(t *testing.T) {
	f := begin(t)
	f.put("k", []byte("old"))
	for _, n := range []int{100, 100_000, 3 << 20} {
		data := noise(1, n)
		for _, sum := range []string{hexSum(data), "UNSIGNED-PAYLOAD"} {
			req := f.signed(http.MethodPut, "/bucket/k", sum, int64(n))
			if status := f.raw(req, data[:n/2]); status == 200 {
				t.Fatalf("half of %d bytes with %s was taken", n, sum)
			}
			f.same("k", []byte("old"))
		}
		req := f.signed(http.MethodPut, "/bucket/k2", hexSum(data), int64(n))
		if status := f.raw(req, data); status != 200 {
			t.Fatalf("all of %d bytes: status %d", n, status)
		}
		f.same("k2", data)
	}
	f.settled()
}

func TestWrongBodyHashLeavesNothing(t *testing.T) {
	f := begin(t)
	for _, n := range []int{100, 100_000, 3 << 20} {
		req := f.signed(http.MethodPut, "/bucket/k", hexSum([]byte("other")), int64(n))
		if status := f.raw(req, noise(1, n)); status != 400 {
			t.Fatalf("%d bytes with the wrong hash: status %d", n, status)
		}
	}
	_, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.refused(err, "NoSuchKey", 404)
	f.settled()
}

// troubled is a segment store that fails when told to.
type troubled struct {
	s3.Segments
	put, read, del atomic.Pointer[error]
	readAfter      atomic.Int64 // bytes to give before a failing read fails
}

func (s *troubled) set(p *atomic.Pointer[error], err error) {
	if err == nil {
		p.Store(nil)
		return
	}
	p.Store(&err)
}

func (s *troubled) Put(ctx context.Context, r io.Reader, size int64) (s3.SegmentID, error) {
	if err := s.put.Load(); err != nil {
		_, _ = io.CopyN(io.Discard, r, size/2)
		return s3.SegmentID{}, *err
	}
	return s.Segments.Put(ctx, r, size)
}

func (s *troubled) Read(ctx context.Context, id s3.SegmentID, off, n int64, w io.Writer) error {
	if err := s.read.Load(); err != nil {
		if k := s.readAfter.Load(); k > 0 {
			if err := s.Segments.Read(ctx, id, off, min(k, n), w); err != nil {
				return err
			}
		}
		return *err
	}
	return s.Segments.Read(ctx, id, off, n, w)
}

func (s *troubled) Delete(ctx context.Context, ids ...s3.SegmentID) error {
	if err := s.del.Load(); err != nil {
		return *err
	}
	return s.Segments.Delete(ctx, ids...)
}

// A client that is refused early is still sending. It must read why, and not
// find its connection reset.
func TestEarlyRefusalsAreReadByWhoeverStillSends(t *testing.T) {
	f := start(t, "", nil)
	body := noise(1, 48<<20)
	eager := func(o *sdk.Options) { o.ContinueHeaderThresholdBytes = -1 }
	for range 3 {
		_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("k"), Body: bytes.NewReader(body)}, eager)
		f.refused(err, "NoSuchBucket", 404)
	}
}

func TestStoreErrorsReachTheClient(t *testing.T) {
	var store *troubled
	f := start(t, "", func(c *s3.Config) {
		store = &troubled{Segments: c.Segments}
		c.Segments = store
	})
	f.makeBucket(bucket)
	big := noise(1, 3<<20)
	put := func() error {
		_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: bytes.NewReader(big)})
		return err
	}
	dry := "the escrow of lease 17 is spent; add credits with grange storage fund"
	store.set(&store.put, errors.Join(errors.New(dry), s3.ErrReadOnly))
	err := put()
	f.refused(err, "AccessDenied", 403)
	if !strings.Contains(err.Error(), dry) {
		t.Fatalf("the client is not told why: %v", err)
	}
	store.set(&store.put, s3.ErrInsufficient)
	f.refused(put(), "SlowDown", 503)
	store.set(&store.put, errors.New("secret detail"))
	err = put()
	f.refused(err, "InternalError", 500)
	if strings.Contains(err.Error(), "secret detail") {
		t.Fatalf("the client is told too much: %v", err)
	}
	// Small objects are kept while the network is away, and are readable.
	f.put("small", noise(2, 50_000))
	if err := f.door.Pack(); err == nil {
		t.Fatal("packing did not fail")
	}
	f.same("small", noise(2, 50_000))
	store.set(&store.put, nil)
	f.must(f.door.Pack())
	f.same("small", noise(2, 50_000))
	f.must(put())

	store.set(&store.read, s3.ErrInsufficient)
	for _, key := range []string{"k", "small"} {
		_, err = f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
		f.refused(err, "SlowDown", 503)
	}
	store.readAfter.Store(2 << 20)
	data, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err == nil {
		t.Fatalf("a response that broke off was taken for whole: %d bytes", len(data))
	}
	store.set(&store.read, nil)
	f.same("k", big)

	// What cannot be deleted now is deleted later.
	store.set(&store.del, s3.ErrInsufficient)
	f.remove("k")
	if _, err := f.door.Collect(); err == nil {
		t.Fatal("collecting did not fail")
	}
	store.set(&store.del, nil)
	f.settled()
}

// A reader that began before an object was deleted gets all of it.
func TestReadersSurviveDeletionAndPacking(t *testing.T) {
	f := begin(t)
	big := noise(1, 40<<20)
	f.put("big", big)
	out, err := f.GetObject(f.ctx(), &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("big")})
	f.must(err)
	defer out.Body.Close()
	first := make([]byte, 1<<20)
	_, err = io.ReadFull(out.Body, first)
	f.must(err)
	f.remove("big")
	left, err := f.door.Collect()
	f.must(err)
	if !left {
		t.Log("the whole response was in socket buffers already")
	}
	rest, err := io.ReadAll(out.Body)
	f.must(err)
	if !bytes.Equal(append(first, rest...), big) {
		t.Fatal("the response differs")
	}
	for range 18_000 { // three minutes
		if left, err = f.door.Collect(); err != nil || !left {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.settled()
}

func TestCompaction(t *testing.T) {
	f := begin(t)
	keep := map[string][]byte{}
	for i := range 40 {
		key := name("k%02d", i)
		data := noise(uint64(i), 20_000+i)
		f.put(key, data)
		if i%4 == 0 {
			keep[key] = data
		}
	}
	f.must(f.door.Pack())
	for i := range 40 {
		if i%4 != 0 {
			f.remove(name("k%02d", i))
		}
	}
	f.must(f.door.Pack())
	u, err := f.door.Usage()
	f.must(err)
	if u.Packs != 1 || u.PackLive != u.PackBytes || u.PackBytes == 0 {
		t.Fatalf("after compaction: %+v", u)
	}
	for k, data := range keep {
		f.same(k, data)
	}
	// Many small packs are merged.
	for i := range 20 {
		key := name("runt%02d", i)
		keep[key] = noise(uint64(100+i), 10_000)
		f.put(key, keep[key])
		f.must(f.door.Pack())
	}
	if u, err = f.door.Usage(); err != nil || u.Packs > 16 {
		t.Fatalf("packs are not merged: %+v, err %v", u, err)
	}
	for k, data := range keep {
		f.same(k, data)
	}
	f.settled()
}

// A record that rots in the journal is never served and keeps nothing back.
func TestDamagedJournal(t *testing.T) {
	f := begin(t)
	data := map[string][]byte{}
	for i := range 5 {
		key := name("k%d", i)
		data[key] = noise(uint64(i), 20_000)
		f.put(key, data[key])
	}
	files, err := filepath.Glob(filepath.Join(f.home, "door", "journal", "journal-*"))
	f.must(err)
	if len(files) != 1 {
		t.Fatalf("journal files %v", files)
	}
	raw, err := os.ReadFile(files[0])
	f.must(err)
	at := bytes.Index(raw, data["k2"][100:200])
	file, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	f.must(err)
	_, err = file.WriteAt([]byte("rot"), int64(at))
	f.must(err)
	f.must(file.Close())
	delete(data, "k2")
	for range 2 {
		for key, want := range data {
			f.same(key, want)
		}
		_, err = f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k2")})
		f.refused(err, "InternalError", 500)
		f.must(f.door.Pack())
	}
	u, err := f.door.Usage()
	f.must(err)
	if u.JournaledBlobs != 1 || u.Packs != 1 {
		t.Fatalf("after packing: %+v", u)
	}
	f.remove("k2")
	f.settled()
}

func TestPackingByItself(t *testing.T) {
	f := start(t, "", func(c *s3.Config) { c.PackIdle = 50 * time.Millisecond })
	f.makeBucket(bucket)
	f.put("k", noise(1, 10_000))
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		u, err := f.door.Usage()
		f.must(err)
		if u.Packs == 1 && u.JournaledBlobs == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is packed: %+v", u)
		}
	}
	f.same("k", noise(1, 10_000))
	f.settled()
}

func TestRestart(t *testing.T) {
	home := t.TempDir()
	f := start(t, home, nil)
	f.makeBucket(bucket)
	sizes := []int{0, 10, 4096, 5000, 500_000, 2 << 20}
	for _, n := range sizes {
		f.put(name("k%d", n), noise(uint64(n), n))
	}
	m := f.multipart("mp", "", "")
	m.add(noise(1, partSize))
	f.stop()
	f = start(t, home, nil)
	for _, n := range sizes {
		f.same(name("k%d", n), noise(uint64(n), n))
	}
	m.f = f
	m.add(noise(2, 100))
	_, err := m.complete(nil)
	f.must(err)
	f.same("mp", m.data)
	f.settled()
}

// What a crash leaves in the store is deleted at the next start, but a store is
// never emptied because its catalog was lost.
func TestOrphansAtStart(t *testing.T) {
	home := t.TempDir()
	f := start(t, home, nil)
	f.makeBucket(bucket)
	f.put("k", noise(1, 2<<20))
	f.stop()
	store, err := dirsegments.Open(filepath.Join(home, "segments"))
	f.must(err)
	_, err = store.Put(t.Context(), bytes.NewReader(noise(2, 5000)), 5000)
	f.must(err)
	f = start(t, home, nil)
	f.same("k", noise(1, 2<<20))
	f.settled()
	f.stop()
	f.must(os.Rename(filepath.Join(home, "door", "catalog.db"), filepath.Join(home, "catalog.db")))
	f = start(t, home, nil)
	_, err = f.door.Collect()
	f.must(err)
	f.stop()
	f.must(os.Rename(filepath.Join(home, "catalog.db"), filepath.Join(home, "door", "catalog.db")))
	f = start(t, home, nil)
	f.same("k", noise(1, 2<<20))
	f.settled()
}

func TestStopWithOpenConnections(t *testing.T) {
	f := begin(t)
	f.put("k", []byte("x")) // leaves an idle connection open
	began := time.Now()
	done := make(chan struct{})
	go func() { f.stop(); close(done) }()
	<-done
	if d := time.Since(began); d > time.Minute {
		t.Fatalf("stopping took %v", d)
	}
}

func TestTraceIsPassedOn(t *testing.T) {
	seen := make(chan string, 10)
	f := start(t, "", func(c *s3.Config) { c.Segments = &tracing{c.Segments, seen} })
	f.makeBucket(bucket)
	req := f.signed(http.MethodPut, "/bucket/k", "UNSIGNED-PAYLOAD", 2<<20)
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Body = io.NopCloser(bytes.NewReader(noise(1, 2<<20)))
	res, err := f.http.Do(req)
	f.must(err)
	_ = res.Body.Close()
	got := <-seen
	if !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || res.Header.Get("Traceparent") != got {
		t.Fatalf("store saw %q, client %q", got, res.Header.Get("Traceparent"))
	}
}

type tracing struct {
	s3.Segments
	seen chan string
}

func (s *tracing) Put(ctx context.Context, r io.Reader, n int64) (s3.SegmentID, error) {
	s.seen <- trace.Traceparent(oteltrace.SpanContextFromContext(ctx))
	return s.Segments.Put(ctx, r, n)
}
