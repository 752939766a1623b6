package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
	"github.com/grange-network/grange/vertical/storage/s3/internal/journal"
)

// eager is the most bytes of a response that are read before it is begun, so
// that a failure can still be answered with an error.
const eager = 1 << 20

// piece is a run of bytes in one place.
type piece struct {
	data   []byte        // inline
	entry  journal.Entry // journaled; the whole record
	id     SegmentID     // in a segment
	offset int64
	length int64
	place  catalog.Place
}

// locate returns where length bytes of the extents from offset are. The pieces
// are pinned; release unpins them.
func (d *door) locate(tx *catalog.Tx, extents []catalog.Extent, offset, length int64) ([]piece, error) {
	var out []piece
	for _, x := range extents {
		if offset >= x.Length {
			offset -= x.Length
			continue
		}
		if length == 0 {
			break
		}
		n := min(length, x.Length-offset)
		b, err := tx.Blob(x.Blob)
		if err == nil {
			out, err = d.pieces(out, b, x.Offset+offset, n)
		}
		if err != nil {
			d.release(out)
			return nil, err
		}
		length -= n
		offset = 0
	}
	if length > 0 {
		d.release(out)
		return nil, fmt.Errorf("locate object data: %d bytes are missing", length)
	}
	return out, nil
}

// pieces appends the places of n bytes of the blob from offset.
func (d *door) pieces(out []piece, b *catalog.Blob, offset, n int64) ([]piece, error) {
	if offset < 0 || n < 0 || offset+n > b.Size {
		return out, fmt.Errorf("locate blob data: %d bytes at %d of %d", n, offset, b.Size)
	}
	switch b.Place {
	case catalog.Inline:
		return append(out, piece{place: b.Place, data: b.Data[offset : offset+n], length: n}), nil
	case catalog.Journaled:
		if !d.jr.Pin(b.File) {
			return out, fmt.Errorf("locate blob data: journal file %d is gone", b.File)
		}
		e := journal.Entry{File: b.File, Offset: b.Offset, Length: b.Size}
		return append(out, piece{place: b.Place, entry: e, offset: offset, length: n}), nil
	case catalog.Packed:
		return append(out, d.segmentPiece(b.Pack, b.Offset+offset, n)), nil
	}
	for _, s := range b.Segments {
		if offset >= s.Size {
			offset -= s.Size
			continue
		}
		if n == 0 {
			break
		}
		m := min(n, s.Size-offset)
		out = append(out, d.segmentPiece(s.ID, offset, m))
		n -= m
		offset = 0
	}
	return out, nil
}

func (d *door) segmentPiece(id SegmentID, offset, n int64) piece {
	d.pins.add(id)
	return piece{place: catalog.Segmented, id: id, offset: offset, length: n}
}

func (d *door) release(ps []piece) {
	for _, p := range ps {
		switch p.place {
		case catalog.Journaled:
			d.jr.Unpin(p.entry.File)
		case catalog.Segmented:
			d.pins.remove(p.id)
		}
	}
}

