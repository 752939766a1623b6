package rtcm

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// System is a satellite navigation system.
type System byte

// The systems, named by their letters in RINEX.
const (
	GPS     System = 'G'
	GLONASS System = 'R'
	Galileo System = 'E'
	SBAS    System = 'S'
	QZSS    System = 'J'
	BeiDou  System = 'C'
)

var systems = [...]System{GPS, GLONASS, Galileo, SBAS, QZSS, BeiDou}

// speedOfLight in m/s.
const speedOfLight = 299792458.0

// lightMillisecond is how far light goes in a millisecond, in metres.
const lightMillisecond = speedOfLight / 1000

// MSM is one message of satellite observations of one system.
type MSM struct {
	System     System
	Kind       int // 4, 5, 6 or 7
	Station    int
	Epoch      time.Duration // in the system's week; GLONASS: in the day
	Day        int           // GLONASS: day of the week, 7 unknown; else -1
	More       bool          // further messages of the same epoch follow
	Satellites []Satellite
}

// Satellite is what is observed of one satellite.
type Satellite struct {
	ID        int     // 1..64 in the system
	Range     float64 // rough, metres; NaN: unknown
	RangeRate float64 // rough, m/s; NaN: not given
	Extended  int     // of MSM5 and MSM7; GLONASS: frequency channel + 7
	Signals   []Signal
}

// Signal is one observed signal.
type Signal struct {
	ID          int     // 1..32, the system's table of signals
	Pseudorange float64 // metres; NaN: unknown
	Phase       float64 // metres; NaN: unknown
	CNR         float64 // dB-Hz; 0: unknown
	RangeRate   float64 // m/s; NaN: not given
	Lock        int     // lock time indicator
	HalfCycle   bool    // phase may be off by half a cycle
}

// width is how many bits the fields of a signal have, and the scale of the
// ranges in 2^-n milliseconds.
type width struct {
	code, phase, lock, cnr, rate int
	codeScale, phaseScale        int
	cnrUnit                      float64
}

var widths = map[int]width{
	4: {15, 22, 4, 6, 0, 24, 29, 1},
	5: {15, 22, 4, 6, 15, 24, 29, 1},
	6: {20, 24, 10, 10, 0, 29, 31, 1.0 / 16},
	7: {20, 24, 10, 10, 15, 29, 31, 1.0 / 16},
}

// MSMOf returns the system and the kind, 1 to 7, of a message number; ok is
// false if it is not an MSM.
func MSMOf(number int) (s System, kind int, ok bool) {
	i, kind := (number-1070)/10, (number-1070)%10
	if number < 1070 || i >= len(systems) || kind < 1 || kind > 7 {
		return 0, 0, false
	}
	return systems[i], kind, true
}

// DecodeMSM reads MSM4 to MSM7.
func DecodeMSM(f Frame) (*MSM, error) {
	system, kind, ok := MSMOf(f.Type)
	w, known := widths[kind]
	if !ok || !known {
		return nil, fmt.Errorf("decode message %d: want MSM4 to MSM7", f.Type)
	}
	b := &bitReader{p: f.Payload}
	b.uint(12)
	m := &MSM{System: system, Kind: kind, Station: int(b.uint(12)), Day: -1}
	if system == GLONASS {
		m.Day = int(b.uint(3))
		m.Epoch = time.Duration(b.uint(27)) * time.Millisecond
	} else {
		m.Epoch = time.Duration(b.uint(30)) * time.Millisecond
	}
	m.More = b.flag()
	b.uint(3 + 7 + 2 + 2 + 1 + 3) // issue, reserved, clocks, smoothing
	cells, err := m.masks(b)
	if err != nil {
		return nil, fmt.Errorf("%w: message %d %w", ErrMalformed, f.Type, err)
	}
	m.readSatellites(b)
	readSignals(b, w, cells)
	return m, b.err(f)
}

// cell is one signal with its satellite.
type cell struct {
	sat    *Satellite
	signal *Signal
}

// masks makes the satellites and signals that the masks announce.
func (m *MSM) masks(b *bitReader) ([]cell, error) {
	satellites, signals := b.uint(64), uint32(b.uint(32))
	nsat, nsig := bits.OnesCount64(satellites), bits.OnesCount32(signals)
	if nsat*nsig > 64 {
		return nil, fmt.Errorf("has %d satellites x %d signals, want at most 64 cells", nsat, nsig)
	}
	m.Satellites = make([]Satellite, 0, nsat)
	for i := range 64 {
		if satellites>>(63-i)&1 == 0 {
			continue
		}
		s := Satellite{ID: i + 1, RangeRate: math.NaN()}
		for j := range 32 {
			if signals>>(31-j)&1 == 1 && b.flag() {
				s.Signals = append(s.Signals, Signal{ID: j + 1, RangeRate: math.NaN()})
			}
		}
		m.Satellites = append(m.Satellites, s)
	}
	var cells []cell
	for i := range m.Satellites {
		s := &m.Satellites[i]
		for j := range s.Signals {
			cells = append(cells, cell{s, &s.Signals[j]})
		}
	}
	return cells, nil
}

func (m *MSM) readSatellites(b *bitReader) {
	rates := m.Kind == 5 || m.Kind == 7
	for i := range m.Satellites {
		m.Satellites[i].Range = math.NaN()
		if whole := b.uint(8); whole != 255 {
			m.Satellites[i].Range = float64(whole) * lightMillisecond
		}
	}
	if rates {
		for i := range m.Satellites {
			m.Satellites[i].Extended = int(b.uint(4))
		}
	}
	for i := range m.Satellites {
		m.Satellites[i].Range += float64(float64(b.uint(10)) / 1024 * lightMillisecond)
	}
	if rates {
		for i := range m.Satellites {
			if v, ok := optional(b, 14); ok {
				m.Satellites[i].RangeRate = float64(v)
			}
		}
	}
}

// optional reads a field whose least value means that there is none.
func optional(b *bitReader, n int) (int64, bool) {
	v := b.int(n)
	return v, v != -1<<(n-1)
}

func readSignals(b *bitReader, w width, cells []cell) {
	fine := func(bits, scale int, to func(*Signal) *float64) {
		for _, c := range cells {
			v, ok := optional(b, bits)
			if *to(c.signal) = math.NaN(); ok {
				*to(c.signal) = c.sat.Range + float64(math.Ldexp(float64(v), -scale)*lightMillisecond)
			}
		}
	}
	fine(w.code, w.codeScale, func(s *Signal) *float64 { return &s.Pseudorange })
	fine(w.phase, w.phaseScale, func(s *Signal) *float64 { return &s.Phase })
	for _, c := range cells {
		c.signal.Lock = int(b.uint(w.lock))
	}
	for _, c := range cells {
		c.signal.HalfCycle = b.flag()
	}
	for _, c := range cells {
		c.signal.CNR = float64(b.uint(w.cnr)) * w.cnrUnit
	}
	if w.rate == 0 {
		return
	}
	for _, c := range cells {
		if v, ok := optional(b, w.rate); ok {
			c.signal.RangeRate = c.sat.RangeRate + float64(float64(v)*1e-4)
		}
	}
}

// More reports whether further messages of the same epoch follow an observation
// message (MSM's multiple message bit, the synchronous flag of 1001 to 1012).
func More(f Frame) bool {
	b := &bitReader{p: f.Payload}
	switch {
	case f.Type >= 1001 && f.Type <= 1004:
		b.uint(12 + 12 + 30)
	case f.Type >= 1009 && f.Type <= 1012:
		b.uint(12 + 12 + 27)
	default:
		b.uint(12 + 12 + 30)
	}
	return b.flag()
}
