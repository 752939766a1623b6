package sensing

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/grange-network/grange/evidence"
)

// shelf keeps the signed batches of an epoch in a file, so that what a verifier
// needs in memory does not grow with what devices measure. All is put first, then
// the file is mapped and read. It is freed by close, behind which no batch of it
// may be used.
type shelf struct {
	chainID string
	in      *evidence.Inputs
	file    *os.File
	to      *bufio.Writer
	size    int64
	mapped  []byte
}

// place is where a batch is on the shelf.
type place struct {
	counter uint64
	at      int64
	size    int32
}

func (s *shelf) put(b *Batch) (place, error) {
	if s.file == nil {
		f, err := s.in.Scratch()
		if err != nil {
			return place{}, err
		}
		s.file, s.to = f, bufio.NewWriterSize(f, 1<<20)
	}
	p := place{b.Counter, s.size, int32(len(b.Raw))}
	s.size += int64(len(b.Raw))
	_, err := s.to.Write(b.Raw)
	return p, err
}

// open makes what was put readable.
func (s *shelf) open() error {
	if s.file == nil {
		return nil
	}
	err := s.to.Flush()
	s.to = nil
	if err == nil {
		s.mapped, err = syscall.Mmap(int(s.file.Fd()), 0, int(s.size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	}
	if err != nil {
		return fmt.Errorf("keep %d bytes of batches: %w", s.size, err)
	}
	return nil
}

// batch reads one whose signature was checked before it was put.
func (s *shelf) batch(p place) *Batch {
	b, err := Read(s.mapped[p.at:p.at+int64(p.size)], s.chainID)
	if err != nil {
		panic(err) // it was read before
	}
	return b
}

func (s *shelf) close() error {
	if s.file == nil {
		return nil
	}
	var err error
	if s.mapped != nil {
		err = syscall.Munmap(s.mapped)
	}
	return errors.Join(err, s.file.Close())
}
