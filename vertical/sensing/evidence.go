package sensing

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
)

// Row is a batch as evidence: what anybody needs to check who signed it.
type Row struct {
	KeyType uint32 `parquet:"key_type,dict"`
	Key     []byte `parquet:"key,dict"`
	Batch   []byte `parquet:"batch"` // COSE_Sign1
}

// Batches is the kind of segments that the vertical scores.
var Batches = segment.Kind[Row]{Name: "sensing-batches", Leaf: func(b []byte, r *Row) []byte {
	b = binary.BigEndian.AppendUint32(b, r.KeyType)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Key)))
	return append(append(b, r.Key...), r.Batch...)
}}

// RowOf is the row of a batch that the key signed.
func RowOf(key device.PublicKey, raw []byte) Row {
	return Row{KeyType: uint32(key.Type()), Key: key.Bytes(), Batch: raw}
}

// Open checks a row's signature.
func (r Row) Open(chainID string) (*Batch, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	return Open(r.Batch, key, chainID)
}

func (r Row) key() (device.PublicKey, error) {
	if r.KeyType > 255 {
		return device.PublicKey{}, fmt.Errorf("%w: key type %d", ErrMalformed, r.KeyType)
	}
	key, err := device.NewPublicKey(device.KeyType(r.KeyType), r.Key)
	if err != nil {
		return device.PublicKey{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return key, nil
}

// signed is what one registered device signed, in the order of counters, without
// what it said of others.
type signed struct {
	device  vertical.Device
	batches []place
	holds   uint64   // bit i: kind i holds one of the batches
	forked  uint64   // a counter of which there are two batches; 0 for none
	seen    []*Batch // what others signed about it
	told    []told   // what it signed about others

	key   atomic.Pointer[device.PublicKey] // once a row with it was read: a device has one
	known map[uint64]Hash                  // by counter, while the evidence is read
}

// open checks a row of the device; nil for one that is not believed. It may be
// called concurrently.
func (s *signed) open(r Row, chainID string, checked *Checked) *Batch {
	sum := r.sum(chainID)
	if checked.has(sum) {
		b, _ := Read(r.Batch, chainID)
		return b
	}
	key := s.key.Load()
	if key == nil || uint32(key.Type()) != r.KeyType || !bytes.Equal(key.Bytes(), r.Key) {
		read, err := r.key() // to check a key takes as long as to check a signature
		if err != nil || read.ID() != s.device.ID {
			return nil
		}
		key = &read
		s.key.Store(key)
	}
	b, err := Open(r.Batch, *key, chainID)
	if err != nil {
		return nil
	}
	checked.add(sum)
	return b
}

// told is a batch that its signer made about another device.
type told struct {
	about [32]byte
	place
}

// reader gathers evidence.
type reader struct {
	Vertical
	in    vertical.Input
	shelf *shelf
	byID  map[[32]byte]*signed
}

// atOnce is how many rows are checked together.
const atOnce = 512

// gather reads the evidence. Rows that no registered device signed are passed
// over. What it returns is on the shelf, which is open then.
func (v Vertical) gather(ctx context.Context, in vertical.Input, s *shelf) ([]*signed, error) {
	r := &reader{v, in, s, map[[32]byte]*signed{}}
	rows := make([]Row, 0, atOnce)
	for row, err := range evidence.Rows(in.Evidence, Batches) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		if rows = append(rows, row); len(rows) == atOnce {
			if err := r.take(ctx, rows); err != nil {
				return nil, err
			}
			rows = rows[:0]
		}
	}
	if err := r.take(ctx, rows); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	r.hand()
	all := make([]*signed, 0, len(r.byID))
	for _, s := range r.byID {
		slices.SortFunc(s.batches, func(a, b place) int { return cmp.Compare(a.counter, b.counter) })
		s.known = nil
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *signed) int { return slices.Compare(a.device.ID[:], b.device.ID[:]) })
	return all, nil
}

// take checks the signatures of rows, on all processors, and keeps their batches.
func (r *reader) take(ctx context.Context, rows []Row) error {
	opened, of := make([]*Batch, len(rows)), make([]*signed, len(rows))
	for i, row := range rows { // a registry is asked by one goroutine
		if id, err := Sender(row.Batch); err == nil {
			of[i] = r.device(id)
		}
	}
	err := Each(ctx, len(rows), func(i int) error {
		if of[i] != nil {
			opened[i] = of[i].open(rows[i], r.in.ChainID, r.Checked)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, b := range opened {
		if b == nil {
			continue
		}
		if err := r.add(of[i], b); err != nil {
			return err
		}
	}
	return nil
}

// device is nil for one that is not registered.
func (r *reader) device(id [32]byte) *signed {
	if s := r.byID[id]; s != nil {
		return s
	}
	d, known := r.in.Registry.Device(id)
	if !known {
		return nil
	}
	s := &signed{device: d, known: map[uint64]Hash{}}
	r.byID[id] = s
	return s
}

func (r *reader) add(s *signed, b *Batch) error {
	about, witness := r.about(b)
	if !witness {
		s.holds |= r.kindsOf(b)
	}
	if hash, known := s.known[b.Counter]; known {
		if hash != b.Hash && (s.forked == 0 || b.Counter < s.forked) {
			s.forked = b.Counter
		}
		return nil
	}
	s.known[b.Counter] = b.Hash
	p, err := r.shelf.put(b)
	switch {
	case err != nil:
		return fmt.Errorf("keep batch %d of %x: %w", b.Counter, s.device.ID, err)
	case witness:
		s.told = append(s.told, told{about, p})
	default:
		s.batches = append(s.batches, p)
	}
	return nil
}

// kindsOf are the kinds that hold a batch, a bit for each.
func (v Vertical) kindsOf(b *Batch) (bits uint64) {
	for i, k := range v.Kinds {
		if k.Info().Holds(b) {
			bits |= 1 << i
		}
	}
	return bits
}
