package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
)

// manyFiles of one kind, place and day are made one.
const manyFiles = 8

func fileKey(s evidence.Segment) string { return path.Join("segments", s.Path(s.Root)) }

// Flush writes what is in memory to files. Until the catalogue names them nothing
// has happened; afterwards the log is not needed up to there.
func (s *Store) Flush(ctx context.Context) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	if s.next == s.flushed && len(s.stale) == 0 {
		s.mu.Unlock()
		return nil
	}
	s.leaving, s.memory, s.held = s.memory, map[key]table{}, 0
	next, files, stale := s.next, maps.Clone(s.files), s.stale
	leaving := s.leaving
	c := s.catalogue(next, nil)
	s.mu.Unlock()
	replaced, err := s.write(ctx, leaving, files)
	if err == nil {
		c.Files = s.catalogueFiles(files)
		err = s.save(ctx, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.keep(leaving)
		return fmt.Errorf("flush observations: %w", err)
	}
	s.files, s.leaving, s.flushed = files, nil, next
	s.stale = replaced
	for _, f := range stale { // nobody who began before the last flush reads them still
		s.open.forget(f.Root)
		if err := s.cfg.Files.Delete(ctx, fileKey(f)); err != nil {
			s.cfg.Logger.Warn("file of observations that was replaced is left", "file", fileKey(f), "err", err)
		}
	}
	return nil
}

func (s *Store) catalogueFiles(files map[key][]evidence.Segment) []fileJSON {
	return (&Store{}).catalogue(0, files).Files
}

// keep puts rows that could not be written back into memory. s.mu is held.
func (s *Store) keep(leaving map[key]table) {
	for k, t := range leaving {
		into := s.memory[k]
		if into == nil {
			into = table{}
			s.memory[k] = into
		}
		for cell, rows := range t {
			into[cell] = slices.Concat(rows, into[cell])
			s.held += len(rows)
		}
	}
	s.leaving = nil
}

// write makes files of rows and enters them into files. It returns those that it
// made one of.
func (s *Store) write(ctx context.Context, leaving map[key]table, files map[key][]evidence.Segment) (replaced []evidence.Segment, err error) {
	for k, t := range leaving {
		var rows []Row
		for _, of := range t {
			rows = append(rows, of...)
		}
		all, of := slices.Clone(files[k]), []evidence.Segment(nil)
		if len(all)+1 >= manyFiles {
			if of, rows, err = s.merge(ctx, k, all, rows); err != nil {
				return nil, err
			}
		}
		made, err := s.cut(ctx, k, rows)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(f evidence.Segment) bool { return slices.Contains(of, f) && !slices.Contains(made, f) })
		for _, f := range made {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
		files[k] = all
		for _, f := range of {
			if !slices.Contains(made, f) {
				replaced = append(replaced, f)
			}
		}
	}
	return replaced, nil
}

// merge reads the small ones of a key's files, so that they go into one.
func (s *Store) merge(ctx context.Context, k key, all []evidence.Segment, rows []Row) ([]evidence.Segment, []Row, error) {
	var of []evidence.Segment
	for _, f := range all {
		if uint64(len(rows))+f.Rows > segment.MaxRows/2 {
			continue
		}
		file, err := s.open.file(ctx, k.kind, f)
		if err != nil {
			return nil, nil, err
		}
		err = file.rows(span{0, int64(f.Rows)}, func(r *Row) bool { rows = append(rows, *r); return true })
		file.release()
		if err != nil {
			return nil, nil, err
		}
		of = append(of, f)
	}
	return of, rows, nil
}

// cut writes rows of one key to files of the store.
func (s *Store) cut(ctx context.Context, k key, rows []Row) (made []evidence.Segment, err error) {
	order := make([]*Row, len(rows))
	for i := range rows {
		order[i] = &rows[i]
	}
	slices.SortFunc(order, compare)
	c := evidence.Cutter[Row]{Dir: filepath.Join(s.cfg.Dir, "work"), Kind: Files(k.kind)}
	defer c.Drop()
	name := segment.Name{Parent: segment.Cell(k.parent), Day: k.day}
	for _, r := range order {
		if err := c.Add(name, *r); err != nil {
			return nil, err
		}
	}
	cuts, err := c.Finish()
	for _, cut := range cuts {
		err = errors.Join(err, s.put(ctx, cut), os.Remove(cut.File))
		cut.SHA256 = [32]byte{}
		made = append(made, cut.Segment)
	}
	return made, err
}

func (s *Store) put(ctx context.Context, c evidence.Cut) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.cfg.Files.Put(ctx, fileKey(c.Segment), f)
}
