package gnsstest

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Rinex is a RINEX 2 observation file of GPS with L1, C1, L2, P2.
type Rinex struct {
	Place  [3]float64 // header's approximate position
	Epochs []RinexEpoch
}

// RinexEpoch is one epoch of a file; Time is GPS time written as UTC.
type RinexEpoch struct {
	Time       time.Time
	Satellites []rtcm.Satellite
}

// wavelengths of L1 and L2 in metres.
const (
	lambda1 = 299792458.0 / 1575.42e6
	lambda2 = 299792458.0 / 1227.60e6
)

// ReadRinex reads the first epochs of a file.
func ReadRinex(in io.Reader) (*Rinex, error) {
	s := bufio.NewScanner(in)
	r := &Rinex{}
	offsets := map[[2]int]float64{}
	for s.Scan() {
		line := s.Text()
		if strings.Contains(line, "APPROX POSITION XYZ") {
			if _, err := fmt.Sscan(line[:42], &r.Place[0], &r.Place[1], &r.Place[2]); err != nil {
				return nil, err
			}
		}
		if strings.Contains(line, "END OF HEADER") {
			break
		}
	}
	for s.Scan() {
		head := s.Text()
		if len(head) < 32 || strings.TrimSpace(head[28:29]) != "0" {
			break // an event: what follows is not needed
		}
		var f [5]int
		for i := range f {
			f[i], _ = strconv.Atoi(strings.TrimSpace(head[1+3*i : 3+3*i]))
		}
		sec, err := strconv.ParseFloat(strings.TrimSpace(head[15:26]), 64)
		n, err2 := strconv.Atoi(strings.TrimSpace(head[29:32]))
		if err != nil || err2 != nil || n > 12 {
			return nil, fmt.Errorf("epoch %q", head)
		}
		e := RinexEpoch{Time: time.Date(2000+f[0], time.Month(f[1]), f[2], f[3], f[4], 0, 0, time.UTC).Add(time.Duration(math.Round(sec*1000)) * time.Millisecond)}
		for i := range n {
			if !s.Scan() {
				return nil, io.ErrUnexpectedEOF
			}
			id, _ := strconv.Atoi(strings.TrimSpace(head[33+3*i : 35+3*i]))
			if sat, ok := satellite(id, s.Text(), offsets); ok && head[32+3*i] == 'G' {
				e.Satellites = append(e.Satellites, sat)
			}
		}
		r.Epochs = append(r.Epochs, e)
	}
	return r, s.Err()
}

// unbroken is the lock time of phases without a slip.
const unbroken = 600

// satellite reads one line. A file's phase has an offset of its own; a message keeps
// it near the code, by the same whole cycles for ever.
func satellite(id int, line string, offsets map[[2]int]float64) (rtcm.Satellite, bool) {
	line += strings.Repeat(" ", 80)
	var v [4]float64
	for i := range v {
		var err error
		if v[i], err = strconv.ParseFloat(strings.TrimSpace(line[16*i:16*i+14]), 64); err != nil {
			return rtcm.Satellite{}, false
		}
	}
	near := func(signal int, cycles, wave, code float64) float64 {
		k := [2]int{id, signal}
		if _, known := offsets[k]; !known || math.Abs(cycles*wave+offsets[k]-code) > 500 {
			offsets[k] = math.Round((code-cycles*wave)/wave) * wave
		}
		return cycles*wave + offsets[k]
	}
	strength := func(i int) float64 {
		n, _ := strconv.Atoi(line[16*i+15 : 16*i+16])
		return float64(6 * n) // the digit's least dB-Hz (RINEX 2.10, table A1: 6 a step)
	}
	return rtcm.Satellite{ID: id, Range: v[1], Signals: []rtcm.Signal{
		{ID: 2, Pseudorange: v[1], Phase: near(2, v[0], lambda1, v[1]), CNR: strength(0), Lock: unbroken},
		{ID: 9, Pseudorange: v[3], Phase: near(9, v[2], lambda2, v[3]), CNR: strength(2), Lock: unbroken},
	}}, true
}

// ReadNavigation reads a RINEX 2 GPS navigation file.
func ReadNavigation(in io.Reader) ([]rtcm.Ephemeris, error) {
	s := bufio.NewScanner(in)
	for s.Scan() && !strings.Contains(s.Text(), "END OF HEADER") {
	}
	var out []rtcm.Ephemeris
	for s.Scan() {
		lines := []string{s.Text()}
		for range 7 {
			if !s.Scan() {
				return nil, io.ErrUnexpectedEOF
			}
			lines = append(lines, s.Text())
		}
		e, err := ephemeris(lines)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, s.Err()
}

func ephemeris(lines []string) (e rtcm.Ephemeris, err error) {
	v := func(line, field int) float64 {
		l := lines[line] + strings.Repeat(" ", 80)
		text := strings.ReplaceAll(strings.TrimSpace(l[3+19*field:22+19*field]), "D", "e")
		x, bad := strconv.ParseFloat(text, 64)
		if bad != nil && err == nil && text != "" {
			err = fmt.Errorf("field %q", text)
		}
		return x
	}
	head := strings.Fields(lines[0][:22])
	id, _ := strconv.Atoi(head[0])
	clock := func(i int) int { n, _ := strconv.Atoi(head[i]); return n }
	e = rtcm.Ephemeris{
		System: rtcm.GPS, Satellite: id, Af0: v(0, 1), Af1: v(0, 2), Af2: v(0, 3),
		Issue: int(v(1, 0)), Crs: v(1, 1), DeltaN: v(1, 2), M0: v(1, 3), Cuc: v(2, 0), Ecc: v(2, 1), Cus: v(2, 2), SqrtA: v(2, 3),
		Toe: v(3, 0), Cic: v(3, 1), Omega0: v(3, 2), Cis: v(3, 3), I0: v(4, 0), Crc: v(4, 1), Omega: v(4, 2), OmegaDot: v(4, 3),
		IDot: v(5, 0), Week: int(v(5, 2)), Healthy: v(6, 1) == 0, GroupDelay: v(6, 2),
	}
	toc := time.Date(2000+clock(1), time.Month(clock(2)), clock(3), clock(4), clock(5), 0, 0, time.UTC)
	e.Toc = math.Mod(toc.Sub(time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)).Seconds(), 7*24*3600)
	return e, err
}
