package sensing

import (
	"context"
	"log/slog"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// witness signs minutes of bases that do not sign themselves.
type witness struct {
	sidecar *sidecar.Sidecar
	log     *slog.Logger
	minutes chan gnss.Minute
}

// waiting is how many minutes may wait to be signed; a caster's bases end theirs
// together.
const waiting = 1000

func newWitness(s *sidecar.Sidecar, log *slog.Logger) *witness {
	return &witness{s, log, make(chan gnss.Minute, waiting)}
}

// watch records a base. It returns nil for one that signs itself.
func (w *witness) watch(mount string, id device.ID, ok bool) ntrip.Watcher {
	if !ok {
		return nil
	}
	return &watched{w, gnss.Recorder{Mount: mount, Base: &id}}
}

// run signs until ctx ends.
func (w *witness) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-w.minutes:
			p, err := m.Encode()
			if err == nil {
				_, err = w.sidecar.ReportPayload(ctx, gnss.Content, p)
			}
			if err != nil && ctx.Err() == nil {
				w.log.Error("a minute of a base is not signed", "mount", m.Mount, "err", err)
			}
		}
	}
}

// watched is one base under a witness.
type watched struct {
	*witness
	recorder gnss.Recorder
}

// Frame implements ntrip.Watcher.
func (w *watched) Frame(f rtcm.Frame, at time.Time) { w.take(w.recorder.Frame(f, at)) }

// Close implements ntrip.Watcher: the minute under way is signed as far as it went.
func (w *watched) Close() { w.take(w.recorder.Tick(time.Now().Add(time.Minute))) }

func (w *watched) take(m *gnss.Minute) {
	if m == nil {
		return
	}
	select {
	case w.minutes <- *m:
	default:
		w.log.Warn("a minute of a base is lost: too many wait to be signed", "mount", m.Mount)
	}
}
