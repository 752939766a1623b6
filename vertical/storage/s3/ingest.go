package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/versity/versitygw/s3err"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
	"github.com/grange-network/grange/vertical/storage/s3/internal/journal"
)

// stored is a body whose bytes are durable but that the catalog does not know
// yet. It must be either added and settled, or dropped.
type stored struct {
	d       *door
	blob    *catalog.Blob // nil: no bytes
	entry   journal.Entry
	pending []catalog.SegmentID
	settled bool
}

var buffers = sync.Pool{New: func() any { return new([smallLimit]byte) }}

// ingest stores exactly size bytes of r and reads r to its end, so that
// whatever r verifies at its end has been verified.
func (d *door) ingest(ctx context.Context, r io.Reader, size int64) (*stored, error) {
	s := &stored{d: d}
	var err error
	switch {
	case size < 0:
		return nil, fmt.Errorf("store body: size is %d", size)
	case size == 0:
		err = atEnd(r)
	case size <= inlineLimit:
		data := make([]byte, size)
		if err = readExactly(r, data); err == nil {
			s.blob = &catalog.Blob{Refs: 1, Size: size, Place: catalog.Inline, Data: data}
			notePlace(ctx, catalog.Inline)
		}
	case size < smallLimit:
		err = s.journal(ctx, r, size)
	default:
		err = s.segments(ctx, r, size)
	}
	if err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

// readExactly fills p and expects r to end there.
func readExactly(r io.Reader, p []byte) error {
	if _, err := io.ReadFull(r, p); err != nil {
		return truncated(err)
	}
	return atEnd(r)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s3err.GetAPIError(s3err.ErrContentLengthMismatch)
	}
	return err
}

func atEnd(r io.Reader) error {
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		if n > 0 {
			return s3err.GetAPIError(s3err.ErrContentLengthMismatch)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return truncated(err)
		}
	}
}

func (s *stored) journal(ctx context.Context, r io.Reader, size int64) error {
	buf := buffers.Get().(*[smallLimit]byte)
	defer buffers.Put(buf)
	if err := readExactly(r, buf[:size]); err != nil {
		return err
	}
	e, err := s.d.jr.Append(buf[:size])
	if err != nil {
		return err
	}
	s.entry = e
	notePlace(ctx, catalog.Journaled)
	s.d.puts.add(ctx, e.File, e.Offset)
	s.blob = &catalog.Blob{Refs: 1, Size: size, Place: catalog.Journaled, File: e.File, Offset: e.Offset}
	return nil
}

func (s *stored) segments(ctx context.Context, r io.Reader, size int64) error {
	notePlace(ctx, catalog.Segmented)
	ctx, cancel := s.d.request(ctx)
	defer cancel()
	blob := &catalog.Blob{Refs: 1, Size: size, Place: catalog.Segmented}
	src := &remembering{r: r}
	for left := size; left > 0; {
		n := min(left, MaxSegment)
		id, err := s.d.seg.Put(ctx, io.LimitReader(src, n), n)
		if err != nil {
			if src.err != nil && (!errors.Is(src.err, io.EOF) || src.n < size-left+n) {
				return truncated(src.err) // the client's fault, not the store's
			}
			return err
		}
		left -= n
		s.pending = append(s.pending, id)
		blob.Segments = append(blob.Segments, catalog.Segment{ID: id, Size: n})
		if left > 0 {
			// A crash before the object is complete must not leak the segment.
			err := s.d.cat.Update(ctx, func(tx *catalog.Tx) error { return tx.Pend(id) })
			if err != nil {
				return err
			}
		}
	}
	s.blob = blob
	return atEnd(src)
}

// remembering counts a reader's bytes and keeps the error that ended it.
type remembering struct {
	r   io.Reader
	n   int64
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.err = err
	return n, err
}

// add enters the body into the catalog and returns its extents.
func (s *stored) add(tx *catalog.Tx) ([]catalog.Extent, error) {
	if s.blob == nil {
		return nil, nil
	}
	id, err := tx.AddBlob(s.blob)
	if err != nil {
		return nil, err
	}
	return []catalog.Extent{{Blob: id, Length: s.blob.Size}}, nil
}

// settle says that the catalog has the body.
func (s *stored) settle() {
	if s.settled {
		return
	}
	s.settled = true
	if s.entry.Length > 0 {
		s.d.jr.Settle(s.entry)
		s.d.journaled.Add(s.entry.Length)
		signal(s.d.packs)
	}
}

// drop gives the body up unless it is settled.
func (s *stored) drop() {
	if s.settled {
		return
	}
	s.settled = true
	if s.entry.Length > 0 {
		s.d.jr.Settle(s.entry)
		signal(s.d.packs)
	}
	if len(s.pending) == 0 {
		return
	}
	err := s.d.update(func(tx *catalog.Tx) error { return tx.Discard(s.pending...) })
	if err != nil {
		s.d.log.Error("segments of a failed upload are not discarded", "segments", len(s.pending), "err", err)
	}
}

// spool copies r, at most limit bytes, to a temporary file for bodies whose
// length is not known beforehand. Close the file to remove it.
func (d *door) spool(r io.Reader, limit int64) (*spooled, int64, error) {
	dir := filepath.Join(d.cfg.Home, "spool")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, fmt.Errorf("create spool: %w", err)
	}
	f, err := os.CreateTemp(dir, "body-*")
	if err != nil {
		return nil, 0, fmt.Errorf("create spool file: %w", err)
	}
	s := &spooled{f}
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = s3err.GetAPIError(s3err.ErrEntityTooLarge)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = s.Close()
		return nil, 0, err
	}
	return s, n, nil
}

type spooled struct{ *os.File }

// Close closes and removes the file.
func (s *spooled) Close() error {
	err := s.File.Close()
	if rerr := os.Remove(s.Name()); err == nil {
		err = rerr
	}
	return err
}
