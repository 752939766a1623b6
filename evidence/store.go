package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotFound is returned by a Store for a key it does not have.
var ErrNotFound = errors.New("not in the store")

// Store keeps files under keys: path elements of letters, digits, '-' and '.',
// joined by '/', none of them beginning with a dot. Its methods are safe for
// concurrent use.
type Store interface {
	// Put stores body whole under key, in place of what was there, and returns
	// when it is durable. A reader sees the old file or the new one.
	Put(ctx context.Context, key string, body io.ReadSeeker) error
	// Get opens the file under key, or returns ErrNotFound.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// List yields the keys that begin with prefix, ascending by byte. The
	// iteration ends with the first error.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
	// Delete removes the file under key; that there is none is fine.
	Delete(ctx context.Context, key string) error
}

func checkKey(key string) error {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			return fmt.Errorf("key %q is not one of a store", key)
		}
	}
	return nil
}

// Dir is a Store in a plain directory.
type Dir struct{ root string }

// NewDir makes the directory if needed.
func NewDir(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("open evidence store: %w", err)
	}
	return &Dir{root}, nil
}

var _ Store = (*Dir)(nil)

func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return err
	}
	path := d.path(key)
	if err := d.makeFolders(filepath.Dir(path)); err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	defer os.Remove(f.Name()) // fails once renamed
	if _, err = body.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(f, body)
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	return nil
}

// makeFolders makes dir and makes its entry durable, up to the root.
func (d *Dir) makeFolders(dir string) error {
	if dir == d.root {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := d.makeFolders(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return nil, err
	}
	f, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return f, nil
}

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		folder := d.path(prefix[:strings.LastIndexByte(prefix, '/')+1])
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(d.root, path)
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			if key := filepath.ToSlash(rel); strings.HasPrefix(key, prefix) && checkKey(key) == nil {
				keys = append(keys, key)
			}
			return ctx.Err()
		})
		if errors.Is(err, fs.ErrNotExist) {
			_, err = os.Stat(d.root) // nothing under the prefix, unless the store itself is gone
		}
		if err != nil {
			yield("", fmt.Errorf("list %s: %w", prefix, err))
			return
		}
		slices.Sort(keys)
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
	}
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return err
	}
	if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}
