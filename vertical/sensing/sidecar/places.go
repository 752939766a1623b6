package sidecar

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/adrianmo/go-nmea"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Places is where a sensor that moves was of late, as a receiver tells in NMEA. It
// is safe for concurrent use.
type Places struct {
	mu    sync.Mutex
	at    time.Time // when it was told
	place []senml.Record
	fix   Fix
	goes  bool // the fix has heading and speed
}

// Fix is where a receiver is and which way it goes. Heading and Speed are NaN until
// they are told.
type Fix struct {
	Lat, Lon float64 // degrees
	Heading  float64 // degrees clockwise from north
	Speed    float64 // m/s
}

// Fix is the place told last; ok is false when that is long ago.
func (p *Places) Fix(now time.Time) (f Fix, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f = p.fix; !p.goes {
		f.Heading, f.Speed = math.NaN(), math.NaN()
	}
	return f, !p.at.IsZero() && now.Sub(p.at) <= fresh
}

// Parameters of places.
const (
	fresh        = 10 * time.Second // how old a place may be
	perDilution  = 5.0              // metres of accuracy for a dilution of 1
	knots        = 0.514444         // m/s
	invalidRMC   = "V"
	noFixQuality = "0"
)

// Sentence reads a line of NMEA 0183: GGA tells place, altitude and accuracy, RMC
// the speed; others are passed over.
func (p *Places) Sentence(line string, now time.Time) error {
	s, err := nmea.Parse(strings.TrimSpace(line))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReport, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := s.(type) {
	case nmea.GGA:
		if m.FixQuality == noFixQuality || !(math.Abs(m.Latitude) <= 90 && math.Abs(m.Longitude) <= 180) {
			return nil
		}
		p.at, p.fix.Lat, p.fix.Lon = now, m.Latitude, m.Longitude
		p.set("latitude", "lat", m.Latitude)
		p.set("longitude", "lon", m.Longitude)
		p.set("altitude", "m", m.Altitude)
		p.set("accuracy", "m", m.HDOP*perDilution)
	case nmea.RMC:
		if m.Validity != invalidRMC {
			if p.goes = m.Course >= 0 && m.Course <= 360 && m.Speed >= 0 && m.Speed*knots <= 200; p.goes {
				p.fix.Heading, p.fix.Speed = m.Course, m.Speed*knots
			}
			p.set("speed", "m/s", m.Speed*knots)
		}
	}
	return nil
}

// set replaces a reading of the place. Five decimals of a degree are a metre.
func (p *Places) set(name, unit string, v float64) {
	r := senml.Record{Name: name, Unit: unit, Value: math.Round(v*1e5) / 1e5}
	for i := range p.place {
		if p.place[i].Name == name {
			p.place[i] = r
			return
		}
	}
	p.place = append(p.place, r)
}

// With adds the place to readings that were made just now.
func (p *Places) With(records []senml.Record, now time.Time) []senml.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(records) == 0 || p.at.IsZero() || now.Sub(p.at) > fresh {
		return records
	}
	for _, r := range p.place {
		r.Time = records[0].Time
		records = append(records, r)
	}
	return records
}

// placed adds the place of a sidecar that moves.
func (s *Sidecar) placed(records []senml.Record) []senml.Record {
	return s.places.With(records, s.cfg.Now())
}

// ServePlaces follows NMEA that comes by UDP until ctx ends. It closes the
// connection.
func (s *Sidecar) ServePlaces(ctx context.Context, c net.PacketConn) error {
	return datagrams(ctx, c, func(b []byte) {
		for line := range strings.SplitSeq(string(b), "\n") {
			s.located(line)
		}
	})
}

func (s *Sidecar) located(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	if err := s.places.Sentence(line, s.cfg.Now()); err != nil {
		s.cfg.Logger.Debug("NMEA passed over", "err", err)
	}
}
