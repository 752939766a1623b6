package sensing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/beijing"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// Replay sends a station's recorded series as if it were measured now: the first
// hours, which are past, at once, then one reading an hour until the series ends.
type Replay struct {
	Dir     string // of its log
	Key     Key
	ChainID string
	Gateway string // URL
	Station *beijing.Station
	Began   time.Time // when the series begins
	Faulty  bool      // its thermometer stands still after FaultAfter
	Logger  *slog.Logger
}

// Past is how much of a series a replay that begins now may send at once: as old
// as a gateway takes readings.
const Past = 71 * time.Hour

// FaultAfter is when the thermometer of a faulty station stops.
const FaultAfter = 50

// perBatch is how many hours go into one batch.
const perBatch = 12

// Run sends until ctx ends.
func (r Replay) Run(ctx context.Context) error {
	c, err := sidecar.Open(sidecar.Config{Dir: filepath.Join(r.Dir, "reports"), ChainID: r.ChainID, Signer: r.Key, Gateway: r.Gateway, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handed := make(chan error, 1)
	go func() {
		handed <- c.Run(ctx)
		cancel()
	}()
	err = r.report(ctx, c)
	cancel()
	return errors.Join(err, <-handed)
}

// report signs what is due, then waits for the next hour.
func (r Replay) report(ctx context.Context, c *sidecar.Sidecar) error {
	next, err := r.sent()
	if err != nil {
		return err
	}
	for next < beijing.Hours {
		due := min(int(time.Since(r.Began)/time.Hour)+1, beijing.Hours)
		// What a gateway would refuse as too old is left out: the station was off.
		next = max(next, int((time.Since(r.Began)-Past)/time.Hour)+1)
		for next < due {
			to := min(next+perBatch, due)
			if records := r.records(next, to); len(records) > 0 {
				if _, err := c.Report(ctx, records); err != nil {
					return err
				}
			}
			next = to
			if err := os.WriteFile(r.mark(), []byte(strconv.Itoa(next)), 0o600); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(r.Began.Add(time.Duration(due) * time.Hour))):
		}
	}
	<-ctx.Done()
	return nil
}

func (r Replay) mark() string { return filepath.Join(r.Dir, "sent") }

// sent reads up to which hour was signed. After a crash between signing and
// noting it an hour is signed twice, which says the same.
func (r Replay) sent() (int, error) {
	raw, err := os.ReadFile(r.mark())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	n, err2 := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err = errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.mark(), err)
	}
	return n, nil
}

func (r Replay) records(from, to int) (out []senml.Record) {
	for h := from; h < to; h++ {
		for _, v := range r.Station.Hours[h] {
			if r.Faulty && h > FaultAfter && v.Name == "temperature" {
				v.Value = r.stuck()
			}
			out = append(out, senml.Record{Name: v.Name, Unit: v.Unit, Time: r.Began.Add(time.Duration(h) * time.Hour), Value: v.Value})
		}
	}
	return out
}

// stuck is what the thermometer showed last.
func (r Replay) stuck() float64 {
	for h := FaultAfter; h >= 0; h-- {
		for _, v := range r.Station.Hours[h] {
			if v.Name == "temperature" {
				return v.Value
			}
		}
	}
	return 0
}
