package erasure

import (
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	// BlockSize is the plaintext length of a full block in bytes.
	BlockSize = 64 << 10
	// Overhead is what AES-GCM adds to a block: the 16-byte tag.
	Overhead = 16
	// UnitSize is the length of a full encrypted block, the stripe unit.
	UnitSize = BlockSize + Overhead
	// MaxSegment is the largest plaintext of one segment in bytes.
	MaxSegment = 64 << 20
	// MaxShard is the largest sealed shard in bytes, the limit of a provider's
	// piece.
	MaxShard = 32 << 20

	// tailAlign rounds the block size of a short last stripe, so that a segment's
	// length is visible in its shards only to this granularity.
	tailAlign = 4 << 10
)

// ID names a segment. It must be unique per stored content under one content
// key, best 32 random bytes: the block key is derived from it, and encrypting
// two different plaintexts under one ID would reuse GCM nonces.
type ID [32]byte

// String returns the ID in lower-case hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Layout is the shape of the code: any K of N shards restore a segment. Repair is
// the number of remaining shards at which missing ones are to be rebuilt; it does
// not change the encoding.
type Layout struct {
	K, N, Repair uint8
}

// Small and Standard are the preset layouts: Small for networks of 8 to 19
// operators, Standard from 20 operators on. Both store twice the plaintext.
var (
	Small    = Layout{K: 4, N: 8, Repair: 6}
	Standard = Layout{K: 10, N: 20, Repair: 15}
)

// Validate reports whether the layout can be encoded: 1 ≤ K ≤ Repair ≤ N.
func (l Layout) Validate() error {
	if l.K < 1 || l.K > l.N {
		return fmt.Errorf("check layout %v: data shards %d outside 1..%d", l, l.K, l.N)
	}
	if l.Repair < l.K || l.Repair > l.N {
		return fmt.Errorf("check layout %v: repair threshold %d outside %d..%d", l, l.Repair, l.K, l.N)
	}
	return nil
}

// String returns the layout as K/N/Repair.
func (l Layout) String() string { return fmt.Sprintf("%d/%d/%d", l.K, l.N, l.Repair) }

// MaxSegment returns the largest plaintext in bytes that the layout carries: 64
// MiB, or less when K is so small that a shard would exceed MaxShard.
func (l Layout) MaxSegment() int64 {
	return min(MaxSegment, int64(l.K)*(MaxShard/UnitSize)*BlockSize)
}

// Segment is the geometry of one segment: all that is needed beside the keys to
// find a plaintext byte in its shards. Whoever stores a segment records all
// three; Size is not found in the shards.
type Segment struct {
	ID     ID
	Size   int64 // plaintext bytes, 1..Layout.MaxSegment()
	Layout Layout
}

// Validate reports whether the layout is sound and the size within it.
func (s Segment) Validate() error {
	if err := s.Layout.Validate(); err != nil {
		return err
	}
	if s.Size < 1 || s.Size > s.Layout.MaxSegment() {
		return fmt.Errorf("check segment %v: size %d outside 1..%d of layout %v", s.ID, s.Size, s.Layout.MaxSegment(), s.Layout)
	}
	return nil
}

// Span is a byte range. A zero Length means nothing.
type Span struct {
	Offset, Length int64
}

// End returns the first offset after the span.
func (s Span) End() int64 { return s.Offset + s.Length }

// full returns the number of full stripes, and the plaintext bytes left for a
// short last one.
func (s Segment) full() (stripes, rest int64) {
	per := int64(s.Layout.K) * BlockSize
	return s.Size / per, s.Size % per
}

// Stripes returns the number of stripes.
func (s Segment) Stripes() int {
	full, rest := s.full()
	if rest > 0 {
		full++
	}
	return int(full)
}