// copyPieces writes the pieces to w.
func (d *door) copyPieces(ctx context.Context, ps []piece, w io.Writer) error {
	for _, p := range ps {
		var err error
		switch p.place {
		case catalog.Inline:
			_, err = w.Write(p.data)
		case catalog.Journaled:
			err = d.copyJournaled(p, w)
		default:
			err = d.seg.Read(ctx, p.id, p.offset, p.length, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyJournaled writes a part of a journal record to w. The whole record is
// read, because only as a whole can it be verified.
func (d *door) copyJournaled(p piece, w io.Writer) error {
	buf := buffers.Get().(*[smallLimit]byte)
	defer buffers.Put(buf)
	data := buf[:p.entry.Length]
	if err := d.jr.Check(data, p.entry); err != nil {
		return err
	}
	_, err := w.Write(data[p.offset : p.offset+p.length])
	return err
}

// stream returns a reader of the pieces, which it releases when closed. It
// returns an error instead if reading cannot even begin.
func (d *door) stream(ctx context.Context, ps []piece, length int64) (io.ReadCloser, error) {
	if len(ps) > 0 {
		notePlace(ctx, ps[0].place)
	}
	rctx, cancel := d.request(ctx)
	if length <= eager {
		defer cancel()
		defer d.release(ps)
		b := newSmallBody(length)
		if err := d.copyPieces(rctx, ps, b); err != nil {
			_ = b.Close()
			return nil, err
		}
		if int64(b.n) != length {
			_ = b.Close()
			return nil, fmt.Errorf("read object data: got %d of %d bytes", b.n, length)
		}
		return b, nil
	}
	b := &body{cancel: cancel, sink: make(chan io.Writer, 1), begun: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer d.release(ps)
		b.err = d.copyPieces(rctx, ps, (*gate)(b))
		if b.err != nil && !b.gone && rctx.Err() == nil {
			d.log.ErrorContext(rctx, "s3 response broke off", "sent", b.n, "of", length, "err", b.err)
		}
		b.once.Do(func() { close(b.begun) })
	}()
	<-b.begun
	if b.wrote {
		return b, nil
	}
	err := b.err
	_ = b.Close()
	if err == nil {
		err = errors.New("read object data: no bytes")
	}
	return nil, err
}

// smallBody is a response that has been read as a whole. Buffers of larger ones
// are used again.
type smallBody struct {
	slab *[smallLimit]byte
	p    []byte
	n    int // bytes written
	off  int // bytes read
}

const slabFrom = 32 << 10

func newSmallBody(length int64) *smallBody {
	if length < slabFrom {
		return &smallBody{p: make([]byte, length)}
	}
	slab := buffers.Get().(*[smallLimit]byte)
	return &smallBody{slab: slab, p: slab[:length]}
}

// Write appends to the body.
func (b *smallBody) Write(p []byte) (int, error) {
	n := copy(b.p[b.n:], p)
	b.n += n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// WriteTo writes what has not been read to w.
func (b *smallBody) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.p[b.off:b.n])
	b.off += n
	return int64(n), err
}

// Read reads from the body.
func (b *smallBody) Read(p []byte) (int, error) {
	if b.off == b.n {
		return 0, io.EOF
	}
	n := copy(p, b.p[b.off:b.n])
	b.off += n
	return n, nil
}

// Close gives the buffer back.
func (b *smallBody) Close() error {
	if b.slab != nil {
		buffers.Put(b.slab)
		b.slab, b.p, b.n, b.off = nil, nil, 0, 0
	}
	return nil
}

// body is a response whose bytes are pushed by a goroutine that waits, after
// its first bytes are there, for somewhere to write them to. So nothing is
// copied in between and a failure to begin is known before the response starts.
type body struct {
	cancel context.CancelFunc
	sink   chan io.Writer
	begun  chan struct{}
	done   chan struct{}
	once   sync.Once
	wrote  bool      // before begun is closed
	w      io.Writer // gate only
	n      int64     // gate only, until done
	gone   bool      // gate only: the sink failed
	err    error     // until done: goroutine only
	pipe   *io.PipeReader
	closed bool
}

var (
	_ io.WriterTo   = (*body)(nil)
	_ io.ReadCloser = (*body)(nil)
)

// gate is the writing side of a body.
type gate body

var errClosed = errors.New("response is closed")

// Write passes p on once there is a sink.
func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { g.wrote = true; close(g.begun) })
	if g.w == nil {
		g.w = <-g.sink
	}
	n, err := g.w.Write(p)
	g.n += int64(n)
	g.gone = g.gone || err != nil
	return n, err
}

// WriteTo writes the whole body to w.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	b.sink <- w
	<-b.done
	return b.n, b.err
}

// Read reads from the body; it cannot be mixed with WriteTo.
func (b *body) Read(p []byte) (int, error) {
	if b.pipe == nil {
		r, w := io.Pipe()
		b.pipe = r
		b.sink <- w
		go func() {
			<-b.done
			_ = w.CloseWithError(b.err)
		}()
	}
	return b.pipe.Read(p)
}

// Close ends the reading and waits for it.
func (b *body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.cancel()
	if b.pipe != nil {
		_ = b.pipe.CloseWithError(errClosed)
	}
	select {
	case b.sink <- failing{}:
	default:
	}
	<-b.done
	return nil
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errClosed }
