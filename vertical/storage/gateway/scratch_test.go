package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestScratchHoldsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 3*scratchChunk).Draw(rt, "size")
		want := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(want)
		s := newScratch(int64(size), func() {})
		defer s.Close()
		for off := 0; off < size; {
			n := min(rapid.IntRange(1, 2*scratchChunk).Draw(rt, "step"), size-off)
			if _, err := s.WriteAt(want[off:off+n], int64(off)); err != nil {
				rt.Fatal(err)
			}
			off += n
		}
		got, err := io.ReadAll(io.NewSectionReader(s, 0, int64(size)+1))
		if err != nil || !bytes.Equal(got, want) {
			rt.Fatalf("read %d of %d bytes: %v", len(got), size, err)
		}
		if _, err := s.WriteAt([]byte{1, 2}, int64(size)-1); !errors.Is(err, io.ErrShortWrite) {
			rt.Fatalf("write beyond the end: %v", err)
		}
	})
}

// A transport may go on reading a body after its request has ended. It must not
// see, nor race with, the upload that has the memory next.
func TestScratchClosedUnderItsReaders(t *testing.T) {
	const size = 4 * scratchChunk
	for round := range byte(20) {
		s := newScratch(size, func() {})
		data := bytes.Repeat([]byte{round}, size)
		if _, err := s.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		reading := make(chan struct{}, 4)
		for range cap(reading) {
			wg.Go(func() {
				p := make([]byte, 32<<10)
				for i := 0; ; i++ {
					n, err := s.ReadAt(p, int64(i)*int64(len(p))%size)
					if i == 0 {
						reading <- struct{}{}
					}
					if errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil || !bytes.Equal(p[:n], data[:n]) {
						t.Errorf("read %d bytes of another upload, or none: %v", n, err)
						return
					}
				}
			})
		}
		for range cap(reading) {
			<-reading
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		next := newScratch(size, func() {})
		if _, err := next.WriteAt(bytes.Repeat([]byte{^round}, size), 0); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		next.Close()
	}
}

func TestSpoolsShareTheirMemory(t *testing.T) {
	const shard = smallSpool / 2
	s := newSpools(t.TempDir(), 5*shard)
	inMemory := func(shards int, want bool) *spool {
		t.Helper()
		sp, err := s.open(shards, shard)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := sp.data.(*scratch); got != want {
			t.Fatalf("spool of %d shards in memory: %v, want %v", shards, got, want)
		}
		return sp
	}
	first := inMemory(4, true)
	inMemory(2, true).close() // small: always
	second := inMemory(4, false)
	first.close()
	first.close()
	third := inMemory(4, true)
	fourth := inMemory(4, false)
	for _, sp := range []*spool{second, third, fourth} {
		sp.close()
	}
	if left := s.room.Load(); left != 5*shard {
		t.Fatalf("%d bytes of room left, want %d", left, 5*shard)
	}
}
