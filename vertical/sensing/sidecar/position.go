package sidecar

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

// saveEvery is how many batches are handed over until the position is written. A
// gateway tells so many that come again from those that are new.
const saveEvery = 32

func (s *Sidecar) positionFile() string { return filepath.Join(s.cfg.Dir, "sent") }

// sentUntil is the record of the log to begin with: what was handed over before the
// program ended need not go again.
func (s *Sidecar) sentUntil() uint64 {
	first, next := s.wal().First(), s.wal().Next()
	raw, err := os.ReadFile(s.positionFile())
	if err != nil {
		return first // it is new, or comes twice
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || n > next {
		return first
	}
	return max(n, first)
}

// saveSent notes that all before next is done with, and drops it. A position that is
// lost costs that batches go twice.
func (s *Sidecar) saveSent(next uint64) {
	path := s.positionFile()
	err := os.WriteFile(path+".new", []byte(strconv.FormatUint(next, 10)+"\n"), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if next > kept {
		err = errors.Join(err, s.wal().TruncateBefore(next-kept))
	}
	if err != nil {
		s.cfg.Logger.Warn("what was handed over is not noted, and may go again", "dir", s.cfg.Dir, "err", err)
	}
}

// reopen looks at the disk again after it failed; s.mu is held.
func (s *Sidecar) reopen() error {
	_ = s.log.Close() // it has failed
	if err := s.openLog(); err != nil {
		return err
	}
	s.failed = false
	return nil
}

// arrival says when a record was the next one to be written.
type arrival struct {
	next uint64
	at   time.Time
}

// noteArrival remembers one an hour; s.mu is held.
func (s *Sidecar) noteArrival() {
	now := s.cfg.Now()
	if n := len(s.arrivals); n == 0 || now.Sub(s.arrivals[n-1].at) >= time.Hour {
		s.arrivals = append(s.arrivals, arrival{s.log.Next(), now})
	}
}

// tooLate is the first record that a gateway may still take: what waited for more
// than 72 hours nobody does. So the log is bounded by what is reported in that time.
func (s *Sidecar) tooLate() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.cfg.Now().Add(-sensing.Late - sensing.Early)
	for len(s.arrivals) > 1 && s.arrivals[1].at.Before(limit) {
		s.arrivals = s.arrivals[1:]
	}
	if len(s.arrivals) == 0 || !s.arrivals[0].at.Before(limit) {
		return 0
	}
	return s.arrivals[0].next
}
