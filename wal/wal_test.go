package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WAL_APPEND_FOREVER"); dir != "" {
		appendForever(dir)
	}
	goleak.VerifyTestMain(m)
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(t testing.TB, l *Log, data ...string) {
	t.Helper()
	for _, d := range data {
		if _, err := l.Append(t.Context(), []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
}

func contents(t testing.TB, l *Log, from uint64) (all []string) {
	t.Helper()
	want := max(from, l.First())
	for r, err := range l.Records(from) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Seq != want {
			t.Fatalf("record %d, want %d", r.Seq, want)
		}
		want++
		all = append(all, string(r.Data))
	}
	return all
}

func TestAppendAndReadBack(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{FileBytes: 200})
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("record %d", i))
	}
	want = append(want, "")
	mustAppend(t, l, want...)
	for range 2 {
		if got := contents(t, l, 0); !slices.Equal(got, want) {
			t.Fatalf("got %q", got)
		}
		if got := contents(t, l, 40); !slices.Equal(got, want[39:]) {
			t.Fatalf("from 40: got %q", got)
		}
		if len(l.files) < 5 {
			t.Fatalf("%d files: it never rotated", len(l.files))
		}
		l.Close()
		l = mustOpen(t, dir, Options{FileBytes: 200})
	}
	if l.Next() != 52 || l.First() != 1 {
		t.Fatalf("records %d to %d, want 1 to 52", l.First(), l.Next())
	}
}

func TestConcurrentAppendsShareBatches(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{FileBytes: 64 << 10, BatchSize: 4 << 10})
	var mu sync.Mutex
	got := map[uint64]string{}
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := range 50 {
				data := fmt.Sprintf("%d/%d", w, i)
				seq, err := l.Append(context.Background(), []byte(data))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[seq] = data
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	n := uint64(0)
	for r, err := range l.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if got[r.Seq] != string(r.Data) {
			t.Fatalf("record %d is %q, its append said %q", r.Seq, r.Data, got[r.Seq])
		}
	}
	if n != 1600 {
		t.Fatalf("%d records, want 1600", n)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{MaxRecord: 10, FileBytes: 100})
	if _, err := l.Append(t.Context(), make([]byte, 11)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large record: %v", err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second open: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{MaxRecord: MaxRecord + 1}); err == nil {
		t.Error("an impossible limit is taken")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ended, []byte("x")); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	l.Close()
	if _, err := l.Append(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	for _, err := range l.Records(0) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Errorf("close twice: %v", err)
	}
}

func TestTruncateBefore(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{FileBytes: 100})
	for i := range 40 {
		mustAppend(t, l, fmt.Sprintf("%02d", i+1))
	}
	if err := l.TruncateBefore(20); err != nil {
		t.Fatal(err)
	}
	if f := l.First(); f <= 1 || f > 20 {
		t.Fatalf("oldest kept is %d", f)
	}
	if got := contents(t, l, 20); len(got) != 21 || got[0] != "20" {
		t.Fatalf("got %q", got)
	}
	for _, err := range l.Records(1) {
		if !errors.Is(err, ErrGone) {
			t.Errorf("a position that is gone: %v", err)
		}
	}
	if err := l.TruncateBefore(1000); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, "41")
	l.Close()
	l = mustOpen(t, dir, Options{})
	if got := contents(t, l, 41); !slices.Equal(got, []string{"41"}) {
		t.Fatalf("after reopening: %q", got)
	}
}

// newest is the path of the newest file.
func newest(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all[len(all)-1]
}

