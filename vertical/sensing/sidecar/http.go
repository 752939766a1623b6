package sidecar

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// maxReport is the most bytes of a station's report.
const maxReport = 16 << 10

// Handler answers stations and phones like the services that they report to:
// Weather Underground, Ecowitt, Sensor.Community, Ichnaea. POST /v1/tracks takes GPX,
// POST /v1/events what a detector saw.
func (s *Sidecar) Handler() http.Handler {
	mux := http.NewServeMux()
	wu := s.answer(http.StatusOK, "success\n", s.form("Weather Underground", "ID", Underground))
	for _, method := range []string{"GET", "POST"} {
		mux.HandleFunc(method+" "+wuPath, wu)
		mux.HandleFunc(method+" "+wuPath+"/", wu)
	}
	// Ecowitt posts; Ambient Weather, whose consoles are the same, asks with GET. Consoles
	// follow no redirect, so both forms of a path are there.
	eco := s.answer(http.StatusOK, "OK\n", s.form("Ecowitt", "PASSKEY", Ecowitt))
	community := s.answer(http.StatusCreated, "{}\n", s.community)
	for _, end := range []string{"", "/"} {
		mux.HandleFunc("POST /data/report"+end, eco)
		mux.HandleFunc("GET /data/report"+end, eco)
		mux.HandleFunc("POST /v1/push-sensor-data"+end, community)
	}
	mux.HandleFunc("POST /v2/geosubmit", s.scans)
	mux.HandleFunc("POST /v1/tracks", s.track)
	mux.HandleFunc("POST /v1/events", s.detections)
	mux.HandleFunc("/", s.about)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead { // who only looks reports nothing
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

const wuPath = "/weatherstation/updateweatherstation.php"

// form reads a report whose parameters are in the URL or in the body; sender is the
// one that names the console.
func (s *Sidecar) form(protocol, sender string, convert func(url.Values, time.Time) ([]senml.Record, error)) func(*http.Request) ([]senml.Record, error) {
	return func(r *http.Request) ([]senml.Record, error) {
		q := r.URL.Query()
		if r.Method == http.MethodPost {
			raw, err := read(r, maxReport)
			if err != nil {
				return nil, err
			}
			body, err := url.ParseQuery(string(raw))
			if err != nil {
				return nil, fmt.Errorf("%w: body is no form", ErrReport)
			}
			for name, values := range body {
				q[name] = values
			}
		}
		records, err := convert(q, s.cfg.Now())
		if err != nil {
			return nil, err
		}
		return records, s.admitted(protocol, q.Get(sender), r.RemoteAddr)
	}
}

func (s *Sidecar) community(r *http.Request) ([]senml.Record, error) {
	raw, err := read(r, maxReport)
	if err != nil {
		return nil, err
	}
	records, err := Community(raw, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return records, s.admitted("Sensor.Community", r.Header.Get("X-Sensor"), r.RemoteAddr)
}

// answer serves one protocol: what read makes of a request is signed.
func (s *Sidecar) answer(status int, done string, read func(*http.Request) ([]senml.Record, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		records, err := read(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		if err := s.take(r.Context(), records); err != nil {
			s.untaken(w, r, err)
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
		s.untaken(w, r, err)
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
	for _, p := range points {
		if err := s.timely(p); err != nil {
			s.untaken(w, r, err)
			return
		}
	}
	hidden, err := s.Track(r.Context(), points)
	if err != nil {
		s.untaken(w, r, err)
		return
	}
	answer := fmt.Sprintf("%d points\n", len(points))
	if hidden > 0 {
		answer = fmt.Sprintf("%d points, %d of them in hidden places and not signed\n", len(points), hidden)
	}
	_, _ = io.WriteString(w, answer) // the sender may be gone
}

// payloadRoom is left in a batch for its header and signature.
const payloadRoom = 1 << 10

// Scans cleans and signs radio scans, but for those in hidden places.
func (s *Sidecar) Scans(ctx context.Context, reports []radio.Report) error {
	reports = slices.DeleteFunc(slices.Clone(reports), func(r radio.Report) bool { return s.cfg.Hidden.Hold(r.Position.Latitude, r.Position.Longitude) })
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
	switch {
	case errors.Is(err, errLong):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrSender):
		status = http.StatusConflict
	}
	http.Error(w, err.Error(), status)
}

// take signs what a station reported.
func (s *Sidecar) take(ctx context.Context, records []senml.Record) error {
	records = atStation(s.placed(records), s.cfg.Height)
	if err := s.timely(records); err != nil {
		return err
	}
	s.warnStale(records)
	if s.hides(records) {
		return nil
	}
	return s.rain.count(records, func(records []senml.Record) error {
		_, err := s.Report(ctx, records)
		return err
	})
}

// stale is how old the reading of a console is that says how it is now. One that
// caught up after an outage soon is below it.
const stale = 30 * time.Minute

// warnStale says once that a clock is behind: local time west of Greenwich is taken in
// as old, and weighed as such.
func (s *Sidecar) warnStale(records []senml.Record) {
	if len(records) == 0 {
		return
	}
	age := s.cfg.Now().Sub(records[0].Time)
	if was := s.stale.Swap(age > stale); age > stale && !was {
		s.cfg.Logger.Warn("readings come with an old time, and count for that time; if the station did not catch up, set its clock to UTC", "old", age.Round(time.Minute), "time", records[0].Time.Format(time.RFC3339))
	}
}

// ErrTime says that no gateway would take a report in, by its time.
var ErrTime = errors.New("report is of a time that nobody takes")

func (s *Sidecar) timely(records []senml.Record) error {
	now := s.cfg.Now()
	for i := range records {
		if age := now.Sub(records[i].Time); age > sensing.Late || age < -sensing.Early {
			return fmt.Errorf("%w: %s at %s, want from %s to %s; check the station's clock, which must be in UTC", ErrTime, records[i].Name, records[i].Time.UTC().Format(time.RFC3339),
				now.Add(-sensing.Late).UTC().Format(time.RFC3339), now.Add(sensing.Early).UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// about answers somebody who looks where a station should report.
func (s *Sidecar) about(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		hint := ""
		if strings.HasPrefix(r.URL.Path, wuPath+"&") {
			hint = "; end the path in the console's settings with a question mark: " + wuPath + "?"
		}
		s.cfg.Logger.Warn("nothing is at this path"+hint, "method", r.Method, "path", fmt.Sprintf("%.80s", r.URL.Path), "from", r.RemoteAddr)
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, "nothing takes %s %.80s%s.\n", r.Method, r.URL.Path, hint)
	}
	_, _ = io.WriteString(w, `This program signs what a station reports and hands it to a gateway of the network.
It takes, at this address:

  GET  /weatherstation/updateweatherstation.php  Weather Underground
  POST /data/report/                             Ecowitt, Ambient Weather
  POST /v1/push-sensor-data/                     Sensor.Community
  POST /v2/geosubmit                             scans of cells and Wi-Fi, as Ichnaea took them
  POST /v1/tracks                                a recorded track with readings, GPX
  POST /v1/events                                what a detector saw from a car, JSON
`)
}

// untaken answers for a report that was understood.
func (s *Sidecar) untaken(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrTime) {
		s.refuse(w, r, err)
		return
	}
	s.cfg.Logger.Error("report not stored", "err", err)
	http.Error(w, "report is not stored: "+err.Error(), http.StatusServiceUnavailable)
}
