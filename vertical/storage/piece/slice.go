package piece

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// SliceSize returns the encoded length in bytes of the slice of a range: size
// header, parent nodes and whole groups. It fails on a range outside the piece.
func SliceSize(size, off, n int64) (int64, error) {
	if err := checkRange(size, off, n); err != nil {
		return 0, err
	}
	var rec func(pos, length int64) int64
	rec = func(pos, length int64) int64 {
		if pos >= off+n || off >= pos+length {
			return 0
		}
		if length <= GroupSize {
			return length
		}
		mid := split(length)
		return parentSize + rec(pos, mid) + rec(pos+mid, length-mid)
	}
	return headerSize + rec(0, size), nil
}

// WriteSlice writes the slice of a range to w: the combined Bao slice encoding with
// 16 KiB groups. It reads only the groups and nodes the slice contains. Nothing is
// verified on the way; the reader of the slice does that. data holds the size bytes
// of the piece, outboard what Hasher.Outboard returned.
func WriteSlice(w io.Writer, data, outboard io.ReaderAt, size, off, n int64) error {
	if err := checkRange(size, off, n); err != nil {
		return err
	}
	s := sliceWriter{w: w, data: data, outboard: outboard, from: off, to: off + n}
	binary.LittleEndian.PutUint64(s.buf[:], uint64(size))
	if _, err := w.Write(s.buf[:headerSize]); err != nil {
		return fmt.Errorf("write slice header: %w", err)
	}
	return s.write(0, size, headerSize)
}

type sliceWriter struct {
	w              io.Writer
	data, outboard io.ReaderAt
	from, to       int64
	buf            [GroupSize]byte
}

// write emits the subtree over pos+length whose nodes start at node of the outboard.
func (s *sliceWriter) write(pos, length, node int64) error {
	if pos >= s.to || s.from >= pos+length {
		return nil
	}
	if length <= GroupSize {
		return s.copy(s.data, pos, length, "piece")
	}
	if err := s.copy(s.outboard, node, parentSize, "outboard"); err != nil {
		return err
	}
	mid := split(length)
	if err := s.write(pos, mid, node+parentSize); err != nil {
		return err
	}
	return s.write(pos+mid, length-mid, node+parentSize+nodesLen(mid))
}

func (s *sliceWriter) copy(r io.ReaderAt, off, n int64, what string) error {
	if got, err := r.ReadAt(s.buf[:n], off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %s at %d: %w", what, off, err)
	}
	if _, err := s.w.Write(s.buf[:n]); err != nil {
		return fmt.Errorf("write slice: %w", err)
	}
	return nil
}

// SliceReader yields the verified bytes of a range while the slice arrives. It
// never returns a byte that is not proven to lie at its place under the root, and
// reads no further than the slice's end.
type SliceReader struct {
	r        io.Reader
	size     int64
	from, to int64
	stack    []subtree
	started  bool
	err      error
	pending  []byte
	buf      [GroupSize]byte
}

type subtree struct {
	want        cv
	pos, length int64
}

// NewSliceReader reads the slice of the range off+n of the piece named root, size
// bytes long, from r. The size must come from somewhere trusted: it is part of what
// is verified.
func NewSliceReader(r io.Reader, root Root, size, off, n int64) (*SliceReader, error) {
	if err := checkRange(size, off, n); err != nil {
		return nil, err
	}
	s := &SliceReader{r: r, size: size, from: off, to: off + n}
	s.stack = append(s.stack, subtree{cvOf(root[:]), 0, size})
	return s, nil
}

// Read implements io.Reader. A mismatch gives an error that wraps ErrInvalid, a
// slice that ends early io.ErrUnexpectedEOF; both are final. A whole group that p
// has room for is read and verified in p itself; p is scratch space beyond what is
// returned, and cleared there when the group turns out wrong.
func (s *SliceReader) Read(p []byte) (int, error) {
	for len(s.pending) == 0 && s.err == nil {
		if t, ok := s.direct(len(p)); ok {
			if s.err = s.into(p, t); s.err != nil {
				return 0, s.err
			}
			s.stack = s.stack[:len(s.stack)-1]
			return GroupSize, nil
		}
		s.err = s.step()
	}
	if len(s.pending) == 0 {
		return 0, s.err
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// direct returns the next subtree if it is a full group, all of it wanted, that
// room bytes can take.
func (s *SliceReader) direct(room int) (t subtree, ok bool) {
	if room < GroupSize || len(s.stack) == 0 || !s.started {
		return t, false
	}
	t = s.stack[len(s.stack)-1]
	return t, t.length == GroupSize && s.from <= t.pos && t.pos+t.length <= s.to
}

// into reads a full group to the head of p and verifies it there.
func (s *SliceReader) into(p []byte, t subtree) error {
	g := (*[GroupSize]byte)(p)
	err := s.fill(g[:])
	if err == nil {
		err = s.check(g, t)
	}
	if err != nil {
		clear(g[:])
	}
	return err
}

// step consumes one header, parent or group.
func (s *SliceReader) step() error {
	if !s.started {
		s.started = true
		return s.header()
	}
	if len(s.stack) == 0 {
		return io.EOF
	}
	t := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	if t.pos >= s.to || s.from >= t.pos+t.length {
		return nil
	}
	if t.length <= GroupSize {
		return s.group(t)
	}
	return s.parent(t)
}

func (s *SliceReader) header() error {
	if err := s.fill(s.buf[:headerSize]); err != nil {
		return err
	}
	if got := binary.LittleEndian.Uint64(s.buf[:]); got != uint64(s.size) {
		return fmt.Errorf("read slice: claims size %d, piece has %d: %w", got, s.size, ErrInvalid)
	}
	return nil
}

func (s *SliceReader) parent(t subtree) error {
	if err := s.fill(s.buf[:parentSize]); err != nil {
		return err
	}
	l, r := cvOf(s.buf[:cvSize]), cvOf(s.buf[cvSize:parentSize])
	if parent(l, r, t.length == s.size) != t.want {
		return fmt.Errorf("read slice: node over %d+%d: %w", t.pos, t.length, ErrInvalid)
	}
	mid := split(t.length)
	s.stack = append(s.stack, subtree{r, t.pos + mid, t.length - mid}, subtree{l, t.pos, mid})
	return nil
}

func (s *SliceReader) group(t subtree) error {
	if err := s.fill(s.buf[:t.length]); err != nil {
		return err
	}
	if err := s.check(&s.buf, t); err != nil {
		return err
	}
	lo, hi := max(s.from, t.pos), min(s.to, t.pos+t.length)
	s.pending = s.buf[lo-t.pos : hi-t.pos]
	return nil
}

// check verifies the group at the head of buf.
func (s *SliceReader) check(buf *[GroupSize]byte, t subtree) error {
	if groupCV(buf, int(t.length), t.pos, t.length == s.size) != t.want {
		return fmt.Errorf("read slice: group at %d: %w", t.pos, ErrInvalid)
	}
	return nil
}

func (s *SliceReader) fill(p []byte) error {
	if _, err := io.ReadFull(s.r, p); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read slice: %w", err)
	}
	return nil
}
