package index

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// View opens an index for reading only.
func View(ctx context.Context, path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil && !isURL(path) {
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
// file of its own that it removes, and compares the two row by row. The index may
// be written meanwhile: it is compared as it was when the check began.
func Check(ctx context.Context, path string, chain Chain, log *slog.Logger) (c Checked, err error) {
	dir, err := os.MkdirTemp("", "grange-check-")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	old, err := View(ctx, path)
	if err != nil {
		return c, err
	}
	defer old.Close()
	if c.Height, err = old.dumpTo(ctx, filepath.Join(dir, "old")); err != nil {
		return c, err
	}
	from, err := old.From(ctx)
	if err != nil {
		return c, err
	}
	anew, _, err := Open(ctx, filepath.Join(dir, "new.db"), chain.ChainID())
	if err != nil {
		return c, err
	}
	defer anew.Close()
	if from > 1 { // what is missing in both is no difference
		if err := anew.Skip(ctx, from); err != nil {
			return c, err
		}
	}
	if err := rebuild(ctx, anew, chain, c.Height, log); err != nil {
		return c, err
	}
	if _, err := anew.dumpTo(ctx, filepath.Join(dir, "new")); err != nil {
		return c, err
	}
	if c.Rows, c.Hash, err = compare(filepath.Join(dir, "old"), filepath.Join(dir, "new")); err != nil {
		return c, fmt.Errorf("index %s differs from the blocks at height %d: %w", path, c.Height, err)
	}
	return c, nil
}

// dumpTo writes a dump into a file.
func (s *Store) dumpTo(ctx context.Context, path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	height, err := s.Dump(ctx, f)
	return height, errors.Join(err, f.Close())
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

// compare reads two dumps side by side, and returns how many rows they have and
// their hash.
func compare(old, anew string) (rows int, hash string, err error) {
	a, err := os.Open(old)
	if err != nil {
		return 0, "", err
	}
	defer a.Close()
	b, err := os.Open(anew)
	if err != nil {
		return 0, "", err
	}
	defer b.Close()
	h := sha256.New()
	x, y := bufio.NewReader(io.TeeReader(a, h)), bufio.NewReader(b)
	for {
		has, e1 := x.ReadString('\n')
		wants, e2 := y.ReadString('\n')
		switch {
		case has != wants:
			return rows, "", fmt.Errorf("row %d: it has %.300q, the blocks give %.300q", rows+1, has, wants)
		case errors.Is(e1, io.EOF) && errors.Is(e2, io.EOF):
			return rows, hex.EncodeToString(h.Sum(nil)), nil
		case e1 != nil || e2 != nil:
			return rows, "", errors.Join(e1, e2)
		}
		rows++
	}
}
