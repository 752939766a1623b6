// Package dirsegments keeps segments as files in one directory. It is the
// plain implementation of the door's Segments for tests and the baseline for
// benchmarks; it does not encrypt, spread or repair anything.
package dirsegments

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/grange-network/grange/vertical/storage/s3"
)

const (
	suffix     = ".seg"
	bufferSize = 256 << 10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Store is a directory of segments. Its methods are safe for concurrent use.
type Store struct {
	dir string
}

var (
	_ s3.Segments      = (*Store)(nil)
	_ s3.SegmentLister = (*Store)(nil)
)

// Open returns the store in dir, creating the directory if needed. Files of
// Puts that never finished are removed.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create segment directory: %w", err)
	}
	stale, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil {
		return nil, fmt.Errorf("find unfinished segments in %s: %w", dir, err)
	}
	for _, name := range stale {
		if err := os.Remove(name); err != nil {
			return nil, fmt.Errorf("remove unfinished segment: %w", err)
		}
	}
	return &Store{dir: dir}, nil
}

func (s *Store) path(id s3.SegmentID) string {
	return filepath.Join(s.dir, id.String()+suffix)
}

// Put stores exactly size bytes of r under a random id.
func (s *Store) Put(ctx context.Context, r io.Reader, size int64) (s3.SegmentID, error) {
	var id s3.SegmentID
	if size < 1 || size > s3.MaxSegment {
		return id, fmt.Errorf("put segment of %d bytes: limit is 1 to %d", size, s3.MaxSegment)
	}
	if err := ctx.Err(); err != nil {
		return id, err
	}
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("choose segment id: %w", err)
	}
	tmp := s.path(id) + ".tmp"
	if err := write(tmp, r, size); err != nil {
		_ = os.Remove(tmp)
		return s3.SegmentID{}, fmt.Errorf("put segment: %w", err)
	}
	if err := os.Rename(tmp, s.path(id)); err != nil {
		_ = os.Remove(tmp)
		return s3.SegmentID{}, fmt.Errorf("put segment: %w", err)
	}
	return id, s.syncDir()
}

func write(name string, r io.Reader, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(r, size), buf[:])
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("read %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return f.Sync()
}

func (s *Store) syncDir() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("sync segment directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync segment directory: %w", err)
	}
	return nil
}

// Read copies part of a segment to w.
func (s *Store) Read(ctx context.Context, id s3.SegmentID, offset, length int64, w io.Writer) error {
	f, err := os.Open(s.path(id))
	if err != nil {
		return fmt.Errorf("read segment %s: %w", id, err)
	}
	defer f.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.NewSectionReader(f, offset, length), buf[:])
	if err != nil {
		return fmt.Errorf("read segment %s: %w", id, err)
	}
	if n != length {
		return fmt.Errorf("read segment %s: got %d of %d bytes at %d: %w", id, n, length, offset, io.ErrUnexpectedEOF)
	}
	return nil
}

// Delete removes the segments' files.
func (s *Store) Delete(ctx context.Context, ids ...s3.SegmentID) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete segment %s: %w", id, err)
		}
	}
	return nil
}

// List yields every stored segment in no particular order.
func (s *Store) List(ctx context.Context, yield func(s3.SegmentID) error) error {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for _, e := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		id, ok := parse(e.Name())
		if !ok {
			continue
		}
		if err := yield(id); err != nil {
			return err
		}
	}
	return nil
}

func parse(name string) (id s3.SegmentID, ok bool) {
	if filepath.Ext(name) != suffix || len(name) != 2*len(id)+len(suffix) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(name[:2*len(id)]))
	return id, err == nil
}
