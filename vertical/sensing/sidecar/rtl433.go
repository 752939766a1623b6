package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// rtlFields are rtl_433's fields (its docs/DATA_FORMAT.md) in the order of
// preference.
var rtlFields = []field{
	{"temperature_C", "temperature", "Cel", same},
	{"temperature_F", "temperature", "Cel", celsius},
	{"humidity", "humidity", "%RH", same},
	{"wind_avg_m_s", "wind_speed", "m/s", same},
	{"wind_avg_km_h", "wind_speed", "m/s", func(v float64) float64 { return v / 3.6 }},
	{"wind_avg_mi_h", "wind_speed", "m/s", perSecond},
	{"wind_max_m_s", "wind_gust", "m/s", same},
	{"wind_dir_deg", "wind_direction", "deg", same},
	{"rain_mm", "precipitation_accumulated", "mm", same},
	{"rain_in", "precipitation_accumulated", "mm", milli},
	{"pressure_hPa", "pressure", "hPa", same},
	{"pressure_kPa", "pressure", "hPa", func(v float64) float64 { return v * 10 }},
	{"light_lux", "illuminance", "lx", same},
	{"pm1_ug_m3", "pm1_0", "ug/m3", same},
	{"pm2_5_ug_m3", "pm2_5", "ug/m3", same},
	{"pm10_ug_m3", "pm10", "ug/m3", same},
	{"pm10_0_ug_m3", "pm10", "ug/m3", same},
	{"co2_ppm", "co2", "ppm", same},
}

// Sensors say which of the transmitters in reach are one's own: rtl_433 hears the
// neighbours' too. It is safe for concurrent use.
type Sensors struct {
	own []string

	mu   sync.Mutex
	last map[string]time.Time // when what each said was taken
}

// repeat is the time within which a sensor says the same again.
const repeat = 10 * time.Second

// NewSensors names sensors as MODEL/ID.
func NewSensors(names ...string) (*Sensors, error) {
	if len(names) == 0 {
		return nil, errors.New("no sensors are named: give MODEL/ID as rtl_433 prints them")
	}
	for _, n := range names {
		if model, id, ok := strings.Cut(n, "/"); !ok || model == "" || id == "" {
			return nil, fmt.Errorf("sensor %.60q, want MODEL/ID as rtl_433 prints them", n)
		}
	}
	return &Sensors{own: names, last: map[string]time.Time{}}, nil
}

// Read reads one line of JSON. It returns nothing for a sensor of somebody else,
// and for what a sensor repeats.
func (s *Sensors) Read(line []byte, now time.Time) ([]senml.Record, error) {
	var report map[string]json.RawMessage
	if err := json.Unmarshal(line, &report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	name := fmt.Sprintf("%s/%s", bytes.Trim(report["model"], `"`), bytes.Trim(report["id"], `"`))
	if !slices.Contains(s.own, name) {
		return nil, nil
	}
	if !s.fresh(name, now) {
		return nil, nil
	}
	// The time is left: it is that of a clock which says not where it is.
	at := now.UTC().Truncate(time.Second)
	var out []senml.Record
	have := map[string]bool{}
	for _, f := range rtlFields {
		raw, there := report[f.param]
		if !there || have[f.name] {
			continue
		}
		var v float64
		if err := json.Unmarshal(raw, &v); err != nil || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: %s=%.20q is not a number", ErrReport, f.param, raw)
		}
		have[f.name] = true
		out = append(out, f.record(at, v))
	}
	return out, nil
}

// fresh reports whether what a sensor says is not what it said just now, and notes
// when it was heard.
func (s *Sensors) fresh(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heard, again := s.last[name]; again && now.Sub(heard) < repeat {
		return false
	}
	s.last[name] = now
	return true
}

// rtlLine is the most bytes of a line, in UDP of a datagram.
const rtlLine = 8 << 10

// ReadSensors takes rtl_433's JSON, a line for each message (-F json), until the
// input or ctx ends. The end of ctx does not end a read that waits.
func (s *Sidecar) ReadSensors(ctx context.Context, in io.Reader, own *Sensors) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, rtlLine), rtlLine)
	for lines.Scan() {
		if ctx.Err() != nil {
			return nil
		}
		s.heard(ctx, lines.Bytes(), own)
	}
	return lines.Err()
}

// ServeSensors takes rtl_433's messages by UDP (-F syslog:HOST:PORT) until ctx
// ends. It closes the connection.
func (s *Sidecar) ServeSensors(ctx context.Context, c net.PacketConn, own *Sensors) error {
	return datagrams(ctx, c, func(b []byte) { s.heard(ctx, b, own) })
}

// datagrams calls f with each until ctx ends.
func datagrams(ctx context.Context, c net.PacketConn, f func([]byte)) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	b := make([]byte, rtlLine)
	for {
		n, _, err := c.ReadFrom(b)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read UDP: %w", err)
		}
		f(b[:n])
	}
}

// heard signs what one message says. What precedes the JSON is syslog's.
func (s *Sidecar) heard(ctx context.Context, message []byte, own *Sensors) {
	from := bytes.IndexByte(message, '{')
	if from < 0 {
		return
	}
	records, err := own.Read(message[from:], s.cfg.Now())
	if err == nil && len(records) > 0 {
		err = s.take(ctx, records)
	}
	if err != nil {
		s.cfg.Logger.Warn("message of a sensor refused", "err", err)
	}
}
