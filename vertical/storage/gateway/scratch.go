package gateway

import (
	"fmt"
	"io"
	"os"
	"sync"
)

const scratchChunk = 256 << 10

// chunks are parts of scratches that were closed. They are used again: clearing
// and collecting twice the bytes of every upload would cost more than hashing them.
var chunks = sync.Pool{New: func() any { return new([scratchChunk]byte) }}

// scratch is memory that is given back when it is closed. One goroutine writes,
// before any reads. An http.Transport may read a request's body after it has
// answered, so reads and Close exclude each other: once Close has returned, no
// reader sees the chunks again.
type scratch struct {
	size int64
	done func() // after the memory is given back

	mu     sync.RWMutex
	parts  []*[scratchChunk]byte // nil until written
	closed bool
}

func newScratch(size int64, done func()) *scratch {
	return &scratch{size: size, done: done, parts: make([]*[scratchChunk]byte, (size+scratchChunk-1)/scratchChunk)}
}

// WriteAt implements io.WriterAt within the scratch's size.
func (s *scratch) WriteAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off > s.size-int64(len(p)) {
		return 0, fmt.Errorf("write scratch: %d bytes at %d exceed its %d: %w", len(p), off, s.size, io.ErrShortWrite)
	}
	for n < len(p) {
		at := off + int64(n)
		part := &s.parts[at/scratchChunk]
		if *part == nil {
			*part = chunks.Get().(*[scratchChunk]byte)
		}
		n += copy((*part)[at%scratchChunk:], p[n:])
	}
	return n, nil
}

// ReadAt implements io.ReaderAt. It fails with os.ErrClosed after Close and with
// io.ErrUnexpectedEOF where no byte near was written.
func (s *scratch) ReadAt(p []byte, off int64) (n int, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, os.ErrClosed
	}
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= s.size {
			return n, io.EOF
		}
		part := s.parts[at/scratchChunk]
		if part == nil {
			return n, io.ErrUnexpectedEOF
		}
		end := min(scratchChunk, s.size-at/scratchChunk*scratchChunk)
		n += copy(p[n:], part[at%scratchChunk:end])
	}
	return n, nil
}

// Close gives the memory back. It waits for reads under way.
func (s *scratch) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, part := range s.parts {
		if part != nil {
			chunks.Put(part)
		}
	}
	s.parts = nil
	s.done()
	return nil
}
