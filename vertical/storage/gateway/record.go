package gateway

import (
	"encoding/binary"
	"fmt"

	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// PieceState is what the engine knows of one piece of a segment.
type PieceState uint8

// States of a piece.
const (
	PieceAbsent PieceState = iota // not stored: the upload did not reach it
	PieceGood                     // stored, as far as anybody knows
	PieceBad                      // the provider lost it or answered other bytes
)

// Piece is one piece of a segment: where it is and by what name.
type Piece struct {
	State PieceState
	Root  piece.Root // its name, known even while it is absent
	Lease LeaseID    // the lease it is stored under; zero when absent
}

// Segment is the engine's durable record of a stored segment. Doors keep only
// the id and the size; pieces move between providers by repair.
type Segment struct {
	ID     SegmentID
	Size   int64 // plaintext bytes
	Layout erasure.Layout
	Pieces []Piece // by shard index, Layout.N of them
}

// geometry is the segment as the erasure code sees it.
func (s Segment) geometry() erasure.Segment {
	return erasure.Segment{ID: erasure.ID(s.ID), Size: s.Size, Layout: s.Layout}
}

const (
	segmentVersion = 1
	segmentHeader  = 1 + 8 + 3
	pieceRecord    = 1 + 32 + 32
	// maxSegmentRecord bounds an encoded record: 255 pieces.
	maxSegmentRecord = segmentHeader + 255*pieceRecord
)

// encode is version 1 | size u64 | k | n | repair | n × (state | root 32 | lease 32),
// big endian. The id is the key it is stored under.
func (s Segment) encode() []byte {
	b := make([]byte, 0, segmentHeader+len(s.Pieces)*pieceRecord)
	b = append(b, segmentVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Size))
	b = append(b, s.Layout.K, s.Layout.N, s.Layout.Repair)
	for _, p := range s.Pieces {
		b = append(b, byte(p.State))
		b = append(b, p.Root[:]...)
		b = append(b, p.Lease[:]...)
	}
	return b
}

func decodeSegment(id SegmentID, b []byte) (Segment, error) {
	fail := func(what string, got, want any) (Segment, error) {
		return Segment{}, fmt.Errorf("decode segment %x: %s %v, want %v", id, what, got, want)
	}
	if len(b) < segmentHeader || len(b) > maxSegmentRecord {
		return fail("length", len(b), "a header and pieces")
	}
	if b[0] != segmentVersion {
		return fail("version", b[0], segmentVersion)
	}
	s := Segment{ID: id, Size: int64(binary.BigEndian.Uint64(b[1:])), Layout: erasure.Layout{K: b[9], N: b[10], Repair: b[11]}}
	if err := s.geometry().Validate(); err != nil {
		return Segment{}, fmt.Errorf("decode segment %x: %w", id, err)
	}
	n := int(s.Layout.N)
	if want := segmentHeader + n*pieceRecord; len(b) != want {
		return fail("length", len(b), want)
	}
	s.Pieces = make([]Piece, n)
	for i := range s.Pieces {
		p := b[segmentHeader+i*pieceRecord:]
		if p[0] > byte(PieceBad) {
			return fail("piece state", p[0], "0 to 2")
		}
		s.Pieces[i] = Piece{State: PieceState(p[0]), Root: piece.Root(p[1:33]), Lease: LeaseID(p[33:65])}
	}
	return s, nil
}

// mark is where one stored piece stands between us and its provider.
type mark uint8

const (
	markPut    mark = iota + 1 // upload under way: after a crash an orphan
	markAdd                    // stored and wanted, in no commitment yet
	markHeld                   // in the last countersigned commitment
	markDrop                   // in it, to be left out of the next
	markOrphan                 // perhaps stored, in no commitment, not wanted
)

// holding is one piece under one lease: the entry of the pieces table, keyed
// lease ‖ root so that a scan of a lease yields the set in the order of the
// commitment.
type holding struct {
	Root    piece.Root
	Segment SegmentID
	Index   uint8
	Size    uint64
	Mark    mark
}

const holdingSize = 32 + 1 + 8 + 1

func holdingKey(id LeaseID, root piece.Root) []byte {
	return append(append(make([]byte, 0, 64), id[:]...), root[:]...)
}

func (h holding) encode() []byte {
	b := append(make([]byte, 0, holdingSize), h.Segment[:]...)
	b = append(b, h.Index)
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, byte(h.Mark))
}

func decodeHolding(root piece.Root, b []byte) (holding, error) {
	if len(b) != holdingSize || b[41] < byte(markPut) || b[41] > byte(markOrphan) {
		return holding{}, fmt.Errorf("decode piece %s: %d bytes %x are no piece record", root, len(b), b)
	}
	return holding{
		Root: root, Segment: SegmentID(b[:32]), Index: b[32],
		Size: binary.BigEndian.Uint64(b[33:]), Mark: mark(b[41]),
	}, nil
}
