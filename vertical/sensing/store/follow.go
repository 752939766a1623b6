package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// Source is the log: what is in it from a place on. ingest.Server is one.
type Source interface {
	Entries(seq uint64) iter.Seq2[ingest.Entry, error]
}

var _ Source = (*ingest.Server)(nil)

// Catch appends what the log has that the store has not.
func (s *Store) Catch(ctx context.Context, log Source) error {
	for e, err := range log.Entries(s.Next()) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := s.Append(ctx, e); err != nil {
			return err
		}
		if s.full() {
			if err := s.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) full() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.held >= s.cfg.FlushRows
}

// look is how often the log is asked for more.
const look = 500 * time.Millisecond

// Follow keeps the store up with the log until ctx ends. What fails is tried
// again, since the log keeps everything.
func (s *Store) Follow(ctx context.Context, log Source) error {
	again := time.NewTicker(look)
	defer again.Stop()
	flushed := time.Now()
	for {
		err := s.Catch(ctx, log)
		if err == nil && time.Since(flushed) >= s.cfg.FlushEvery {
			flushed = time.Now()
			err = s.Flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("observations are not stored for now", "from", s.Next(), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
