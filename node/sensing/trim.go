package sensing

import (
	"context"
	"log/slog"
	"time"

	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// trimEvery is how often a gateway lets go what nobody needs of its log.
const trimEvery = time.Hour

// trim lets records of the log go that none of those who read it need any more,
// until ctx ends. Each of needed says from which record on one does.
func trim(ctx context.Context, s *ingest.Server, logger *slog.Logger, needed ...func() uint64) {
	again := time.NewTicker(trimEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			if err := trimOnce(s, needed...); err != nil {
				logger.Error("log of observations is not trimmed", "err", err)
			}
		}
	}
}

func trimOnce(s *ingest.Server, needed ...func() uint64) error {
	_, least := s.Kept()
	for _, from := range needed {
		least = min(least, from())
	}
	return s.Trim(least)
}
