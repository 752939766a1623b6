package sidecar

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Limits of a track.
const (
	maxTrack  = 4 << 20 // bytes
	maxPoints = 50_000
)

// trackNames are the names under which programs put readings into the extensions
// of a track's points; units are ours.
var trackNames = map[string]field{
	"laeq": {name: "laeq", unit: "dB", to: same}, "noise": {name: "laeq", unit: "dB", to: same}, "dba": {name: "laeq", unit: "dB", to: same},
	"pm1": {name: "pm1_0", unit: "ug/m3", to: same}, "pm25": {name: "pm2_5", unit: "ug/m3", to: same}, "pm2_5": {name: "pm2_5", unit: "ug/m3", to: same},
	"pm10": {name: "pm10", unit: "ug/m3", to: same}, "no2": {name: "no2", unit: "ug/m3", to: same}, "o3": {name: "o3", unit: "ug/m3", to: same},
	"co2": {name: "co2", unit: "ppm", to: same}, "humidity": {name: "humidity", unit: "%RH", to: same},
	"temperature": {name: "temperature", unit: "Cel", to: same}, "atemp": {name: "temperature", unit: "Cel", to: same},
	"speed": {name: "speed", unit: "m/s", to: same}, "accuracy": {name: "accuracy", unit: "m", to: same},
}

// GPX reads a track (GPX 1.0 or 1.1) whose points have readings in their
// extensions. Points without a time or without readings are passed over; there is
// one slice of readings for each of the others.
func GPX(raw []byte) ([][]senml.Record, error) {
	if len(raw) > maxTrack {
		return nil, fmt.Errorf("%w of at most %d bytes", errLong, maxTrack)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("want UTF-8") }
	var out [][]senml.Record
	points := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReport, err)
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "trkpt" {
			continue
		}
		if points++; points > maxPoints {
			return nil, fmt.Errorf("%w: more than %d points", ErrReport, maxPoints)
		}
		p, err := gpxPoint(d, start)
		if err != nil {
			return nil, fmt.Errorf("%w: point %d: %w", ErrReport, points, err)
		}
		if p != nil {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: of %d points none has a time and a reading, as laeq or pm25 in its extensions", ErrReport, points)
	}
	return out, nil
}

// gpxPoint reads a point; nothing without a time or a reading.
func gpxPoint(d *xml.Decoder, start xml.StartElement) ([]senml.Record, error) {
	var out []senml.Record
	add := func(f field, text string) error {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s=%.20q is not a number", f.name, text)
		}
		out = append(out, senml.Record{Name: f.name, Unit: f.unit, Value: math.Round(f.to(v)*1e5) / 1e5})
		return nil
	}
	for _, a := range start.Attr {
		if f, ok := map[string]field{"lat": {name: "latitude", unit: "lat", to: same}, "lon": {name: "longitude", unit: "lon", to: same}}[a.Name.Local]; ok {
			if err := add(f, a.Value); err != nil {
				return nil, err
			}
		}
	}
	var at time.Time
	readings := 0
	text := ""
	for depth := 1; depth > 0; {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			text = ""
		case xml.CharData:
			text += string(t[:min(len(t), maxText-len(text))])
		case xml.EndElement:
			depth--
			name := strings.ToLower(t.Name.Local)
			f, known := trackNames[name]
			switch {
			case name == "time" && at.IsZero():
				if at, err = time.Parse(time.RFC3339, strings.TrimSpace(text)); err != nil {
					return nil, fmt.Errorf("time %.40q, want 2006-01-02T15:04:05Z", text)
				}
			case name == "ele":
				err = add(field{name: "altitude", unit: "m", to: same}, text)
			case known && strings.TrimSpace(text) != "":
				if err = add(f, text); f.name != "speed" && f.name != "accuracy" {
					readings++
				}
			}
			if err != nil {
				return nil, err
			}
			text = ""
		}
	}
	if at.IsZero() || readings == 0 {
		return nil, nil
	}
	for i := range out {
		out[i].Time = at.UTC().Truncate(time.Millisecond)
	}
	return out, nil
}

// maxText is more than a number or a time takes; of longer texts the end is not
// kept, since they are joined of as many parts as their writer likes.
const maxText = 256

// perBatch is how many readings of a track are signed together.
const perBatch = 500

// Track signs the readings of a track, point by point in batches, but for those in
// hidden places, which it counts.
func (s *Sidecar) Track(ctx context.Context, points [][]senml.Record) (hidden int, err error) {
	all := len(points)
	points = slices.DeleteFunc(slices.Clone(points), s.hides)
	hidden = all - len(points)
	var batch []senml.Record
	for i, p := range points {
		batch = append(batch, p...)
		if i == len(points)-1 || len(batch)+len(points[i+1]) > perBatch {
			if _, err := s.Report(ctx, batch); err != nil {
				return hidden, err
			}
			batch = nil
		}
	}
	return hidden, nil
}

// hides reports whether readings were made in a hidden place.
func (s *Sidecar) hides(records []senml.Record) bool {
	lat, lon := named(records, "latitude"), named(records, "longitude")
	return lat != nil && lon != nil && s.cfg.Hidden.Hold(lat.Value, lon.Value)
}
