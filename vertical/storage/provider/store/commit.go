package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// maxGroup bounds the changes of one commit.
const maxGroup = 256

// change is one caller's write to the index.
type change struct {
	tmp, file string // renamed before the commit, when set
	do        func(tx *bolt.Tx) error
	after     func() // on the committing goroutine, after the commit
	result    chan error
}

// apply commits the change, together with whatever else waits, and returns when it
// is durable.
func (s *Store) apply(c *change) error {
	c.result = make(chan error, 1)
	select {
	case s.changes <- c:
		return <-c.result
	case <-s.done:
		return ErrClosed
	}
}

// commit runs until Close. It is the only writer of the index and the only one to
// rename and remove piece files, so a piece's file and its index entry change in
// one order.
func (s *Store) commit() {
	defer close(s.stopped)
	for {
		select {
		case c := <-s.changes:
			s.commitGroup(s.gather(c))
		case <-s.done:
			return
		}
	}
}

// gather collects what else is waiting, without waiting for it.
func (s *Store) gather(first *change) []*change {
	group := []*change{first}
	for len(group) < maxGroup {
		select {
		case c := <-s.changes:
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

func (s *Store) commitGroup(group []*change) {
	group = s.place(group)
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, c := range group {
			if err := c.do(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || len(group) == 1 {
		for _, c := range group {
			s.finish(c, err)
		}
		return
	}
	// One change spoiled the group: each on its own.
	for _, c := range group {
		s.finish(c, s.db.Update(c.do))
	}
}

// place renames the group's files and syncs their directories, once each. Changes
// that fail here are answered and left out.
func (s *Store) place(group []*change) []*change {
	failed := map[*change]error{}
	dirs := map[string]error{}
	for _, c := range group {
		if c.file == "" {
			continue
		}
		dir := filepath.Dir(c.file)
		if _, seen := dirs[dir]; !seen {
			dirs[dir] = s.makeDir(dir)
		}
		if failed[c] = dirs[dir]; failed[c] == nil {
			failed[c] = os.Rename(c.tmp, c.file)
		}
	}
	for dir, err := range dirs {
		if err == nil {
			dirs[dir] = syncDir(dir)
		}
	}
	placed := group[:0]
	for _, c := range group {
		err := failed[c]
		if err == nil && c.file != "" {
			err = dirs[filepath.Dir(c.file)]
		}
		if err != nil {
			s.finish(c, err)
			continue
		}
		placed = append(placed, c)
	}
	return placed
}

// makeDir makes a directory of pieces and syncs the entry of a new one.
func (s *Store) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// finish answers a change. A file that was placed for a commit that failed is
// removed unless the index knows the piece from before.
func (s *Store) finish(c *change, err error) {
	if err == nil && c.after != nil {
		c.after()
	}
	if err != nil && c.file != "" && !s.indexed(filepath.Base(c.file)) {
		os.Remove(c.file)
	}
	if err != nil {
		err = fmt.Errorf("commit: %w", full(err))
	}
	c.result <- err
}
