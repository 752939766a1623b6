package sidecar

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// maxReport is the most bytes of a station's report.
const maxReport = 16 << 10

// Handler answers stations and phones like the services that they report to:
// Weather Underground, Ecowitt, Sensor.Community, Ichnaea. POST /v1/tracks takes GPX.
func (s *Sidecar) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /weatherstation/updateweatherstation.php", s.answer(http.StatusOK, "success\n", func(r *http.Request) ([]senml.Record, error) {
		return Underground(r.URL.Query(), s.cfg.Now())
	}))
	mux.HandleFunc("POST /data/report/", s.answer(http.StatusOK, "OK\n", func(r *http.Request) ([]senml.Record, error) {
		raw, err := read(r, maxReport)
		if err != nil {
			return nil, err
		}
		q, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: body is no form", ErrReport)
		}
		return Ecowitt(q, s.cfg.Now())
	}))
	community := s.answer(http.StatusCreated, "{}\n", func(r *http.Request) ([]senml.Record, error) {
		raw, err := read(r, maxReport)
		if err != nil {
			return nil, err
		}
		return Community(raw, s.cfg.Now())
	})
	mux.HandleFunc("POST /v1/push-sensor-data", community)
	mux.HandleFunc("POST /v1/push-sensor-data/", community)
	mux.HandleFunc("POST /v2/geosubmit", s.scans)
	mux.HandleFunc("POST /v1/tracks", s.track)
	return mux
}

// answer serves one protocol: what read makes of a request is signed.
func (s *Sidecar) answer(status int, done string, read func(*http.Request) ([]senml.Record, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		records, err := read(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		if _, err := s.Report(r.Context(), s.placed(records)); err != nil {
			s.unstored(w, err)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, done) // the station may be gone
	}
}

// scans takes geosubmit version 2. What may not be kept is left out before it is
// signed.
func (s *Sidecar) scans(w http.ResponseWriter, r *http.Request) {
	raw, err := read(r, radio.MaxBody)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	reports, err := radio.Submitted(raw, s.cfg.Now())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if err := s.Scans(r.Context(), reports); err != nil {
		s.unstored(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}\n") // the phone may be gone
}

// track takes a recorded track with readings, as GPX.
func (s *Sidecar) track(w http.ResponseWriter, r *http.Request) {
	raw, err := read(r, maxTrack)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	points, err := GPX(raw)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if err := s.Track(r.Context(), points); err != nil {
		s.unstored(w, err)
		return
	}
	_, _ = fmt.Fprintf(w, "%d points\n", len(points)) // the sender may be gone
}

// payloadRoom is left in a batch for its header and signature.
const payloadRoom = 1 << 10

// Scans cleans and signs radio scans.
func (s *Sidecar) Scans(ctx context.Context, reports []radio.Report) error {
	clean := radio.Clean(reports, radio.Salt(s.cfg.ChainID))
	if len(clean) == 0 {
		return nil
	}
	payloads, err := radio.Payloads(clean, sensing.MaxBatch-payloadRoom)
	if err != nil {
		return err
	}
	for _, p := range payloads {
		if _, err := s.ReportPayload(ctx, radio.Content, p); err != nil {
			return err
		}
	}
	return nil
}

// read reads a body, which may be compressed with gzip.
func read(r *http.Request, most int64) ([]byte, error) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(io.LimitReader(r.Body, most))
		if err != nil {
			return nil, fmt.Errorf("%w: body is no gzip", ErrReport)
		}
		in = z
	}
	raw, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("%w: read body: %w", ErrReport, err)
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("%w of at most %d bytes", errLong, most)
	}
	return raw, nil
}

var errLong = errors.New("report is too long: send one")

func (s *Sidecar) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Logger.Warn("report refused", "from", r.RemoteAddr, "err", err)
	status := http.StatusBadRequest
	if errors.Is(err, errLong) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), status)
}

func (s *Sidecar) unstored(w http.ResponseWriter, err error) {
	s.cfg.Logger.Error("report not stored", "err", err)
	http.Error(w, "report is not stored: "+err.Error(), http.StatusServiceUnavailable)
}
