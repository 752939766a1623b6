package sidecar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// aprsFields are the fields of a weather report by their letter (APRS Protocol
// Reference 1.0.1, chapter 12): how many characters, and what they are. Rain is in
// hundredths of an inch, pressure in tenths of hPa.
var aprsFields = map[byte]struct {
	width int
	field
}{
	'c': {3, field{name: "wind_direction", unit: "deg", to: same}},
	's': {3, field{name: "wind_speed", unit: "m/s", to: perSecond}},
	'g': {3, field{name: "wind_gust", unit: "m/s", to: perSecond}},
	't': {3, field{name: "temperature", unit: "Cel", to: celsius}},
	'r': {3, field{name: "precipitation_hour", unit: "mm", to: hundredths}},
	'p': {3, field{name: "precipitation_24h", unit: "mm", to: hundredths}},
	'P': {3, field{name: "precipitation_day", unit: "mm", to: hundredths}},
	'h': {2, field{name: "humidity", unit: "%RH", to: func(v float64) float64 {
		if v == 0 {
			return 100
		}
		return v
	}}},
	'b': {5, field{name: "pressure_sea_level", unit: "hPa", to: func(v float64) float64 { return v / 10 }}},
	'L': {3, field{name: "illuminance", unit: "lx", to: lux}},
	'l': {3, field{name: "illuminance", unit: "lx", to: func(v float64) float64 { return lux(v + 1000) }}},
	'#': {3, field{}}, // counter of a rain gauge, in its own unit
}

func hundredths(inch float64) float64 { return milli(inch / 100) }

// APRS reads a weather packet as stations send it to CWOP. Its place is passed
// over; so is its time unless it is close, since most stations' clocks are not set.
func APRS(line string, now time.Time) ([]senml.Record, error) {
	_, info, ok := strings.Cut(line, ":")
	if !ok || info == "" {
		return nil, fmt.Errorf("%w: no packet, as CW0003>APRS,TCPIP*:…", ErrReport)
	}
	at, weather, err := aprsBody(info, now)
	if err != nil {
		return nil, err
	}
	// The wind of a report with a place is the symbol _ with direction/speed.
	if len(weather) >= 7 && weather[3] == '/' {
		weather = "c" + weather[:3] + "s" + weather[4:]
	}
	var out []senml.Record
	have := map[string]bool{}
	for len(weather) > 0 {
		f, known := aprsFields[weather[0]]
		if !known || len(weather) < 1+f.width {
			break // what follows is the name of the program
		}
		text := weather[1 : 1+f.width]
		weather = weather[1+f.width:]
		if v, ok := aprsNumber(text); ok && f.name != "" && !have[f.name] {
			have[f.name] = true
			out = append(out, f.record(at, v))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no weather in the packet", ErrReport)
	}
	return out, nil
}

// aprsBody finds the time of a packet and where its weather begins.
func aprsBody(info string, now time.Time) (time.Time, string, error) {
	now = now.UTC().Truncate(time.Second)
	rest := info[1:]
	at := now
	switch info[0] {
	case '@', '/':
		if len(rest) < 7 {
			return at, "", fmt.Errorf("%w: packet ends in its time", ErrReport)
		}
		at, rest = aprsTime(rest[:7], now), rest[7:]
	case '!', '=':
	case '_': // a report without a place, with month, day and time
		if len(rest) < 8 {
			return at, "", fmt.Errorf("%w: packet ends in its time", ErrReport)
		}
		return aprsTime(rest[2:8]+"z", now), rest[8:], nil
	default:
		return at, "", fmt.Errorf("%w: packet of type %q is no weather report", ErrReport, info[0])
	}
	const place = len("4903.50N/07201.75W_")
	if len(rest) < place || rest[place-1] != '_' {
		return at, "", fmt.Errorf("%w: no place with the symbol of a weather station", ErrReport)
	}
	return at, rest[place:], nil
}

// near is how far off a packet's time may be to be believed.
const near = 10 * time.Minute

// aprsTime reads day, hour and minute (z) or hour, minute and second (h) in UTC.
func aprsTime(text string, now time.Time) time.Time {
	n, err := strconv.Atoi(text[:6])
	if err != nil {
		return now
	}
	a, b, c := n/10000, n/100%100, n%100
	at := time.Date(now.Year(), now.Month(), a, b, c, 0, 0, time.UTC)
	if text[6] == 'h' {
		at = time.Date(now.Year(), now.Month(), now.Day(), a, b, c, 0, time.UTC)
	}
	if d := now.Sub(at); d < 0 || d > near {
		return now
	}
	return at
}

// aprsNumber reads a number of fixed width; dots and spaces stand for none.
func aprsNumber(text string) (float64, bool) {
	v, err := strconv.Atoi(text)
	return float64(v), err == nil && !math.Signbit(float64(v)) || err == nil && text[0] == '-'
}

// Limits of the door for APRS.
const (
	aprsLine    = 512 // bytes, as APRS-IS has it
	aprsClients = 32
	aprsIdle    = 15 * time.Minute
)

// ServeAPRS answers stations like a server of APRS-IS, to which they report for
// CWOP, until ctx ends. It closes the listener.
func (s *Sidecar) ServeAPRS(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, aprsClients)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept APRS: %w", err)
		}
		select {
		case free <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { _ = c.Close(); <-free }()
			done := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer done()
			if err := s.aprs(ctx, c); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
				s.cfg.Logger.Warn("APRS station left", "from", c.RemoteAddr(), "err", err)
			}
		})
	}
}

// aprs serves one station: a line to log in, then packets. A packet that is not
// understood is answered with the reason as a comment.
func (s *Sidecar) aprs(ctx context.Context, c net.Conn) error {
	if _, err := io.WriteString(c, "# grange\r\n"); err != nil {
		return err
	}
	known := false
	in := bufio.NewScanner(c)
	in.Buffer(make([]byte, aprsLine), aprsLine)
	for {
		_ = c.SetDeadline(time.Now().Add(aprsIdle))
		if !in.Scan() {
			return in.Err()
		}
		line := strings.TrimRight(in.Text(), "\r")
		answer := ""
		switch words := strings.Fields(line); {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case len(words) >= 2 && words[0] == "user":
			known = true
			answer = fmt.Sprintf("# logresp %.9s unverified, server GRANGE", words[1])
		case !known:
			answer = "# log in first: user CW0003 pass -1 vers program 1.0"
		default:
			records, err := APRS(line, s.cfg.Now())
			if err == nil {
				name, _, _ := strings.Cut(line, ">")
				err = s.admitted("CWOP", name, c.RemoteAddr().String())
			}
			if err == nil {
				err = s.take(ctx, records)
			}
			if err != nil {
				s.cfg.Logger.Warn("packet refused", "from", c.RemoteAddr(), "err", err)
				answer = "# " + err.Error()
			}
		}
		if answer == "" {
			continue
		}
		if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
			return err
		}
	}
}
