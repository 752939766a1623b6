// Package segmentstest checks that an implementation of the S3 door's Segments
// keeps its contract. Every implementation runs it in its own tests.
package segmentstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/grange-network/grange/vertical/storage/s3"
)

// Run checks the store that open returns for each part of the contract.
func Run(t *testing.T, open func(t *testing.T) s3.Segments) {
	for _, c := range []struct {
		name string
		test func(*testing.T, s3.Segments)
	}{
		{"what is put can be read in full and in parts", putRead},
		{"a reader that ends early or fails stores nothing", badReaders},
		{"equal data twice is two segments or survives one deletion", twice},
		{"deleting is final and can be repeated", deletion},
		{"reading what is not there fails", missing},
		{"many at once", parallel},
		{"a cancelled context ends a put", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func data(t *testing.T, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := rand.Read(p); err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, s s3.Segments, p []byte) s3.SegmentID {
	t.Helper()
	id, err := s.Put(t.Context(), bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatalf("put %d bytes: %v", len(p), err)
	}
	return id
}

func expect(t *testing.T, s s3.Segments, id s3.SegmentID, off int64, want []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := s.Read(t.Context(), id, off, int64(len(want)), &got); err != nil {
		t.Fatalf("read %d bytes at %d: %v", len(want), off, err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("read %d bytes at %d: got %d other bytes", len(want), off, got.Len())
	}
}

func putRead(t *testing.T, s s3.Segments) {
	sizes := []int{1, 1000, 64 << 10, 64<<10 + 1, 1<<20 - 1, 5<<20 + 7}
	if !testing.Short() {
		sizes = append(sizes, int(s3.MaxSegment))
	}
	for _, n := range sizes {
		p := data(t, n)
		id, err := s.Put(t.Context(), iotest.OneByteReader(bytes.NewReader(p[:1])), 1)
		if err != nil {
			t.Fatalf("put one byte: %v", err)
		}
		expect(t, s, id, 0, p[:1])
		// Bytes behind the stated size are not the store's.
		r := bytes.NewReader(append(p[:n:n], 1, 2, 3))
		if id, err = s.Put(t.Context(), r, int64(n)); err != nil {
			t.Fatalf("put %d bytes: %v", n, err)
		}
		expect(t, s, id, 0, p)
		for _, at := range [][2]int{{0, 1}, {n - 1, n}, {n / 3, n/3 + 1}, {n / 2, min(n, n/2+100_000)}, {max(0, n-65537), n}} {
			expect(t, s, id, int64(at[0]), p[at[0]:at[1]])
		}
	}
}

var errSource = errors.New("the source fails")

func badReaders(t *testing.T, s s3.Segments) {
	count := func() int {
		l, ok := s.(s3.SegmentLister)
		if !ok {
			return 0
		}
		n := 0
		if err := l.List(t.Context(), func(s3.SegmentID) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	for _, n := range []int{1, 100_000, 3 << 20} {
		p := data(t, n)
		if _, err := s.Put(t.Context(), bytes.NewReader(p[:n-1]), int64(n)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("put of %d bytes that ends one early: %v", n, err)
		}
		r := io.MultiReader(bytes.NewReader(p[:n/2]), iotest.ErrReader(errSource))
		if _, err := s.Put(t.Context(), r, int64(n)); !errors.Is(err, errSource) {
			t.Errorf("put of %d bytes that fails half-way: %v", n, err)
		}
	}
	if after := count(); after != before {
		t.Errorf("failed puts left %d segments", after-before)
	}
}

func twice(t *testing.T, s s3.Segments) {
	p := data(t, 200_000)
	a, b := put(t, s, p), put(t, s, p)
	if err := s.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	expect(t, s, b, 0, p)
}

func deletion(t *testing.T, s s3.Segments) {
	a, b, c := put(t, s, data(t, 10)), put(t, s, data(t, 2<<20)), data(t, 300_000)
	kept := put(t, s, c)
	for range 2 {
		if err := s.Delete(t.Context(), a, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatalf("delete nothing: %v", err)
	}
	for _, id := range []s3.SegmentID{a, b} {
		if err := s.Read(t.Context(), id, 0, 1, io.Discard); err == nil {
			t.Error("a deleted segment can be read")
		}
	}
	expect(t, s, kept, 0, c)
}

func missing(t *testing.T, s s3.Segments) {
	if err := s.Read(t.Context(), s3.SegmentID{1, 2, 3}, 0, 1, io.Discard); err == nil {
		t.Error("a segment that was never stored can be read")
	}
	id := put(t, s, data(t, 1000))
	if err := s.Read(t.Context(), id, 990, 11, io.Discard); err == nil {
		t.Error("bytes behind the end can be read")
	}
	if err := s.Read(t.Context(), id, 0, 1000, failingWriter{}); !errors.Is(err, errSink) {
		t.Errorf("the sink's error is lost: %v", err)
	}
	for _, n := range []int64{0, -1, s3.MaxSegment + 1} {
		if _, err := s.Put(t.Context(), bytes.NewReader(nil), n); err == nil {
			t.Errorf("a segment of %d bytes was taken", n)
		}
	}
}

var errSink = errors.New("the sink fails")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errSink }

func parallel(t *testing.T, s s3.Segments) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 4 {
				p := data(t, 50_000*(i+1)+n)
				id, err := s.Put(t.Context(), bytes.NewReader(p), int64(len(p)))
				var got bytes.Buffer
				if err == nil {
					err = s.Read(t.Context(), id, 0, int64(len(p)), &got)
				}
				if err == nil && n%2 == 0 {
					err = s.Delete(t.Context(), id)
				}
				if err != nil || !bytes.Equal(got.Bytes(), p) {
					t.Errorf("worker %d round %d: %d of %d bytes, %v", i, n, got.Len(), len(p), err)
				}
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, s s3.Segments) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, bytes.NewReader(data(t, 1<<20)), 1<<20); err == nil {
		t.Error("a put with a cancelled context succeeded")
	}
}
