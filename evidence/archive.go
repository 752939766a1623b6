package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/segment"
)

// ErrUnavailable is returned when the evidence behind a root cannot be had,
// whatever the reason: missing, withheld, changed, or a store that does not
// answer. Nothing may be scored from it.
var ErrUnavailable = errors.New("evidence is unavailable")

// Archive publishes to and fetches from one store.
type Archive struct {
	store Store
	mu    sync.Mutex // Publish against Retain: they may touch the same segment
}

// New makes an archive in a store. One process publishes and retains a
// vertical's evidence in a store; any number may fetch.
func New(store Store) *Archive { return &Archive{store: store} }

// Publish stores segments, then the manifest that lists them. It may be
// repeated; the same cuts make the same manifest.
func (a *Archive) Publish(ctx context.Context, vertical string, epoch uint64, cuts []Cut) (Manifest, error) {
	segments := make([]Segment, len(cuts))
	for i, c := range cuts {
		segments[i] = c.Segment
	}
	m, err := NewManifest(vertical, epoch, segments)
	if err != nil {
		return m, err
	}
	raw, err := m.Encode()
	if err != nil {
		return m, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range cuts {
		if err := a.put(ctx, vertical, c); err != nil {
			return m, fmt.Errorf("publish %s: %w", m.ID, err)
		}
	}
	if err := a.store.Put(ctx, m.key(), bytes.NewReader(raw)); err != nil {
		return m, fmt.Errorf("publish %s: %w", m.ID, err)
	}
	return m, nil
}

func (a *Archive) put(ctx context.Context, vertical string, c Cut) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.store.Put(ctx, c.key(vertical), f)
}

// Published lists the manifests of an epoch; several publishers make several.
func (a *Archive) Published(ctx context.Context, vertical string, epoch uint64) ([]ID, error) {
	return a.manifests(ctx, epochPrefix(vertical, epoch))
}

func (a *Archive) manifests(ctx context.Context, prefix string) (all []ID, err error) {
	for key, err := range a.store.List(ctx, prefix) {
		if err != nil {
			return nil, unavailable(ctx, "list manifests under "+prefix, err)
		}
		if id, err := parseKey(key); err == nil {
			all = append(all, id)
		}
	}
	return all, nil
}

// unavailable wraps what went wrong; the end of the caller's own context stays
// what it is.
func unavailable(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}

// Manifest fetches a manifest and checks that it makes the root. The error is
// ErrUnavailable or the context's.
func (a *Archive) Manifest(ctx context.Context, id ID) (Manifest, error) {
	what := fmt.Sprintf("fetch manifest of %s", id)
	body, err := a.store.Get(ctx, id.key())
	if err != nil {
		return Manifest{}, unavailable(ctx, what, err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, MaxManifest+1))
	if err != nil {
		return Manifest{}, unavailable(ctx, what, err)
	}
	m, err := DecodeManifest(raw)
	if err == nil && m.ID != id {
		err = fmt.Errorf("it is of %s", m.ID)
	}
	if err != nil {
		return Manifest{}, unavailable(ctx, what, err)
	}
	return m, nil
}

// Inputs is the whole evidence of an epoch on this machine.
type Inputs struct {
	Manifest
	dir string
}

// Fetch brings the whole evidence behind a root into dir, which it makes, and
// checks every byte of it. Files of dir that are whole already are used. The
// error is ErrUnavailable, the context's, or of this machine's disk.
func (a *Archive) Fetch(ctx context.Context, id ID, dir string) (*Inputs, error) {
	m, err := a.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.fetchSegments(ctx, m, dir)
}

// FetchAll fetches what several publishers published for one epoch of a vertical
// as if it were one manifest; none of them is an epoch without evidence.
func (a *Archive) FetchAll(ctx context.Context, vertical string, epoch uint64, roots []merkle.Hash, dir string) (*Inputs, error) {
	var segments []Segment
	for _, root := range roots {
		m, err := a.Manifest(ctx, ID{vertical, epoch, root})
		if err != nil {
			return nil, err
		}
		segments = append(segments, m.Segments...)
	}
	m, err := NewManifest(vertical, epoch, segments)
	if err != nil {
		return nil, unavailable(ctx, "merge manifests", err)
	}
	return a.fetchSegments(ctx, m, dir)
}