// blockSize returns the plaintext bytes of a full block in the given stripe. A
// short last stripe is spread evenly over the data shards instead of filling
// them one after the other, so a segment just over a stripe's boundary costs
// N·4 KiB more and not N·64 KiB.
func (s Segment) blockSize(stripe int) int64 {
	full, rest := s.full()
	if int64(stripe) < full {
		return BlockSize
	}
	k := int64(s.Layout.K)
	return ((rest+k-1)/k + tailAlign - 1) / tailAlign * tailAlign
}

// ShardSize returns the length of every sealed shard in bytes.
func (s Segment) ShardSize() int64 {
	full, rest := s.full()
	size := full * UnitSize
	if rest > 0 {
		size += s.blockSize(int(full)) + Overhead
	}
	return size
}

// Blocks returns the number of encrypted blocks.
func (s Segment) Blocks() int {
	full, rest := s.full()
	n := full * int64(s.Layout.K)
	if rest > 0 {
		b := s.blockSize(int(full))
		n += (rest + b - 1) / b
	}
	return int(n)
}

// Block is the place of one encrypted block.
type Block struct {
	Index  int  // number in the segment, also its GCM nonce
	Stripe int  // stripe number
	Shard  int  // data shard that carries it, 0..K−1
	Plain  Span // range in the segment's plaintext
	Sealed Span // range in the sealed shard: Plain.Length + Overhead bytes
}

// BlockAt returns the block that holds the plaintext byte at off, which must be
// within 0..Size−1.
func (s Segment) BlockAt(off int64) Block {
	k := int64(s.Layout.K)
	stripe := off / (k * BlockSize)
	bs := s.blockSize(int(stripe))
	start := stripe * k * BlockSize
	j := (off - start) / bs
	plain := start + j*bs
	length := min(bs, s.Size-plain)
	return Block{
		Index:  int(stripe*k + j),
		Stripe: int(stripe),
		Shard:  int(j),
		Plain:  Span{plain, length},
		Sealed: Span{stripe * UnitSize, length + Overhead},
	}
}

// stripeBlocks returns all blocks of the stripe.
func (s Segment) stripeBlocks(stripe int) []Block {
	var blocks []Block
	off := int64(stripe) * int64(s.Layout.K) * BlockSize
	for off < s.Size {
		b := s.BlockAt(off)
		if b.Stripe != stripe {
			break
		}
		blocks = append(blocks, b)
		off = b.Plain.End()
	}
	return blocks
}

// unit returns the range of the stripe in every sealed shard.
func (s Segment) unit(stripe int) Span {
	return Span{int64(stripe) * UnitSize, s.blockSize(stripe) + Overhead}
}

// errRange is wrapped when a plaintext range lies outside the segment.
var errRange = errors.New("range outside segment")

func (s Segment) checkRange(off, n int64) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if off < 0 || n < 1 || off > s.Size-n {
		return fmt.Errorf("read segment %v at %d+%d of %d: %w", s.ID, off, n, s.Size, errRange)
	}
	return nil
}

// Systematic returns what the fast path reads for the plaintext range: one span
// of sealed bytes for each of the K data shards, Length zero where the shard is
// not needed. A span covers whole blocks. It fails on a range outside the
// segment.
func (s Segment) Systematic(off, n int64) ([]Span, error) {
	if err := s.checkRange(off, n); err != nil {
		return nil, err
	}
	spans := make([]Span, s.Layout.K)
	for at := off; at < off+n; {
		b := s.BlockAt(at)
		sp := &spans[b.Shard]
		if sp.Length == 0 {
			sp.Offset = b.Sealed.Offset
		}
		sp.Length = b.Sealed.End() - sp.Offset
		at = b.Plain.End()
	}
	return spans, nil
}

// Reconstruct returns the span of sealed bytes that every one of any K shards has
// to supply to restore the plaintext range when a data shard is missing.
func (s Segment) Reconstruct(off, n int64) (Span, error) {
	if err := s.checkRange(off, n); err != nil {
		return Span{}, err
	}
	first, last := s.unit(s.BlockAt(off).Stripe), s.unit(s.BlockAt(off+n-1).Stripe)
	return Span{first.Offset, last.End() - first.Offset}, nil
}
