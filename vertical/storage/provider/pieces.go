package provider

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/provider/store"
)

func (p *Provider) putPiece(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	root, err := rootOf(r)
	if err != nil {
		return err
	}
	if err := s.require("store piece", lease.Open); err != nil {
		return err
	}
	size := r.ContentLength
	if size < 1 {
		return refuse(http.StatusLengthRequired, CodeBadRequest, "store piece %v: Content-Length is missing or zero", root)
	}
	if size > piece.MaxSize {
		return refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "store piece %v: %d bytes, at most %d", root, size, piece.MaxSize)
	}
	if err := p.roomIn(s, root, size); err != nil {
		return err
	}
	_, span := trace.Start(r.Context(), "write to disk")
	created, err := p.store.Put(s.lease.ID, root, size, r.Body)
	trace.End(span, err)
	if err != nil {
		return bodyError(err)
	}
	w.Header().Set(HeaderSize, strconv.FormatInt(size, 10))
	if !created {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// roomIn refuses a piece that no commitment within the lease's capacity could hold.
func (p *Provider) roomIn(s session, root piece.Root, size int64) error {
	if _, ok := p.store.Holds(s.lease.ID, root); ok {
		return nil
	}
	newest, _ := p.store.Commitment(s.lease.ID)
	held := newest.Units + uint64(p.store.Pending(s.lease.ID))
	if held+uint64(size) > s.lease.Capacity {
		return refuse(http.StatusInsufficientStorage, CodeFull, "store %d bytes in lease %s: %d of %d used, committed or not: commit a smaller set first or open another lease",
			size, hexOf(s.lease.ID), held, s.lease.Capacity)
	}
	return nil
}

// bodyError tells a client that sent too little from a server that failed.
func bodyError(err error) error {
	r := classify(err)
	if r.code == CodeInternal && isUnexpectedEOF(err) {
		return &refusal{http.StatusBadRequest, CodeBadRequest, err, nil}
	}
	return r
}

func (p *Provider) headPiece(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	root, err := rootOf(r)
	if err != nil {
		return err
	}
	size, ok := p.store.Holds(s.lease.ID, root)
	if !ok {
		return fmt.Errorf("find piece %v in lease %s: %w", root, hexOf(s.lease.ID), store.ErrMissing)
	}
	w.Header().Set(HeaderSize, strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	return nil
}

func (p *Provider) getPiece(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	root, err := rootOf(r)
	if err != nil {
		return err
	}
	if err := s.require("read piece", lease.Open, lease.Grace); err != nil {
		return err
	}
	size, ok := p.store.Holds(s.lease.ID, root)
	if !ok {
		return fmt.Errorf("find piece %v in lease %s: %w", root, hexOf(s.lease.ID), store.ErrMissing)
	}
	off, err := number(r, "offset", 0)
	if err != nil {
		return err
	}
	n, err := number(r, "length", max(size-off, 0))
	if err != nil {
		return err
	}
	return p.sendSlice(w, r, s, root, size, off, n)
}

// sendSlice counts the range as served and sends its slice.
func (p *Provider) sendSlice(w http.ResponseWriter, r *http.Request, s session, root piece.Root, size, off, n int64) error {
	length, err := piece.SliceSize(size, off, n)
	if err != nil {
		return &refusal{http.StatusRequestedRangeNotSatisfiable, CodeBadRequest, err, nil}
	}
	paid, err := receiptOf(r.Header)
	if err != nil {
		return err
	}
	f, err := p.store.Open(root)
	if err != nil {
		p.problem("piece", err)
		return err
	}
	defer f.Close()
	ln := p.laneOf(laneID{s.lease.ID, s.lane.ID})
	newest, err := ln.serve(r.Context(), p, p.laneTerms(s.lease, s.lane), paid, uint64(n), s.epoch)
	setReceipt(w.Header(), newest)
	if err != nil {
		return err
	}
	sent := &counter{w: w}
	defer func() { ln.served(uint64(n - min(n, sent.n))) }()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	w.Header().Set(HeaderSize, strconv.FormatInt(size, 10))
	out := outBuffers.Get().(*bufio.Writer)
	defer outBuffers.Put(out)
	out.Reset(sent)
	_, span := trace.Start(r.Context(), "read and send")
	defer func() { trace.End(span, err) }()
	err = piece.WriteSlice(out, f.Data(), f.Outboard(), size, off, n)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("send piece %v at %d+%d: %w", root, off, n, err)
	}
	return nil
}

// outBuffers join the small nodes and the groups of a slice into long writes.
var outBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// counter counts the bytes that were written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
