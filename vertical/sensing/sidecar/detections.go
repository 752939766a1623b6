package sidecar

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"

	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// eventsPerBatch fit a batch with room: an event takes 40 bytes at most.
const eventsPerBatch = 1000

// detections takes what a detector saw. What a frame does not say of its pose is
// what NMEA told last.
func (s *Sidecar) detections(w http.ResponseWriter, r *http.Request) {
	raw, err := read(r, events.MaxBody)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	frames, err := events.Frames(raw)
	if err == nil {
		err = s.posed(frames)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	for _, f := range frames {
		if err := s.timely([]senml.Record{{Name: "frame", Time: f.Time}}); err != nil {
			s.untaken(w, r, err)
			return
		}
	}
	n, hidden, err := s.Detections(r.Context(), frames)
	if err != nil {
		s.untaken(w, r, err)
		return
	}
	answer := fmt.Sprintf("%d events", n)
	if hidden > 0 {
		answer += fmt.Sprintf(", %d more in hidden places and not signed", hidden)
	}
	var unknown, unclear int
	for _, f := range frames {
		unknown, unclear = unknown+f.Unknown, unclear+f.Unclear
	}
	if unknown+unclear > 0 {
		answer += fmt.Sprintf("; left out are %d objects of no class, %d with a confidence below 0.3", unknown, unclear)
	}
	_, _ = io.WriteString(w, answer+"\n") // the sender may be gone
}

// posed completes frames by the clock and by NMEA.
func (s *Sidecar) posed(frames []events.Frame) error {
	now := s.cfg.Now()
	fix, known := s.places.Fix(now)
	for i := range frames {
		f := &frames[i]
		if f.Time.IsZero() {
			f.Time = now
		}
		if math.IsNaN(f.Lat) && known && now.Sub(f.Time).Abs() <= fresh {
			f.Lat, f.Lon, f.Heading, f.Speed = fix.Lat, fix.Lon, fix.Heading, fix.Speed
		}
		if math.IsNaN(f.Lat) {
			return fmt.Errorf("%w: frame %d does not say where it was taken (latitude, longitude), and no NMEA did in the %v around it", ErrReport, i, fresh)
		}
		if math.IsNaN(f.Heading) {
			return fmt.Errorf("%w: frame %d does not say where the camera was heading (heading), and no RMC sentence did", ErrReport, i)
		}
	}
	return nil
}

// Detections signs what was seen, but for what was seen in hidden places, which it
// counts.
func (s *Sidecar) Detections(ctx context.Context, frames []events.Frame) (signed, hidden int, err error) {
	var all []events.Event
	for _, f := range frames {
		if s.cfg.Hidden.Hold(f.Lat, f.Lon) {
			hidden += len(f.Seen)
			continue
		}
		all = append(all, f.Events()...)
	}
	for part := range slices.Chunk(all, eventsPerBatch) {
		payload, err := events.Encode(part)
		if err != nil {
			return signed, hidden, err
		}
		if _, err := s.ReportPayload(ctx, events.Content, payload); err != nil {
			return signed, hidden, err
		}
		signed += len(part)
	}
	return signed, hidden, nil
}
