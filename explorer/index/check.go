package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// View opens an index for reading only.
func View(ctx context.Context, path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	s, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	if chain, _, err := s.identity(ctx); err != nil || chain == "" {
		return nil, errors.Join(fmt.Errorf("open index %s: it holds no chain", path), err, s.Close())
	}
	return s, nil
}

// Checked is what a check found: the two are equal.
type Checked struct {
	Height int64  `json:"height"`
	Rows   int    `json:"rows"`
	Hash   string `json:"sha256"` // of the dump
}

// Check builds the index at path anew from the chain, up to the same block, in a
// file beside it that it removes, and compares the two row by row. The index may
// be written meanwhile: a copy of it is compared.
func Check(ctx context.Context, path string, chain Chain, log *slog.Logger) (c Checked, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), "check-")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	old, err := copyOf(ctx, path, filepath.Join(dir, "old.db"))
	if err != nil {
		return c, err
	}
	defer old.Close()
	anew, _, err := Open(ctx, filepath.Join(dir, "new.db"), chain.ChainID())
	if err != nil {
		return c, err
	}
	defer anew.Close()
	if err := rebuild(ctx, anew, chain, old.Height(), log); err != nil {
		return c, err
	}
	var a, b bytes.Buffer
	if err := errors.Join(old.Dump(ctx, &a), anew.Dump(ctx, &b)); err != nil {
		return c, err
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		return c, fmt.Errorf("index %s differs from the blocks at height %d: %s", path, old.Height(), difference(a.Bytes(), b.Bytes()))
	}
	sum := sha256.Sum256(a.Bytes())
	return Checked{old.Height(), bytes.Count(a.Bytes(), []byte("\n")), hex.EncodeToString(sum[:])}, nil
}

// copyOf copies an index as of one moment.
func copyOf(ctx context.Context, path, to string) (*Store, error) {
	s, err := View(ctx, path)
	if err != nil {
		return nil, err
	}
	if _, err := s.write.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return nil, errors.Join(fmt.Errorf("copy index %s: %w", path, err), s.Close())
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return View(ctx, to)
}

// rebuild indexes blocks up to and with height.
func rebuild(ctx context.Context, s *Store, chain Chain, height int64, log *slog.Logger) error {
	f := NewFollower(s, &until{chain, height}, false, log)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	err := f.Await(ctx, height)
	cancel()
	return errors.Join(err, <-done)
}

// until is a chain that seems to end at a height.
type until struct {
	Chain
	height int64
}

// Head is not beyond the end.
func (u *until) Head() (int64, time.Time) {
	height, at := u.Chain.Head()
	return min(height, u.height), at
}

// WaitHeight waits for good beyond the end.
func (u *until) WaitHeight(ctx context.Context, height int64) error {
	if height > u.height {
		<-ctx.Done()
		return ctx.Err()
	}
	return u.Chain.WaitHeight(ctx, height)
}

// difference is the first line in which two dumps differ.
func difference(a, b []byte) string {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Sprintf("it has %.300q, the blocks give %.300q", x[i], y[i])
		}
	}
	return fmt.Sprintf("it has %d rows, the blocks give %d", len(x)-1, len(y)-1)
}
