package conformance

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
)

// ChainID is the network of every World.
const ChainID = "conformance-1"

// World is an epoch as a test makes it.
type World struct {
	Epoch        uint64
	Began, Ended int64
	Seed         [32]byte
	Usage        []vertical.Usage
	Devices      []vertical.Device // registered
	Evidence     []Rows
	// Subject are the devices of the one who splits: one, or as many as asked for.
	Subject [][32]byte
}

// Make makes an epoch in which one owner, among others, has k devices do with all
// tricks of the trade what one device could do. Everything else is the same for
// every k. k is at least 1.
type Make func(k int) World

// Decoder reads bytes that come from outside: a message, a record.
type Decoder struct {
	Name   string
	Decode func([]byte) error
	Valid  []byte // something it accepts
}

// Rows are evidence of one kind, of any type.
type Rows interface {
	// cut writes rows as segments into dir.
	cut(dir string, rows []int) ([]evidence.Cut, error)
	len() int
	// spoil adds n rows of junk: true ones with a field changed and others.
	spoil(rnd *rand.Rand, n int) Rows
}

// Of are the rows of one kind; name says which segment each belongs to.
func Of[T any](kind segment.Kind[T], name func(T) segment.Name, rows ...T) Rows {
	return rowsOf[T]{kind, name, rows}
}

type rowsOf[T any] struct {
	kind segment.Kind[T]
	name func(T) segment.Name
	rows []T
}

func (r rowsOf[T]) len() int { return len(r.rows) }

func (r rowsOf[T]) cut(dir string, order []int) ([]evidence.Cut, error) {
	c := evidence.Cutter[T]{Dir: dir, Kind: r.kind}
	for _, i := range order {
		if err := c.Add(r.name(r.rows[i]), r.rows[i]); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
	}
	return c.Finish()
}

func (r rowsOf[T]) spoil(rnd *rand.Rand, n int) Rows {
	out := append([]T(nil), r.rows...)
	for i := range n {
		var row T
		v := reflect.ValueOf(&row).Elem()
		if i%2 == 0 && len(r.rows) > 0 {
			row = r.rows[rnd.IntN(len(r.rows))]
			randomize(rnd, v.Field(rnd.IntN(v.NumField())))
		} else {
			for f := range v.NumField() {
				randomize(rnd, v.Field(f))
			}
		}
		out = append(out, row)
	}
	return rowsOf[T]{r.kind, r.name, out}
}

// randomize sets a field to anything of its type, extremes more often.
func randomize(rnd *rand.Rand, v reflect.Value) {
	bits := rnd.Uint64() >> rnd.IntN(64)
	if rnd.IntN(4) == 0 {
		bits = ^uint64(0) >> rnd.IntN(2)
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(bits%2 == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(bits) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(bits << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(math.Float64frombits(bits))
	case reflect.String:
		v.SetString(string(junk(rnd)))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(junk(rnd))
		}
	case reflect.Array:
		for i := range v.Len() {
			randomize(rnd, v.Index(i))
		}
	}
}

func junk(rnd *rand.Rand) []byte {
	b := make([]byte, rnd.IntN(100))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// order says in which order, how often and by how many publishers rows are
// published.
type order struct {
	rnd    *rand.Rand // nil: as they come
	twice  bool
	copies int // publishers, each with all rows; 0 is 1
}

// input publishes a world's evidence into dir and fetches it again, as a verifier
// does.
func (w World) input(ctx context.Context, name string, o order, dir string) (vertical.Input, error) {
	in := vertical.Input{ChainID: ChainID, Epoch: w.Epoch, Began: w.Began, Ended: w.Ended, Seed: w.Seed, Decided: true, Usage: append([]vertical.Usage(nil), w.Usage...)}
	in.Registry = known(w.Devices)
	store, err := evidence.NewDir(dir + "/store")
	if err != nil {
		return in, err
	}
	archive := evidence.New(store)
	var roots []merkle.Hash
	for range max(o.copies, 1) {
		var cuts []evidence.Cut
		for _, rows := range w.Evidence {
			c, err := rows.cut(dir, o.of(rows.len()))
			if err != nil {
				return in, err
			}
			cuts = append(cuts, c...)
		}
		m, err := archive.Publish(ctx, name, w.Epoch, cuts)
		if err != nil {
			return in, err
		}
		roots = append(roots, m.Root)
	}
	if o.rnd != nil {
		o.rnd.Shuffle(len(in.Usage), func(i, j int) { in.Usage[i], in.Usage[j] = in.Usage[j], in.Usage[i] })
	}
	in.Evidence, err = archive.FetchAll(ctx, name, w.Epoch, roots, dir+"/fetched")
	return in, err
}

func (o order) of(n int) []int {
	out := make([]int, 0, 2*n)
	for i := range n {
		out = append(out, i)
		if o.twice {
			out = append(out, i)
		}
	}
	if o.rnd != nil {
		o.rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// known is a registry in memory.
type known []vertical.Device

func (k known) Device(id [32]byte) (vertical.Device, bool) {
	for _, d := range k {
		if d.ID == id {
			return d, true
		}
	}
	return vertical.Device{}, false
}
