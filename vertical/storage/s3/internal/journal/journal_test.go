package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, rotate int64) *Journal {
	t.Helper()
	j, err := Open(dir, rotate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func record(i int) []byte {
	r := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
	p := make([]byte, 1+(i*977)%30_000)
	_, _ = r.Read(p)
	return p
}

func check(t *testing.T, j *Journal, e Entry, want []byte) {
	t.Helper()
	got := make([]byte, e.Length)
	if err := j.Check(got, e); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("entry %+v differs", e)
	}
}

func TestAppendReadReopen(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, 200_000)
	const n = 200
	entries := make([]Entry, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			e, err := j.Append(record(i))
			if err != nil {
				t.Error(err)
				return
			}
			entries[i] = e
			j.Settle(e)
		})
	}
	wg.Wait()
	for i, e := range entries {
		check(t, j, e, record(i))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	again := open(t, dir, 200_000)
	for i, e := range entries {
		check(t, again, e, record(i))
	}
	last := entries[0].File
	for _, e := range entries {
		last = max(last, e.File)
	}
	if e, err := again.Append([]byte("new")); err != nil || e.File <= last {
		t.Fatalf("append after reopening went to file %d, %v; the last was %d", e.File, err, last)
	}
}

func TestFilesAreDroppedOnlyWhenFree(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, 1<<20)
	e, err := j.Append([]byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		t.Helper()
		for _, n := range j.Files() {
			if err := j.Drop(n); err != nil {
				t.Fatal(err)
			}
		}
		_, err := os.Stat(filepath.Join(dir, name(e.File)))
		return err != nil
	}
	if gone() {
		t.Fatal("an open file was dropped")
	}
	j.Seal()
	if gone() {
		t.Fatal("a file with an unsettled entry was dropped")
	}
	if !j.Pin(e.File) {
		t.Fatal("the file cannot be pinned")
	}
	j.Settle(e)
	if gone() {
		t.Fatal("a file being read was dropped")
	}
	j.Unpin(e.File)
	if !gone() {
		t.Fatal("a free file was not dropped")
	}
	if j.Pin(e.File) {
		t.Fatal("a dropped file was pinned")
	}
	for range 3 { // the dropped file is written over, under a new number
		next, err := j.Append([]byte("more"))
		if err != nil || next.File <= e.File {
			t.Fatalf("append after dropping: %+v, %v", next, err)
		}
		check(t, j, next, []byte("more"))
		e = next
		j.Settle(e)
		j.Seal()
		if !gone() {
			t.Fatal("a free file was not dropped")
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 1 {
		t.Fatalf("files left: %v, %v", files, err)
	}
}

func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, 1<<20)
	e, err := j.Append([]byte("some data"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name(e.File)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off := e.Offset - HeaderSize; off < e.Offset+e.Length; off++ {
		var b [1]byte
		if _, err := f.ReadAt(b[:], off); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[0] ^ 0x10}, off); err != nil {
			t.Fatal(err)
		}
		if err := j.Check(make([]byte, e.Length), e); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a flipped bit at %d: %v", off, err)
		}
		if _, err := f.WriteAt(b[:], off); err != nil {
			t.Fatal(err)
		}
	}
	check(t, j, e, []byte("some data"))
}

func TestLimits(t *testing.T) {
	j := open(t, t.TempDir(), 1<<20)
	for _, n := range []int{0, MaxRecord + 1} {
		if _, err := j.Append(make([]byte, n)); err == nil {
			t.Errorf("a record of %d bytes was taken", n)
		}
	}
	if _, err := j.Append(make([]byte, MaxRecord)); err != nil {
		t.Error(err)
	}
}

// A torn file, as a crash leaves it, is no obstacle to opening.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, 1<<20)
	e, err := j.Append([]byte("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name(e.File)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("torn"), e.Offset+e.Length)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, 1<<20)
	check(t, again, e, []byte("whole"))
}

func BenchmarkAppend(b *testing.B) {
	for _, workers := range []int{1, 32} {
		b.Run(fmt.Sprintf("%d workers 16 KiB", workers), func(b *testing.B) {
			j, err := Open(b.TempDir(), 64<<20)
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			data := make([]byte, 16<<10)
			b.SetBytes(int64(len(data)))
			b.SetParallelism(workers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					e, err := j.Append(data)
					if err != nil {
						b.Error(err)
						return
					}
					j.Settle(e)
				}
			})
		})
	}
}