func (a *Archive) fetchSegments(ctx context.Context, m Manifest, dir string) (*Inputs, error) {
	in := &Inputs{m, dir}
	for _, s := range m.Segments {
		path := in.path(s)
		if whole(path, s) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("fetch %s: %w", m.ID, err)
		}
		if err := a.fetch(ctx, m.ID, s, path); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// Scratch makes a file without a name beside the evidence, for what somebody makes of
// it and has no memory for. It is gone when it is closed.
func (in *Inputs) Scratch() (*os.File, error) {
	f, err := os.CreateTemp(in.dir, ".scratch-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (in *Inputs) path(s Segment) string {
	return filepath.Join(in.dir, filepath.FromSlash(s.Path(s.Root)))
}

func whole(path string, s Segment) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return copyExactly(io.Discard, f, s) == nil
}

// copyExactly copies the file of s, or fails when r is anything else.
func copyExactly(w io.Writer, r io.Reader, s Segment) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, s.Bytes+1))
	if err != nil {
		return err
	}
	if sum := h.Sum(nil); n != s.Bytes || [sha256.Size]byte(sum) != s.SHA256 {
		return fmt.Errorf("%d bytes with SHA-256 %x, want %d with %x", n, sum, s.Bytes, s.SHA256)
	}
	return nil
}

func (a *Archive) fetch(ctx context.Context, id ID, s Segment, path string) error {
	what := fmt.Sprintf("fetch segment %s of %s", s.key(id.Vertical), id)
	body, err := a.store.Get(ctx, s.key(id.Vertical))
	if err != nil {
		return unavailable(ctx, what, err)
	}
	defer body.Close()
	f, err := os.CreateTemp(filepath.Dir(path), ".fetch-*")
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer os.Remove(f.Name()) // fails once renamed
	if err := copyExactly(f, body, s); err != nil {
		f.Close()
		return unavailable(ctx, what, err)
	}
	if err := errors.Join(f.Close(), os.Rename(f.Name(), path)); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Rows yields all rows of a kind, segment by segment in the order of the
// manifest, each segment after it was verified against its root. The iteration
// ends with the first error, which is ErrUnavailable: the publisher committed to
// a file that is no segment of this kind, so nothing of the epoch may be used.
func Rows[T any](in *Inputs, kind segment.Kind[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, s := range in.Segments {
			if s.Kind == kind.Name && !rowsOf(in, s, kind, yield) {
				return
			}
		}
	}
}

func rowsOf[T any](in *Inputs, s Segment, kind segment.Kind[T], yield func(T, error) bool) bool {
	var zero T
	fail := func(err error) bool {
		yield(zero, fmt.Errorf("read segment %s of %s: %w: %w", s.key(in.Vertical), in.ID, ErrUnavailable, err))
		return false
	}
	f, err := os.Open(in.path(s))
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	seg, err := segment.Verify(f, s.Bytes, kind)
	if err != nil {
		return fail(err)
	}
	if seg.Summary != s.Summary {
		return fail(fmt.Errorf("it says %+v, the manifest %+v", seg.Summary, s.Summary))
	}
	for row, err := range seg.Rows() {
		if err != nil {
			return fail(err)
		}
		if !yield(row, nil) {
			return false
		}
	}
	return true
}

// Retain removes the evidence of a vertical's epochs before from: the segments
// that no later manifest lists, then the manifests. It removes nothing when it
// cannot read every later manifest. removed counts the manifests.
func (a *Archive) Retain(ctx context.Context, vertical string, from uint64) (removed int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, err := a.manifests(ctx, epochsPrefix(vertical))
	if err != nil {
		return 0, err
	}
	kept := map[merkle.Hash]bool{}
	for _, id := range all {
		if id.Epoch < from {
			continue
		}
		m, err := a.Manifest(ctx, id)
		if err != nil {
			return 0, fmt.Errorf("retain %s from epoch %d: %w", vertical, from, err)
		}
		for _, s := range m.Segments {
			kept[s.Root] = true
		}
	}
	for _, id := range all {
		if id.Epoch >= from {
			continue
		}
		if err := a.remove(ctx, id, kept); err != nil {
			return removed, fmt.Errorf("retain %s from epoch %d: %w", vertical, from, err)
		}
		removed++
	}
	return removed, nil
}

func (a *Archive) remove(ctx context.Context, id ID, kept map[merkle.Hash]bool) error {
	m, err := a.Manifest(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range m.Segments {
		if kept[s.Root] {
			continue
		}
		if err := a.store.Delete(ctx, s.key(id.Vertical)); err != nil {
			return err
		}
	}
	return a.store.Delete(ctx, id.key())
}
