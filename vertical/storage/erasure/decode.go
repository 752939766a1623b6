package erasure

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/reedsolomon"
)

var (
	// ErrTooFew is wrapped when fewer than K shards are usable.
	ErrTooFew = errors.New("too few shards")
	// ErrBlock is wrapped when a block fails authentication.
	ErrBlock = errors.New("block fails authentication")
)

// ShardError blames a shard. Others lists further shards that may be at fault
// instead: when a reconstructed block is wrong, any parity shard it was made from
// may be the wrong one. Block is -1 where no block is concerned.
type ShardError struct {
	Segment ID
	Shard   int
	Others  []int
	Block   int
	Err     error
}

// Error names the segment, the shard and the block.
func (e *ShardError) Error() string {
	s := fmt.Sprintf("segment %v shard %d", e.Segment, e.Shard)
	if len(e.Others) > 0 {
		s += fmt.Sprintf(" (or of %v)", e.Others)
	}
	if e.Block >= 0 {
		s += fmt.Sprintf(" block %d", e.Block)
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ShardError) Unwrap() error { return e.Err }

// Fetched is a piece of a sealed shard that was read ahead: Data lies at Offset of
// the shard. It serves Decode as an io.ReaderAt.
type Fetched struct {
	Offset int64
	Data   []byte
}

// ReadAt implements io.ReaderAt on the shard's offsets; a range that is not wholly
// inside Data gives io.ErrUnexpectedEOF.
func (f Fetched) ReadAt(p []byte, off int64) (int, error) {
	data, err := f.span(Span{off, int64(len(p))})
	return copy(p, data), err
}

// span returns the part of Data that lies at sp of the shard.
func (f Fetched) span(sp Span) ([]byte, error) {
	at := sp.Offset - f.Offset
	if at < 0 || at > int64(len(f.Data))-sp.Length {
		return nil, fmt.Errorf("shard range %d+%d not fetched (have %d+%d): %w", sp.Offset, sp.Length, f.Offset, len(f.Data), io.ErrUnexpectedEOF)
	}
	return f.Data[at : at+sp.Length], nil
}

// Decode writes the plaintext range to w. shards has N entries, nil where a shard
// is not at hand. Where all data shards that a stripe's part of the range needs
// are there, only their blocks are read; otherwise the stripe is restored from any
// K shards. Every block is authenticated before it is written.
//
// A shard that fails to read or to authenticate is set aside, the stripe is
// restored from the others, and the failure is returned in bad even when err is
// nil. err wraps ErrTooFew when fewer than K usable shards are left, and joins the
// failures that led there; w may have received a prefix of the range by then.
func Decode(seg Segment, keys Keys, shards []io.ReaderAt, off, n int64, w io.Writer) (bad []*ShardError, err error) {
	if err := seg.checkRange(off, n); err != nil {
		return nil, err
	}
	if len(shards) != int(seg.Layout.N) {
		return nil, fmt.Errorf("decode segment %v: %d readers for %d shards", seg.ID, len(shards), seg.Layout.N)
	}
	d := &decoder{
		seg:    seg,
		aead:   keys.Content.blocks(seg),
		seal:   keys.Seal.ForSegment(seg.ID),
		shards: append([]io.ReaderAt(nil), shards...),
		ciph:   make([]cipher.Block, len(shards)),
		units:  stripeBuffer(int(seg.Layout.N)),
	}
	for at := off; at < off+n; {
		next, err := d.stripe(at, off+n, w)
		if err != nil {
			return d.bad, err
		}
		at = next
	}
	return d.bad, nil
}

type decoder struct {
	seg    Segment
	aead   cipher.AEAD
	seal   SegmentSeal
	rs     reedsolomon.Encoder
	shards []io.ReaderAt
	ciph   []cipher.Block
	units  [][]byte
	bad    []*ShardError
}

// stripe writes the part of at..end that lies in at's stripe and returns where it
// stopped. It retries with the remaining shards until one way works.
func (d *decoder) stripe(at, end int64, w io.Writer) (int64, error) {
	first := d.seg.BlockAt(at)
	stripeEnd := min(int64(first.Stripe+1)*int64(d.seg.Layout.K)*BlockSize, d.seg.Size, end)
	var blocks []Block
	for off := at; off < stripeEnd; off = blocks[len(blocks)-1].Plain.End() {
		blocks = append(blocks, d.seg.BlockAt(off))
	}
	for {
		fail := d.load(blocks)
		var se *ShardError
		if errors.As(fail, &se) {
			d.bad = append(d.bad, se)
			d.shards[se.Shard] = nil
			continue
		}
		if fail != nil {
			return at, d.explain(fail)
		}
		break
	}
	for _, b := range blocks {
		lo, hi := max(at, b.Plain.Offset), min(stripeEnd, b.Plain.End())
		if _, err := w.Write(d.units[b.Shard][lo-b.Plain.Offset : hi-b.Plain.Offset]); err != nil {
			return at, fmt.Errorf("write segment %v at %d: %w", d.seg.ID, lo, err)
		}
	}
	return stripeEnd, nil
}

// explain joins the shard failures to the final error.
func (d *decoder) explain(err error) error {
	all := []error{err}
	for _, b := range d.bad {
		all = append(all, b)
	}
	return errors.Join(all...)
}

// load brings the plaintext of blocks, all of one stripe, into the units.
func (d *decoder) load(blocks []Block) error {
	for _, b := range blocks {
		if d.shards[b.Shard] == nil {
			return d.reconstruct(blocks)
		}
	}
	for _, b := range blocks {
		if err := d.read(b.Shard, b.Sealed); err != nil {
			return err
		}
		if err := d.open(b); err != nil {
			return &ShardError{Segment: d.seg.ID, Shard: b.Shard, Block: b.Index, Err: err}
		}
	}
	return nil
}

// read fills the head of the shard's unit with the unsealed bytes of the span.
func (d *decoder) read(j int, sp Span) error {
	buf := d.units[j][:sp.Length]
	sealed, err := d.sealed(j, sp, buf)
	if err != nil {
		return &ShardError{Segment: d.seg.ID, Shard: j, Block: -1, Err: fmt.Errorf("read %d+%d: %w", sp.Offset, sp.Length, err)}
	}
	if d.ciph[j] == nil {
		d.ciph[j] = d.seal.shard(j)
	}
	keystream(d.ciph[j], sp.Offset).XORKeyStream(buf, sealed)
	return nil
}

// sealed returns the shard's bytes of the span: where they lie in memory already,
// or else read into buf.
func (d *decoder) sealed(j int, sp Span, buf []byte) ([]byte, error) {
	if f, ok := d.shards[j].(Fetched); ok {
		return f.span(sp)
	}
	n, err := d.shards[j].ReadAt(buf, sp.Offset)
	if n == len(buf) {
		return buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// open decrypts the block in place at the head of its shard's unit.
func (d *decoder) open(b Block) error {
	buf := d.units[b.Shard][:b.Sealed.Length]
	if _, err := d.aead.Open(buf[:0], nonce(b.Index), buf, nil); err != nil {
		return ErrBlock
	}
	return nil
}

// reconstruct restores the blocks from K shards of their stripe. When a wrong
// block leaves several suspects, it tries again without each in turn, which finds
// a single wrong shard as long as more than K shards are at hand.
func (d *decoder) reconstruct(blocks []Block) error {
	err := d.reconstructWithout(-1, blocks)
	var se *ShardError
	if !errors.As(err, &se) || len(se.Others) == 0 {
		return err
	}
	for _, j := range append([]int{se.Shard}, se.Others...) {
		if d.reconstructWithout(j, blocks) == nil {
			return &ShardError{Segment: d.seg.ID, Shard: j, Block: se.Block, Err: se.Err}
		}
	}
	return err
}

func (d *decoder) reconstructWithout(excluded int, blocks []Block) error {
	from, err := pick(d.seg, func(j int) bool { return j != excluded && d.shards[j] != nil })
	if err != nil {
		return err
	}
	sp := d.seg.unit(blocks[0].Stripe)
	shards := make([][]byte, len(d.units))
	for j, u := range d.units {
		shards[j] = u[:0:sp.Length]
	}
	for _, j := range from {
		if err := d.read(j, sp); err != nil {
			return err
		}
		shards[j] = d.units[j][:sp.Length]
	}
	if err := d.restore(shards, blocks); err != nil {
		return err
	}
	return d.openRestored(from, blocks)
}

func (d *decoder) restore(shards [][]byte, blocks []Block) (err error) {
	if d.rs == nil {
		if d.rs, err = d.seg.Layout.coder(); err != nil {
			return err
		}
	}
	required := make([]bool, len(shards))
	for _, b := range blocks {
		required[b.Shard] = true
	}
	if err := d.rs.ReconstructSome(shards, required); err != nil {
		return fmt.Errorf("restore segment %v stripe %d: %w", d.seg.ID, blocks[0].Stripe, err)
	}
	return nil
}

// openRestored authenticates a restored stripe: first every block that was read
// directly, which names its own shard, then the computed ones that are wanted.
// When only a computed one is wrong, the sources that could not be checked on
// their own share the blame, the last first.
func (d *decoder) openRestored(from []int, blocks []Block) error {
	direct := make(map[int]bool, len(from))
	for _, j := range from {
		direct[j] = true
	}
	checked := map[int]bool{}
	for _, b := range d.seg.stripeBlocks(blocks[0].Stripe) {
		if !direct[b.Shard] {
			continue
		}
		if err := d.open(b); err != nil {
			return &ShardError{Segment: d.seg.ID, Shard: b.Shard, Block: b.Index, Err: err}
		}
		checked[b.Shard] = true
	}
	for _, b := range blocks {
		if direct[b.Shard] {
			continue
		}
		if err := d.open(b); err != nil {
			return d.blame(from, checked, b)
		}
	}
	return nil
}

func (d *decoder) blame(from []int, checked map[int]bool, b Block) error {
	var suspects []int
	for _, j := range from {
		if !checked[j] {
			suspects = append(suspects, j)
		}
	}
	if len(suspects) == 0 {
		return fmt.Errorf("restore segment %v block %d from shards that each authenticate: %w", d.seg.ID, b.Index, ErrBlock)
	}
	last := len(suspects) - 1
	return &ShardError{Segment: d.seg.ID, Shard: suspects[last], Others: suspects[:last], Block: b.Index, Err: ErrBlock}
}
