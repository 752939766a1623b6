package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
	"github.com/grange-network/grange/vertical/storage/s3/internal/journal"
)

const (
	runtSize  = 4 << 20 // packs smaller than this are merged
	runtCount = 16      // once there are this many of them
	fullPack  = packSize - smallLimit
	retryMin  = time.Second
	retryMax  = 2 * time.Minute
)

// packLoop moves small objects from the journal into packs: when enough for a
// full pack has come together, when none has come for PackIdle, and at the
// latest PackAge after the first. It also rewrites packs that are mostly dead.
func (d *door) packLoop() {
	idle, oldest := newTimer(), newTimer()
	defer idle.Stop()
	defer oldest.Stop()
	retry := retryMin
	waiting := false
	for {
		all := false
		select {
		case <-d.base.Done():
			return
		case <-d.packs:
			idle.Reset(d.cfg.PackIdle)
			if !waiting {
				waiting = true
				oldest.Reset(d.cfg.PackAge)
			}
			if d.journaled.Load() < fullPack {
				continue
			}
		case <-idle.C:
			all = true
		case <-oldest.C:
			all = true
		}
		err := d.pack(d.base, all)
		switch {
		case err != nil && d.base.Err() != nil:
			return
		case err != nil:
			d.log.Warn("small objects stay in the journal", "retry", retry, "err", err)
			idle.Reset(retry)
			retry = min(2*retry, retryMax)
		case all:
			waiting, retry = false, retryMin
			oldest.Stop()
		}
	}
}

// newTimer returns a timer that has not been set.
func newTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// pack makes packs of what is in the journal, with all set also a last one that
// is not full, and tidies up.
func (d *door) pack(ctx context.Context, all bool) error {
	d.packing.Lock()
	defer d.packing.Unlock()
	for {
		more, err := d.packOnce(ctx, all)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if !all {
		return nil
	}
	if err := d.compact(ctx); err != nil {
		return err
	}
	return d.dropJournal()
}

// packOnce makes one pack. more says that there may be another to make.
func (d *door) packOnce(ctx context.Context, all bool) (more bool, err error) {
	var blobs []catalog.Small
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		blobs, err = tx.Journal(packSize)
		return err
	})
	if err != nil {
		return false, err
	}
	blobs = slices.DeleteFunc(blobs, func(s catalog.Small) bool {
		_, bad := d.damaged.Load(s.ID)
		return bad
	})
	size := total(blobs)
	if len(blobs) == 0 || !all && size < fullPack {
		d.journaled.Store(size)
		return false, nil
	}
	err = d.repack(ctx, blobs, d.readJournaled)
	if errors.Is(err, journal.ErrCorrupt) {
		return true, nil // again, without the damaged one
	}
	if err != nil {
		return false, err
	}
	d.journaled.Add(-size)
	if err := d.dropJournal(); err != nil {
		return false, err
	}
	return size >= fullPack, nil
}

// readJournaled reads one blob from the journal. A damaged one is left where it
// is, so that it does not keep the others back.
func (d *door) readJournaled(s catalog.Small, p []byte) error {
	err := d.jr.Check(p, journal.Entry{File: s.File, Offset: s.Offset, Length: s.Size})
	if errors.Is(err, journal.ErrCorrupt) {
		d.damaged.Store(s.ID, true)
		d.log.Error("a small object is damaged in the journal and is not packed", "blob", s.ID, "bytes", s.Size, "err", err)
	}
	return err
}

func total(blobs []catalog.Small) (n int64) {
	for _, s := range blobs {
		n += s.Size
	}
	return n
}

// repack stores the blobs one after the other in a new segment. read fills p
// with one blob.
func (d *door) repack(ctx context.Context, blobs []catalog.Small, read func(s catalog.Small, p []byte) error) error {
	size := total(blobs)
	ctx, span := d.cfg.Tracer.Start(ctx, "pack", oteltrace.WithLinks(d.puts.take(blobs)...),
		oteltrace.WithAttributes(attribute.Int("grange.objects", len(blobs)), trace.Number(trace.Bytes, size)))
	err := d.repackIn(ctx, blobs, size, read)
	trace.End(span, err)
	return err
}

