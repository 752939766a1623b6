package sensing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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
	if r.KeyType > 255 {
		return nil, fmt.Errorf("%w: key type %d", ErrMalformed, r.KeyType)
	}
	key, err := device.NewPublicKey(device.KeyType(r.KeyType), r.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return Open(r.Batch, key, chainID)
}

// signed is what one registered device signed.
type signed struct {
	device  vertical.Device
	batches map[uint64]*Batch
	forked  uint64   // a counter of which there are two batches; 0 for none
	seen    []*Batch // what others signed about it
}

// gather reads the evidence. Rows that no registered device signed are passed
// over.
func gather(ctx context.Context, in vertical.Input) ([]*signed, error) {
	byID := map[[32]byte]*signed{}
	for row, err := range evidence.Rows(in.Evidence, Batches) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		id, err := Sender(row.Batch)
		if err != nil {
			continue
		}
		if _, known := in.Registry.Device(id); !known {
			continue
		}
		b, err := row.Open(in.ChainID)
		if err != nil {
			continue
		}
		s := byID[id]
		if s == nil {
			s = &signed{batches: map[uint64]*Batch{}}
			s.device, _ = in.Registry.Device(id)
			byID[id] = s
		}
		s.add(b)
	}
	all := make([]*signed, 0, len(byID))
	for _, s := range byID {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *signed) int { return slices.Compare(a.device.ID[:], b.device.ID[:]) })
	return all, nil
}

func (s *signed) add(b *Batch) {
	if other := s.batches[b.Counter]; other != nil && other.Hash != b.Hash && (s.forked == 0 || b.Counter < s.forked) {
		s.forked = b.Counter
	}
	s.batches[b.Counter] = b
}

// inOrder lists the batches by counter.
func (s *signed) inOrder() []*Batch {
	out := make([]*Batch, 0, len(s.batches))
	for _, b := range s.batches {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *Batch) int { return int(int64(a.Counter) - int64(b.Counter)) })
	return out
}
