package evidence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/grange-network/grange/segment"
)

// Cut is a finished segment in a file of this machine.
type Cut struct {
	Segment
	File string
}

// Cutter sorts rows into segments by name. Its methods are for one goroutine.
// It holds at most MaxHeld bytes of rows, measured by their leaves; when more
// come the name with the most is cut.
type Cutter[T any] struct {
	Dir     string            // where segments are written; it must exist
	Kind    segment.Kind[T]   //
	Order   func(a, b *T) int // order of rows in a segment; nil: as they come
	MaxHeld int               // bytes; 0: 64 MiB
	rows    map[segment.Name][]T
	bytes   map[segment.Name]int
	held    int
	leaf    []byte
	cuts    []Cut
}

// Add takes a row. Name.Kind is set from Kind.
func (c *Cutter[T]) Add(name segment.Name, row T) error {
	name.Kind = c.Kind.Name
	c.leaf = c.Kind.Leaf(c.leaf[:0], &row)
	n := len(c.leaf)
	if n > segment.MaxLeaf {
		return fmt.Errorf("add a row of %d bytes to %s, at most %d are allowed", n, name, segment.MaxLeaf)
	}
	if c.rows == nil {
		c.rows, c.bytes = map[segment.Name][]T{}, map[segment.Name]int{}
	}
	limit := c.MaxHeld
	if limit == 0 {
		limit = segment.MaxLeaves
	}
	if c.held > 0 && c.held+n > limit {
		if err := c.cut(c.largest()); err != nil {
			return err
		}
	}
	if c.bytes[name]+n > segment.MaxLeaves || len(c.rows[name]) == segment.MaxRows {
		if err := c.cut(name); err != nil {
			return err
		}
	}
	c.rows[name] = append(c.rows[name], row)
	c.bytes[name] += n
	c.held += n
	return nil
}

func (c *Cutter[T]) names() []segment.Name {
	var names []segment.Name
	for n := range c.rows {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b segment.Name) int { return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Day, b.Day)) })
	return names
}

func (c *Cutter[T]) largest() segment.Name {
	return slices.MaxFunc(c.names(), func(a, b segment.Name) int { return cmp.Compare(c.bytes[a], c.bytes[b]) })
}

// Finish cuts all rows that are left and returns every segment cut so far, in
// files of Dir that are the caller's to remove. If it fails they are Drop's.
func (c *Cutter[T]) Finish() ([]Cut, error) {
	for _, n := range c.names() {
		if err := c.cut(n); err != nil {
			return nil, err
		}
	}
	cuts := c.cuts
	c.cuts = nil
	return cuts, nil
}

// Drop forgets all rows and removes the files of segments that Finish has not
// returned. Defer it: after a Finish that succeeded it does nothing.
func (c *Cutter[T]) Drop() {
	for _, x := range c.cuts {
		_ = os.Remove(x.File) // it can be made again
	}
	c.rows, c.bytes, c.held, c.cuts = nil, nil, 0, nil
}

func (c *Cutter[T]) cut(name segment.Name) (err error) {
	rows := c.rows[name]
	if c.Order != nil {
		slices.SortStableFunc(rows, func(a, b T) int { return c.Order(&a, &b) })
	}
	f, err := os.CreateTemp(c.Dir, "segment-*.parquet")
	if err != nil {
		return fmt.Errorf("cut segment %s: %w", name, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("cut segment %s: %w", name, err)
		}
	}()
	h := sha256.New()
	w, err := segment.NewWriter(io.MultiWriter(f, h), c.Kind, name)
	if err != nil {
		return err
	}
	if _, err := w.Append(rows...); err != nil {
		return err
	}
	sum, err := w.Close()
	if err != nil {
		return err
	}
	c.cuts = append(c.cuts, Cut{Segment{sum, [sha256.Size]byte(h.Sum(nil))}, f.Name()})
	c.held -= c.bytes[name]
	delete(c.rows, name)
	delete(c.bytes, name)
	return nil
}

// PublishRows publishes rows of one kind as the evidence of an epoch, for a
// publisher that holds them all in memory. No rows publish nothing.
func PublishRows[T any](ctx context.Context, a *Archive, vertical string, epoch uint64, c Cutter[T], name func(T) segment.Name, rows []T) error {
	defer c.Drop()
	for _, r := range rows {
		if err := c.Add(name(r), r); err != nil {
			return err
		}
	}
	cuts, err := c.Finish()
	if len(cuts) > 0 {
		_, err = a.Publish(ctx, vertical, epoch, cuts)
	}
	for _, x := range cuts {
		err = errors.Join(err, os.Remove(x.File))
	}
	return err
}
