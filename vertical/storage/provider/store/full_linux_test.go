package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/grange-network/grange/vertical/storage/piece"
)

// smallDisk mounts a real file system of a few megabytes; it needs the right to.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

// A disk that fills up, whether under a piece or under the index, gives ErrFull,
// leaves nothing half-written, and takes pieces again when there is room.
func TestFullDisk(t *testing.T) {
	for name, size := range map[string]int{"large pieces": 700_000, "small pieces": 3000} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t)
			s, _ := open(t, dir, 1<<30)
			var stored []piece.Root
			var err error
			for i := uint64(0); err == nil; i++ {
				data := randomBytes(i, size)
				root := rootOf(data)
				if _, err = s.Put(leaseA, root, int64(size), bytes.NewReader(data)); err == nil {
					stored = append(stored, root)
				}
			}
			if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("after %d pieces: %v", len(stored), err)
			}
			check := func() {
				t.Helper()
				if u := s.Usage(); u.Pieces != len(stored) || u.Used != int64(len(stored)*size) || u.Reserved != 0 {
					t.Fatalf("stored %d, usage %+v", len(stored), u)
				}
				if n := countFiles(t, dir); n != len(stored) {
					t.Fatalf("%d files for %d pieces", n, len(stored))
				}
				for _, r := range stored {
					if err := s.Check(r); err != nil {
						t.Fatal(err)
					}
				}
			}
			check()
			s.Close()
			s, _ = open(t, dir, 1<<30)
			check()
			// Room for the index to shrink the lease comes from the file system's
			// owner, as on a real machine.
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
				t.Fatal(err)
			}
			put(t, s, leaseA, randomBytes(99_999, size))
			if _, err := s.Forget(leaseA); err != nil {
				t.Fatal(err)
			}
			stored = nil
			check()
			s.Close()
		})
	}
}

// A disk that fills up under the index alone: the piece fits, its entry does not.
func TestFullDiskUnderTheIndex(t *testing.T) {
	dir := smallDisk(t)
	s, _ := open(t, dir, 1<<30)
	put(t, s, leaseA, randomBytes(1, 1000))
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if err := s.SaveLane(leaseA, 1, make([]byte, 200_000)); !errors.Is(err, ErrFull) {
		t.Fatalf("index on a full disk: %v", err)
	}
	if s.Lane(leaseA, 1) != nil {
		t.Error("a refused state is there")
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveLane(leaseA, 1, make([]byte, 200_000)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	put(t, s, leaseA, randomBytes(2, 1000))
	s.Close()
}
