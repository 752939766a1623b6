package wal

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// TestFullFileSystem fills a real file system of 300 KiB from many goroutines,
// frees room by dropping old records, and goes on. It needs the right to mount.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=300k"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	l, err := Open(dir, Options{FileBytes: 50 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Close() }()
	var mu sync.Mutex
	var kept []uint64
	fill := func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					seq, err := l.Append(t.Context(), make([]byte, 1000))
					if errors.Is(err, syscall.ENOSPC) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					kept = append(kept, seq)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	check := func(when string) {
		slices.Sort(kept)
		want := kept[slices.Index(kept, l.First()):]
		for r, err := range l.Records(0) {
			if err != nil || len(want) == 0 || r.Seq != want[0] {
				t.Fatalf("%s: record %d: %v", when, r.Seq, err)
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Fatalf("%s: record %d is missing", when, want[0])
		}
	}
	fill()
	check("full")
	if err := l.TruncateBefore(l.Next()); err != nil {
		t.Fatal(err)
	}
	before := len(kept)
	fill()
	check("full again")
	if len(kept) < before+100 {
		t.Fatalf("%d records fit after room was made", len(kept)-before)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	check("opened again")
}
