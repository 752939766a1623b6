package gateway

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// segmentVector is a 1/2/1 segment of 5 bytes: one good piece, one absent.
var segmentVector = "01" + "0000000000000005" + "010201" +
	"01" + strings.Repeat("aa", 32) + strings.Repeat("bb", 32) +
	"00" + strings.Repeat("cc", 32) + strings.Repeat("00", 32)

func TestSegmentRecordVector(t *testing.T) {
	s := Segment{ID: SegmentID{1}, Size: 5, Layout: erasure.Layout{K: 1, N: 2, Repair: 1}, Pieces: []Piece{
		{State: PieceGood, Root: piece.Root(bytes.Repeat([]byte{0xaa}, 32)), Lease: LeaseID(bytes.Repeat([]byte{0xbb}, 32))},
		{Root: piece.Root(bytes.Repeat([]byte{0xcc}, 32))},
	}}
	if got := hex.EncodeToString(s.encode()); got != segmentVector {
		t.Errorf("encodes as\n%s, want\n%s", got, segmentVector)
	}
	raw, _ := hex.DecodeString(segmentVector)
	back, err := decodeSegment(SegmentID{1}, raw)
	if err != nil || back.Size != 5 || len(back.Pieces) != 2 || back.Pieces[0] != s.Pieces[0] {
		t.Errorf("decodes as %+v, %v", back, err)
	}
}

func FuzzSegmentRecord(f *testing.F) {
	raw, _ := hex.DecodeString(segmentVector)
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := decodeSegment(SegmentID{}, in)
		if err != nil {
			return
		}
		if !bytes.Equal(s.encode(), in) {
			t.Fatalf("%x decodes to %+v, which encodes otherwise", in, s)
		}
	})
}

func FuzzHolding(f *testing.F) {
	f.Add(holding{Segment: SegmentID{1}, Index: 2, Size: 3, Mark: markHeld}.encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := decodeHolding(piece.Root{9}, in)
		if err == nil && !bytes.Equal(h.encode(), in) {
			t.Fatalf("%x decodes to %+v, which encodes otherwise", in, h)
		}
	})
}
