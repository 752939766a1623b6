package sensing

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
)

// What fails is tried again while its epoch is the newest that has ended: a day's
// evidence must not be lost because the archive did not answer once. What is newer
// takes its place. A ledger that is away is not asked without end.
func TestPublishAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked, broken := 0, errors.New("broken")
		epoch := uint64(5)
		wait := func(ctx context.Context, after uint64) (uint64, error) {
			if asked++; asked > 100 {
				t.Fatal("the ledger is asked again and again")
			}
			if asked <= 3 {
				return 0, broken
			}
			if after == epoch {
				epoch++
			}
			return epoch, ctx.Err()
		}
		var tried []uint64
		err := perEpoch(ctx, wait, slog.New(slog.DiscardHandler), func(_ context.Context, ended uint64) error {
			switch tried = append(tried, ended); len(tried) {
			case 1, 2:
				return broken
			case 4: // two epochs end while it fails
				epoch += 2
				return broken
			case 6:
				cancel()
			}
			return nil
		})
		if want := []uint64{5, 5, 5, 6, 8, 9}; err != nil || !slices.Equal(tried, want) {
			t.Errorf("published of the epochs %v: %v, want %v", tried, err, want)
		}
	})
}
