package s3

import (
	"context"
	"fmt"
	"time"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

const (
	trashBatch  = 64
	pinnedRetry = 5 * time.Second
)

// recover gives up what the last run stored but did not enter, which is safe
// because no request is served yet.
func (d *door) recover(ctx context.Context) error {
	var n int
	err := d.update(func(tx *catalog.Tx) (err error) {
		n, err = tx.DiscardPending()
		return err
	})
	if err != nil {
		return err
	}
	orphans, err := d.orphans(ctx)
	if err != nil {
		return err
	}
	if len(orphans) > 0 {
		err = d.update(func(tx *catalog.Tx) error { return tx.Discard(raw(orphans)...) })
	}
	if n+len(orphans) > 0 {
		d.log.Info("segments of unfinished uploads discarded", "noted", n, "found", len(orphans))
	}
	return err
}

// orphans lists the segments that the catalog does not know, if the store can
// list. A crash leaves few of them. If there are more than that, or the catalog
// is new, then rather the catalog is not the one that belongs to the store, and
// nothing may be deleted.
func (d *door) orphans(ctx context.Context) ([]SegmentID, error) {
	l, ok := d.seg.(SegmentLister)
	if !ok {
		return nil, nil
	}
	var out []SegmentID
	known := 0
	err := l.List(ctx, func(id SegmentID) error {
		return d.cat.View(func(tx *catalog.Tx) error {
			if tx.Knows(id) {
				known++
			} else {
				out = append(out, id)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list stored segments: %w", err)
	}
	fresh := true
	err = d.cat.View(func(tx *catalog.Tx) error {
		return tx.Buckets("", func(string, *catalog.Bucket) bool { fresh = false; return false })
	})
	if err != nil {
		return nil, err
	}
	if len(out) > 0 && (fresh || len(out) > max(known, d.cfg.MaxConcurrent)) {
		d.log.Warn("the store has segments that this catalog does not know; they are left alone",
			"unknown", len(out), "known", known, "home", d.cfg.Home)
		return nil, nil
	}
	return out, nil
}

// collectLoop deletes discarded segments.
func (d *door) collectLoop() {
	again := newTimer()
	defer again.Stop()
	retry := retryMin
	for {
		select {
		case <-d.base.Done():
			return
		case <-d.garbage:
		case <-again.C:
		}
		left, err := d.collect(d.base)
		switch {
		case d.base.Err() != nil:
			return
		case err != nil:
			d.log.Warn("discarded segments are not deleted yet", "retry", retry, "err", err)
			again.Reset(retry)
			retry = min(2*retry, retryMax)
		case left:
			again.Reset(pinnedRetry)
			retry = retryMin
		default:
			retry = retryMin
		}
	}
}

// collect deletes what nobody reads; left says that something is still read.
func (d *door) collect(ctx context.Context) (left bool, err error) {
	var after SegmentID
	for {
		var ids []SegmentID
		err := d.cat.View(func(tx *catalog.Tx) error {
			for _, id := range tx.Trash(after, trashBatch) {
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil || len(ids) == 0 {
			return left, err
		}
		after = ids[len(ids)-1]
		free := d.pins.free(ids)
		left = left || len(free) < len(ids)
		if len(free) == 0 {
			continue
		}
		if err := d.seg.Delete(ctx, free...); err != nil {
			return left, err
		}
		err = d.cat.Update(ctx, func(tx *catalog.Tx) error { return tx.Deleted(raw(free)...) })
		if err != nil {
			return left, err
		}
	}
}

func raw(ids []SegmentID) []catalog.SegmentID {
	out := make([]catalog.SegmentID, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
