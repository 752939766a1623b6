package erasure

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/reedsolomon"
)

// coder returns the Reed-Solomon code of the layout, or nil for K = N, where
// there is no parity. One stripe is too short to gain from splitting over
// goroutines; callers run segments side by side instead.
func (l Layout) coder() (reedsolomon.Encoder, error) {
	if l.K == l.N {
		return nil, nil
	}
	rs, err := reedsolomon.New(int(l.K), int(l.N-l.K), reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("open code %v: %w", l, err)
	}
	return rs, nil
}

// stripeBuffer returns n unit buffers out of one allocation.
func stripeBuffer(n int) [][]byte {
	all := make([]byte, n*UnitSize)
	units := make([][]byte, n)
	for i := range units {
		units[i] = all[i*UnitSize : (i+1)*UnitSize : (i+1)*UnitSize]
	}
	return units
}

// Encode reads exactly seg.Size bytes of plaintext and writes the N sealed shards
// stripe by stripe, each to the writer of its index. A nil writer drops its
// shard. Every shard gets seg.ShardSize() bytes. Memory is N stripe units.
//
// It stops at the first error of a writer, which it returns as a *ShardError;
// plaintext that ends early gives io.ErrUnexpectedEOF.
func Encode(seg Segment, keys Keys, plaintext io.Reader, shards []io.Writer) error {
	if err := seg.Validate(); err != nil {
		return err
	}
	if len(shards) != int(seg.Layout.N) {
		return fmt.Errorf("encode segment %v: %d writers for %d shards", seg.ID, len(shards), seg.Layout.N)
	}
	rs, err := seg.Layout.coder()
	if err != nil {
		return err
	}
	aead := keys.Content.blocks(seg)
	streams := sealStreams(keys.Seal.ForSegment(seg.ID), shards)
	units := stripeBuffer(int(seg.Layout.N))
	for stripe := range seg.Stripes() {
		if err := fillStripe(seg, aead, plaintext, stripe, units); err != nil {
			return err
		}
		cut := cutUnits(units, seg.unit(stripe).Length)
		if rs != nil {
			if err := rs.Encode(cut); err != nil {
				return fmt.Errorf("encode segment %v stripe %d: %w", seg.ID, stripe, err)
			}
		}
		if err := writeSealed(seg, streams, cut, shards); err != nil {
			return err
		}
	}
	return nil
}

// fillStripe reads and encrypts the blocks of one stripe into the data units and
// zeroes what is left of them.
func fillStripe(seg Segment, aead cipher.AEAD, plaintext io.Reader, stripe int, units [][]byte) error {
	off := int64(stripe) * int64(seg.Layout.K) * BlockSize
	length := seg.unit(stripe).Length
	for j := range int(seg.Layout.K) {
		used := int64(0)
		if off < seg.Size {
			b := seg.BlockAt(off)
			buf := units[j][:b.Plain.Length]
			if _, err := io.ReadFull(plaintext, buf); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("read plaintext of segment %v at %d of %d: %w", seg.ID, off, seg.Size, err)
			}
			aead.Seal(buf[:0], nonce(b.Index), buf, nil)
			off, used = b.Plain.End(), b.Sealed.Length
		}
		clear(units[j][used:length])
	}
	return nil
}

func cutUnits(units [][]byte, length int64) [][]byte {
	cut := make([][]byte, len(units))
	for i, u := range units {
		cut[i] = u[:length]
	}
	return cut
}

// sealStreams returns the keystream from byte zero for each shard that is wanted.
func sealStreams(seal SegmentSeal, wanted []io.Writer) []cipher.Stream {
	streams := make([]cipher.Stream, len(wanted))
	for j, w := range wanted {
		if w != nil {
			streams[j] = keystream(seal.shard(j), 0)
		}
	}
	return streams
}

func writeSealed(seg Segment, streams []cipher.Stream, units [][]byte, shards []io.Writer) error {
	for j, w := range shards {
		if w == nil {
			continue
		}
		streams[j].XORKeyStream(units[j], units[j])
		if _, err := w.Write(units[j]); err != nil {
			return &ShardError{Segment: seg.ID, Shard: j, Block: -1, Err: fmt.Errorf("write: %w", err)}
		}
	}
	return nil
}

// Rebuild writes missing sealed shards from any K others, byte for byte as Encode
// made them. have and want have N entries: have[j] reads sealed shard j from its
// start, nil where it is missing; want[j] receives shard j, nil where it is not
// wanted. Only the segment's seal is needed, and nothing is decrypted.
//
// Rebuild cannot tell a wrong input byte from a right one: the caller verifies
// inputs against their roots while reading, and the outputs' roots when they are
// known. A reader that fails is returned as a *ShardError.
func Rebuild(seg Segment, seal SegmentSeal, have []io.Reader, want []io.Writer) error {
	if err := seg.Validate(); err != nil {
		return err
	}
	n := int(seg.Layout.N)
	if len(have) != n || len(want) != n {
		return fmt.Errorf("rebuild segment %v: %d readers and %d writers for %d shards", seg.ID, len(have), len(want), n)
	}
	from, err := pick(seg, func(j int) bool { return have[j] != nil })
	if err != nil {
		return err
	}
	rs, err := seg.Layout.coder()
	if err != nil {
		return err
	}
	r := rebuild{seg: seg, rs: rs, have: have, want: want, from: from, units: stripeBuffer(n), seal: sealStreams(seal, want)}
	r.unseal = make([]cipher.Stream, n)
	for _, j := range from {
		r.unseal[j] = keystream(seal.shard(j), 0)
	}
	for stripe := range seg.Stripes() {
		if err := r.stripe(stripe); err != nil {
			return err
		}
	}
	return nil
}

type rebuild struct {
	seg          Segment
	rs           reedsolomon.Encoder
	have         []io.Reader
	want         []io.Writer
	from         []int
	units        [][]byte
	seal, unseal []cipher.Stream
}

func (r *rebuild) stripe(stripe int) error {
	length := r.seg.unit(stripe).Length
	shards := make([][]byte, len(r.units))
	for j, u := range r.units {
		shards[j] = u[:0:length]
	}
	for _, j := range r.from {
		u := r.units[j][:length]
		if _, err := io.ReadFull(r.have[j], u); err != nil {
			return &ShardError{Segment: r.seg.ID, Shard: j, Block: -1, Err: fmt.Errorf("read stripe %d: %w", stripe, err)}
		}
		r.unseal[j].XORKeyStream(u, u)
		shards[j] = u
	}
	if r.rs != nil {
		required := make([]bool, len(shards))
		for j, w := range r.want {
			required[j] = w != nil
		}
		if err := r.rs.ReconstructSome(shards, required); err != nil {
			return fmt.Errorf("rebuild segment %v stripe %d: %w", r.seg.ID, stripe, err)
		}
	}
	return writeSealed(r.seg, r.seal, shards, r.want)
}

// pick returns K available shards, the data shards first.
func pick(seg Segment, have func(j int) bool) ([]int, error) {
	var from []int
	for j := 0; j < int(seg.Layout.N) && len(from) < int(seg.Layout.K); j++ {
		if have(j) {
			from = append(from, j)
		}
	}
	if len(from) < int(seg.Layout.K) {
		return nil, fmt.Errorf("restore segment %v: have %d shards, need %d: %w", seg.ID, len(from), seg.Layout.K, ErrTooFew)
	}
	return from, nil
}