// repackIn is repack in its span.
func (d *door) repackIn(ctx context.Context, blobs []catalog.Small, size int64, read func(s catalog.Small, p []byte) error) error {
	src := &concatenation{blobs: blobs, read: read}
	id, err := d.seg.Put(ctx, src, size)
	if err != nil {
		return fmt.Errorf("store pack of %d objects: %w", len(blobs), err)
	}
	err = d.update(func(tx *catalog.Tx) error { return tx.Repack(id, size, blobs) })
	if err != nil {
		return fmt.Errorf("enter pack %s: %w", id, err)
	}
	d.log.Debug("small objects packed", "objects", len(blobs), "bytes", size, "segment", id)
	return nil
}

// concatenation reads blobs one after the other, one in memory at a time.
type concatenation struct {
	blobs []catalog.Small
	read  func(catalog.Small, []byte) error
	buf   []byte
	rest  []byte
}

func (c *concatenation) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if len(c.blobs) == 0 {
			return 0, io.EOF
		}
		s := c.blobs[0]
		if int64(cap(c.buf)) < s.Size {
			c.buf = make([]byte, s.Size)
		}
		c.rest = c.buf[:s.Size]
		if err := c.read(s, c.rest); err != nil {
			c.rest = nil
			return 0, err
		}
		c.blobs = c.blobs[1:]
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// dropJournal removes journal files that hold nothing any more.
func (d *door) dropJournal() error {
	var used bool
	err := d.cat.View(func(tx *catalog.Tx) error {
		blobs, err := tx.Journal(1)
		used = len(blobs) > 0
		return err
	})
	if err != nil {
		return err
	}
	if !used {
		d.jr.Seal()
	}
	// First ask which files have nothing unsettled, then what the catalog has:
	// an append is settled only after the catalog has it.
	for _, n := range d.jr.Files() {
		var keep bool
		err := d.cat.View(func(tx *catalog.Tx) error {
			keep = tx.JournalFileUsed(n)
			return nil
		})
		if err != nil {
			return err
		}
		if keep {
			continue
		}
		d.pins.wait() // lookups that saw the catalog as it was have pinned the file
		if err := d.jr.Drop(n); err != nil {
			return err
		}
	}
	return nil
}

// compact rewrites packs of which less than half is alive, and merges small
// ones when there are many.
func (d *door) compact(ctx context.Context) error {
	for {
		ids, err := d.sparse()
		if err != nil || len(ids) == 0 {
			return err
		}
		var blobs []catalog.Small
		d.pins.gate.RLock()
		err = d.cat.View(func(tx *catalog.Tx) error {
			for _, id := range ids {
				in, err := tx.InPack(id)
				if err != nil {
					return err
				}
				blobs = append(blobs, in...)
			}
			return nil
		})
		for _, id := range ids {
			d.pins.add(id)
		}
		d.pins.gate.RUnlock()
		if err == nil && len(blobs) > 0 {
			err = d.repack(ctx, blobs, func(s catalog.Small, p []byte) error { return d.readSmall(ctx, s, p) })
		}
		for _, id := range ids {
			d.pins.remove(id)
		}
		if err != nil {
			return fmt.Errorf("compact %d packs: %w", len(ids), err)
		}
	}
}

func (d *door) readSmall(ctx context.Context, s catalog.Small, p []byte) error {
	w := bytes.NewBuffer(p[:0])
	if err := d.seg.Read(ctx, s.Pack, s.Offset, s.Size, w); err != nil {
		return err
	}
	if w.Len() != len(p) {
		return errors.New("read pack: wrong length")
	}
	return nil
}

// sparse returns packs to rewrite into one new pack.
func (d *door) sparse() ([]SegmentID, error) {
	var dead, runts []SegmentID
	var deadLive, runtLive int64
	err := d.cat.View(func(tx *catalog.Tx) error {
		return tx.Packs(func(id catalog.SegmentID, p catalog.Pack) bool {
			switch {
			case 2*p.Live < p.Size && deadLive+p.Live <= packSize:
				dead, deadLive = append(dead, id), deadLive+p.Live
			case 2*p.Live >= p.Size && p.Size < runtSize && runtLive+p.Live <= packSize:
				runts, runtLive = append(runts, id), runtLive+p.Live
			}
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	if len(runts) >= runtCount {
		return runts, nil
	}
	return dead, nil
}
