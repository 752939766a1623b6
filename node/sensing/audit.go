package sensing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// Parameters of the audit.
const (
	// sampled is one in how many images is drawn, and one of each batch at least.
	sampled = 20
	// recheck is after how long a batch is looked at again whose images were not
	// there.
	recheck = 10 * time.Minute

	follow   = time.Second // how often the log is asked for more
	tries    = 7           // of reading an image from a storage that does not answer
	oneTry   = time.Second // before the second try; then twice as long each time
	maxTried = time.Minute
)

// auditor draws from every batch of frames some whose images it reads and compares
// with their records. What it finds is of two kinds. That an image is not there, or
// is another file, can be shown to nobody: the batch is not published while it is
// so. An image that has the SHA-256 of its record and shows something else is
// published as evidence, which every verifier judges itself.
type auditor struct {
	log      *ingest.Server
	pictures Pictures
	chainID  string
	secret   []byte // nobody knows without it what is drawn
	tell     func(id device.ID, why string)
	logger   *slog.Logger
	oneTry   time.Duration

	*findings
}

// Run follows the log until ctx ends.
func (a *auditor) Run(ctx context.Context) error {
	again, old := time.NewTicker(follow), time.NewTicker(recheck)
	defer again.Stop()
	defer old.Stop()
	for {
		err := a.catch(ctx)
		if err != nil && ctx.Err() == nil {
			a.logger.Error("stored images are not compared with their records", "from", a.place(), "err", err)
		}
		select {
		case <-ctx.Done():
			return a.save()
		case <-again.C:
		case <-old.C:
			a.again(ctx, time.Now())
		}
	}
}

// catch audits what is new in the log.
func (a *auditor) catch(ctx context.Context) error {
	for e, err := range a.log.Entries(a.place()) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		v, err := a.entry(ctx, e, false)
		if err != nil {
			return err
		}
		if err := a.passed(e.Seq, v); err != nil {
			return err
		}
	}
	return nil
}

// again looks at all images of batches that were withheld: their devices have been
// told of one that was drawn.
func (a *auditor) again(ctx context.Context, now time.Time) {
	for _, seq := range a.waiting(now) {
		for e, err := range a.log.Entries(seq) {
			var v verdict
			if err == nil {
				v, err = a.entry(ctx, e, true)
			}
			if err == nil {
				err = a.seen(seq, v)
			}
			if err != nil && ctx.Err() == nil {
				a.logger.Warn("a withheld batch of images is not looked at again", "number", seq, "err", err)
			}
			break
		}
	}
}

// verdict about a batch.
type verdict struct {
	audited  bool      // it is of frames
	untrue   bool      // an image of it is evidence now
	withheld error     // why it is not published; nil if it is
	unread   bool      // the storage did not answer: nothing is held against it
	last     time.Time // of its frames
}

// entry audits one entry of the log, by a sample or all of it.
func (a *auditor) entry(ctx context.Context, e ingest.Entry, all bool) (v verdict, err error) {
	if e.Fork || !bytes.Contains(e.Raw, []byte(images.Content)) {
		return v, nil
	}
	b, err := sensing.Read(e.Raw, a.chainID)
	if err != nil || b.Content != images.Content {
		return v, err
	}
	frames, err := images.Decode(b.Payload)
	if err != nil {
		return v, fmt.Errorf("batch %d of the log: %w", e.Seq, err)
	}
	v.audited = true
	_, v.last, _ = images.Format{}.Times(b.Payload) // it is decoded above
	if !all {
		frames = drawn(a.secret, b.Hash, frames)
	}
	for _, f := range frames {
		if err := a.frame(ctx, b, f, &v); err != nil || v.withheld != nil || v.untrue {
			return v, err
		}
	}
	return v, nil
}

// frame audits one frame.
func (a *auditor) frame(ctx context.Context, b *sensing.Batch, f images.Frame, v *verdict) error {
	stored, err := a.read(ctx, f)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = images.Audit(f, stored)
	}
	switch {
	case err == nil:
		a.count(asRecorded)
	case errors.Is(err, ErrNoImage), errors.Is(err, images.ErrOther):
		a.count(notThere)
		v.withheld = err
		a.logger.Warn("a batch of images is not published while one of them cannot be read", "device", b.Device, "batch", b.Counter, "err", err)
		a.tell(b.Device, fmt.Sprintf("batch %d is not published: %v; store images before their records", b.Counter, err))
	case errors.Is(err, images.ErrUnlike):
		a.count(unlike)
		v.untrue = true
		a.logger.Error("an image is not as its record says: it is published as evidence", "device", b.Device, "batch", b.Counter, "err", err)
		a.tell(b.Device, fmt.Sprintf("batch %d: %v; nothing is paid for a week", b.Counter, err))
		return a.keep(b.Device, f.Time, stored)
	default:
		a.count(unread)
		v.unread = true
		a.logger.Warn("an image cannot be read, nothing is held against it", "device", b.Device, "batch", b.Counter, "err", err)
	}
	return nil
}

// read reads a frame's image; a storage that does not answer is tried again.
func (a *auditor) read(ctx context.Context, f images.Frame) (stored []byte, err error) {
	for i, pause := 0, a.oneTry; i < tries; i, pause = i+1, min(2*pause, maxTried) {
		if i > 0 {
			wait(ctx, pause)
		}
		stored, err = a.pictures.Get(ctx, f.Key, int64(f.Size))
		if err == nil || errors.Is(err, ErrNoImage) || ctx.Err() != nil {
			break
		}
	}
	return stored, err
}

// drawn are the frames of a batch that are audited: those whose HMAC is below the
// rate, and else the one with the lowest. Whoever signs the batch does not know
// them, and cannot find out.
func drawn(secret []byte, batch sensing.Hash, frames []images.Frame) (out []images.Frame) {
	type lot struct {
		number uint64
		images.Frame
	}
	lots := make([]lot, len(frames))
	for i, f := range frames {
		m := hmac.New(sha256.New, secret)
		_, _ = m.Write(binary.BigEndian.AppendUint32(append([]byte("grange/image-audit/v1\x00"), batch[:]...), uint32(i))) // never fails
		lots[i] = lot{binary.BigEndian.Uint64(m.Sum(nil)), f}
	}
	slices.SortFunc(lots, func(a, b lot) int { return cmp.Compare(a.number, b.number) })
	for i, l := range lots {
		if i > 0 && l.number >= math.MaxUint64/sampled {
			break
		}
		out = append(out, l.Frame)
	}
	return out
}
