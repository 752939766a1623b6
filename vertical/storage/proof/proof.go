package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/grange-network/grange/vertical/storage/piece"
)

const (
	version   = 1
	levelSize = 1 + 32 + 8
	fixedSize = 1 + 32 + 4 + 1 + 2 + 1

	// MaxProof is the longest encoded proof in bytes.
	MaxProof = fixedSize + MaxDepth*levelSize + piece.ChunkSize + piece.MaxSiblings*32
)

// ErrInvalid is wrapped by every refusal of Verify and DecodeProof.
var ErrInvalid = errors.New("proof of storage is not valid")

// Proof answers one challenge.
type Proof struct {
	Opening Opening
	Chunk   piece.Proof
}

// Prove answers the challenge from the set and the stored piece. read gives the
// bytes and the outboard of a piece of the set. Nothing is verified: bytes that
// went bad give a proof that Verify refuses.
func Prove(set Set, offset uint64, read func(piece.Root) (data, outboard io.ReaderAt, err error)) (Proof, error) {
	o, within, err := set.Open(offset)
	if err != nil {
		return Proof{}, err
	}
	data, outboard, err := read(o.Piece.Root)
	if err != nil {
		return Proof{}, fmt.Errorf("prove set %x at %d: %w", set.Root(), offset, err)
	}
	chunk, err := piece.Prove(data, outboard, o.Piece.Size, within)
	if err != nil {
		return Proof{}, fmt.Errorf("prove set %x at %d: piece %v: %w", set.Root(), offset, o.Piece.Root, err)
	}
	return Proof{o, chunk}, nil
}

// Verify checks an encoded proof against the head and the challenge that selects
// it. It is pure and its work is bounded by MaxProof. Every refusal wraps
// ErrInvalid.
func Verify(head Head, ch Challenge, encoded []byte) error {
	p, err := DecodeProof(encoded)
	if err != nil {
		return err
	}
	if err := p.verify(head, ch); err != nil {
		return fmt.Errorf("verify proof of lease %x at %d: %w", head.Lease, ch.Offset, errors.Join(err, ErrInvalid))
	}
	return nil
}

func (p Proof) verify(head Head, ch Challenge) error {
	if ch.Offset >= head.Units {
		return fmt.Errorf("offset beyond the %d bytes committed", head.Units)
	}
	within, err := p.Opening.verify(head.Root, head.Units, ch.Offset)
	if err != nil {
		return err
	}
	return piece.Verify(p.Opening.Piece.Root, p.Opening.Piece.Size, within, p.Chunk)
}

// Encode returns the wire format, big endian:
//
//	version u8 = 1 | piece root 32 | piece size u32 |
//	levels u8 | levels × (bit u8 | hash 32 | bytes u64) |
//	chunk length u16 | chunk | siblings u8 | siblings × 32
//
// It fails when a part exceeds its bound.
func (p Proof) Encode() ([]byte, error) {
	if err := p.bounds(); err != nil {
		return nil, err
	}
	b := make([]byte, 0, MaxProof)
	b = append(b, version)
	b = append(b, p.Opening.Piece.Root[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Opening.Piece.Size))
	b = append(b, uint8(len(p.Opening.Path)))
	for _, l := range p.Opening.Path {
		b = append(b, l.Bit)
		b = append(b, l.Hash[:]...)
		b = binary.BigEndian.AppendUint64(b, l.Sum)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Chunk.Chunk)))
	b = append(b, p.Chunk.Chunk...)
	b = append(b, uint8(len(p.Chunk.Siblings)))
	for _, s := range p.Chunk.Siblings {
		b = append(b, s[:]...)
	}
	return b, nil
}

func (p Proof) bounds() error {
	levels, chunk, siblings := len(p.Opening.Path), len(p.Chunk.Chunk), len(p.Chunk.Siblings)
	if levels > MaxDepth || chunk < 1 || chunk > piece.ChunkSize || siblings > piece.MaxSiblings {
		return fmt.Errorf("check proof: %d levels, chunk of %d bytes, %d siblings, at most %d, %d, %d: %w",
			levels, chunk, siblings, MaxDepth, piece.ChunkSize, piece.MaxSiblings, ErrInvalid)
	}
	if err := p.Opening.Piece.check(); err != nil {
		return errors.Join(err, ErrInvalid)
	}
	return nil
}

// DecodeProof reads the wire format. It accepts exactly what Encode gives: a proof
// has one encoding. It never allocates more than the input is long; the chunk
// aliases the input.
func DecodeProof(b []byte) (Proof, error) {
	if len(b) > MaxProof {
		return Proof{}, fmt.Errorf("decode proof: %d bytes, at most %d: %w", len(b), MaxProof, ErrInvalid)
	}
	r := reader{b: b}
	if v := r.take(1)[0]; v != version {
		return Proof{}, fmt.Errorf("decode proof: version %d, want %d: %w", v, version, ErrInvalid)
	}
	var p Proof
	p.Opening.Piece.Root = piece.Root(r.take(32))
	p.Opening.Piece.Size = int64(binary.BigEndian.Uint32(r.take(4)))
	for n := r.take(1)[0]; n > 0 && !r.short; n-- {
		p.Opening.Path = append(p.Opening.Path, Level{r.take(1)[0], [32]byte(r.take(32)), binary.BigEndian.Uint64(r.take(8))})
	}
	p.Chunk.Chunk = r.take(int(binary.BigEndian.Uint16(r.take(2))))
	for n := r.take(1)[0]; n > 0 && !r.short; n-- {
		p.Chunk.Siblings = append(p.Chunk.Siblings, [32]byte(r.take(32)))
	}
	if r.short || len(r.b) > 0 {
		return Proof{}, fmt.Errorf("decode proof of %d bytes: short %v, %d left over: %w", len(b), r.short, len(r.b), ErrInvalid)
	}
	if err := p.bounds(); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// reader takes bytes off b; beyond its end it gives zeros and sets short.
type reader struct {
	b     []byte
	short bool
}

// zeros is what a short reader gives out; no take is longer.
var zeros [1 << 16]byte

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return zeros[:n:n]
	}
	x := r.b[:n:n]
	r.b = r.b[n:]
	return x
}