// TestEveryTear cuts and spoils the last batch at every byte: what was in the
// batches before stays, and the log goes on.
func TestEveryTear(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	mustAppend(t, l, "one", "two")
	before, err := os.ReadFile(newest(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, "three")
	l.Close()
	whole, err := os.ReadFile(newest(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, data []byte) {
		if err := os.WriteFile(newest(t, dir), data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer l.Close()
		mustAppend(t, l, "next")
		if got := contents(t, l, 0); !slices.Equal(got, []string{"one", "two", "next"}) {
			t.Fatalf("%s: %q", name, got)
		}
	}
	for n := len(before); n < len(whole); n++ {
		try(fmt.Sprintf("cut at %d", n), whole[:n])
		spoilt := slices.Clone(whole)
		spoilt[n] ^= 0x40
		try(fmt.Sprintf("spoilt at %d", n), spoilt)
		zeros := slices.Clone(whole)
		clear(zeros[n:])
		if !bytes.Equal(zeros, whole) {
			try(fmt.Sprintf("zeros from %d", n), zeros)
		}
	}
}

func TestDamageIsNotATear(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	mustAppend(t, l, "one", "two", "three")
	l.Close()
	path := newest(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - batchHead - recordHead - len("three") {
		spoilt := slices.Clone(whole)
		spoilt[n] ^= 1
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(dir, Options{}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d of %d: %v, %v", n, len(whole), l, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, spoilt) {
			t.Fatalf("byte %d: the file was changed", n)
		}
	}
}

// TestRecordsCannotPoseAsBatches appends the bytes of a log to a log and tears
// the batch that holds them.
func TestRecordsCannotPoseAsBatches(t *testing.T) {
	other := t.TempDir()
	l := mustOpen(t, other, Options{})
	mustAppend(t, l, "a", "b", "c", "d")
	l.Close()
	evil, err := os.ReadFile(newest(t, other))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l = mustOpen(t, dir, Options{})
	mustAppend(t, l, "one", string(evil)+"tail")
	l.Close()
	path := newest(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, Options{})
	if got := contents(t, l, 0); !slices.Equal(got, []string{"one"}) {
		t.Fatalf("got %q", got)
	}
}

// small is a disk with little room: it writes what fits and then fails as a
// full one does.
type small struct {
	disk
	room *int
	sync error
}

func (s small) Write(b []byte) (int, error) {
	n := min(len(b), *s.room)
	*s.room -= n
	n, err := s.disk.Write(b[:n])
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (s small) Sync() error {
	if s.sync != nil {
		return s.sync
	}
	return s.disk.Sync()
}

func TestFullDisk(t *testing.T) {
	for room := fileHead; room < 400; room++ {
		dir, left := t.TempDir(), room
		l, err := open(dir, Options{FileBytes: 150}, func(path string) (disk, error) {
			f, err := createFile(path)
			return small{disk: f, room: &left}, err
		})
		if err != nil {
			t.Fatalf("room %d: %v", room, err)
		}
		var kept []string
		for i := 0; ; i++ {
			data := fmt.Sprintf("record %d", i)
			_, err := l.Append(t.Context(), []byte(data))
			if errors.Is(err, syscall.ENOSPC) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, data)
		}
		if got := contents(t, l, 0); !slices.Equal(got, kept) {
			t.Fatalf("room %d: got %q, want %q", room, got, kept)
		}
		left = 1 << 20
		mustAppend(t, l, "after")
		kept = append(kept, "after")
		if got := contents(t, l, 0); !slices.Equal(got, kept) {
			t.Fatalf("room %d: with room again: got %q, want %q", room, got, kept)
		}
		l.Close()
		l = mustOpen(t, dir, Options{})
		if got := contents(t, l, 0); !slices.Equal(got, kept) {
			t.Fatalf("room %d: opened again: got %q, want %q", room, got, kept)
		}
		l.Close()
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	plenty := 1 << 20
	var d small
	l, err := open(t.TempDir(), Options{}, func(path string) (disk, error) {
		f, err := createFile(path)
		d = small{disk: f, room: &plenty}
		return &d, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mustAppend(t, l, "one")
	d.sync = syscall.EIO
	for range 2 {
		if _, err := l.Append(t.Context(), []byte("two")); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("append: %v", err)
		}
		d.sync = nil
	}
	if got := contents(t, l, 0); !slices.Equal(got, []string{"one"}) {
		t.Fatalf("got %q", got)
	}
}

// TestLogIsAList compares a log with a list under random operations.
func TestLogIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "wal-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		opts := Options{FileBytes: int64(rapid.IntRange(1, 400).Draw(t, "file")), BatchSize: rapid.IntRange(1, 300).Draw(t, "batch")}
		l, err := Open(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close() }()
		var all [][]byte
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				l.Close()
				if l, err = Open(dir, opts); err != nil {
					t.Fatal(err)
				}
			case 1:
				if err := l.TruncateBefore(uint64(rapid.IntRange(0, len(all)+2).Draw(t, "before"))); err != nil {
					t.Fatal(err)
				}
			default:
				data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data")
				seq, err := l.Append(context.Background(), data)
				all = append(all, data)
				if err != nil || seq != uint64(len(all)) {
					t.Fatalf("record %d: %v, want %d", seq, err, len(all))
				}
			}
			at := l.First()
			for r, err := range l.Records(0) {
				if err != nil || r.Seq != at || !bytes.Equal(r.Data, all[at-1]) {
					t.Fatalf("record %d, %v, want %d", r.Seq, err, at)
				}
				at++
			}
			if at != uint64(len(all))+1 || at != l.Next() {
				t.Fatalf("records end before %d, next is %d, want %d", at, l.Next(), len(all)+1)
			}
		}
	})
}

func FuzzReadBatch(f *testing.F) {
	body := append(binary.BigEndian.AppendUint32(nil, 3), "abc"...)
	whole := append(make([]byte, batchHead), body...)
	putHead(whole, head{uint32(len(body)), 1, 7, 0}, salt{})
	f.Add(whole)
	whole = slices.Clone(whole)
	putHead(whole, head{uint32(len(body)), 1, 7, 0x364b3fb7}, salt{})
	f.Add(whole)
	f.Add([]byte(batchMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, got, err := readBatch(bytes.NewReader(data), salt{}, 7, int64(len(data)))
		if err != nil {
			laterBatch(data, salt{}, 3)
			return
		}
		if !framed(got, h.count) || len(got) > len(data) {
			t.Fatalf("a batch of %d bytes with %d records from %d bytes", len(got), h.count, len(data))
		}
		if !laterBatch(data, salt{}, 6) || laterBatch(data[:batchHead+len(got)-1], salt{}, 6) {
			t.Fatal("a whole batch is not found, or part of one is")
		}
	})
}

// Who reads on from a record gets it first, from wherever in a file that is larger
// than what lies between marks, before and after the log was opened again, and when
// its begin is gone.
func TestReadsOnFromAnywhere(t *testing.T) {
	dir := t.TempDir()
	opts := Options{FileBytes: 5 * markEvery}
	l := mustOpen(t, dir, opts)
	const records = 120
	fill := strings.Repeat("x", markEvery/7)
	for i := range records {
		mustAppend(t, l, fmt.Sprintf("%03d%s", i+1, fill))
	}
	check := func(name string, l *Log, first uint64, marks bool) {
		t.Helper()
		if (len(l.marks) > records/20) != marks {
			t.Errorf("%s: %d marks", name, len(l.marks))
		}
		for from := first; from <= records; from++ {
			next := from
			for r, err := range l.Records(from) {
				if err != nil || r.Seq != next || string(r.Data[:3]) != fmt.Sprintf("%03d", next) {
					t.Fatalf("%s, from %d on: record %d is %d, %v", name, from, next, r.Seq, err)
				}
				if next++; next == from+20 {
					break
				}
			}
			if want := min(from+20, records+1); next != want {
				t.Fatalf("%s, from %d on: ended before %d, want %d", name, from, next, want)
			}
		}
	}
	check("as it was written", l, 1, true)
	if err := l.TruncateBefore(60); err != nil {
		t.Fatal(err)
	}
	for _, m := range l.marks {
		if m.file < l.First() {
			t.Errorf("mark %+v of a file that is gone", m)
		}
	}
	check("without its begin", l, l.First(), true)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, opts)
	check("opened again", l, l.First(), false)
}

// BenchmarkFollow reads the newest record of a file that is nearly full.
func BenchmarkFollow(b *testing.B) {
	l, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	record := make([]byte, 32<<10)
	for range 1900 {
		if _, err := l.Append(b.Context(), record); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for _, err := range l.Records(l.Next() - 1) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
