// Package gnsstest makes RTCM 3 frames for tests of GNSS bases: an encoder of the
// messages that package rtcm reads, a reader of RINEX 2 files, and a sky of made-up
// satellites over a place.
package gnsstest

import (
	"math"
	"math/bits"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// writer writes big-endian fields.
type writer struct {
	p []byte
	n int
}

func (w *writer) put(v uint64, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.p = append(w.p, 0)
		}
		if v>>i&1 == 1 {
			w.p[w.n/8] |= 0x80 >> (w.n % 8)
		}
		w.n++
	}
}

func (w *writer) int(v float64, power, bits int) {
	w.put(uint64(int64(math.Round(math.Ldexp(v, -power))))&(1<<bits-1), bits)
}

func (w *writer) angle(v float64, power, bits int) { w.int(v/math.Pi, power, bits) }

func (w *writer) frame() []byte {
	raw, err := rtcm.Encode(w.p)
	if err != nil {
		panic(err) // messages made here have the right size
	}
	return raw
}

var first = map[rtcm.System]int{rtcm.GPS: 1070, rtcm.GLONASS: 1080, rtcm.Galileo: 1090, rtcm.SBAS: 1100, rtcm.QZSS: 1110, rtcm.BeiDou: 1120}

// MSM encodes observations as MSM4 or MSM7, as m.Kind says.
func MSM(m rtcm.MSM) []byte {
	w := &writer{}
	w.put(uint64(first[m.System]+m.Kind), 12)
	w.put(uint64(m.Station), 12)
	if m.System == rtcm.GLONASS {
		w.put(uint64(max(m.Day, 0)), 3)
		w.put(uint64(m.Epoch.Milliseconds()), 27)
	} else {
		w.put(uint64(m.Epoch.Milliseconds()), 30)
	}
	more := uint64(0)
	if m.More {
		more = 1
	}
	w.put(more, 1)
	w.put(0, 18)
	var sats uint64
	var sigs uint32
	for _, s := range m.Satellites {
		sats |= 1 << (64 - s.ID)
		for _, g := range s.Signals {
			sigs |= 1 << (32 - g.ID)
		}
	}
	w.put(sats, 64)
	w.put(uint64(sigs), 32)
	var all []rtcm.Signal
	var of []*rtcm.Satellite
	for i := range m.Satellites {
		s := &m.Satellites[i]
		k := 0
		for id := 1; id <= 32; id++ {
			if sigs>>(32-id)&1 == 0 {
				continue
			}
			if k < len(s.Signals) && s.Signals[k].ID == id {
				all, of = append(all, s.Signals[k]), append(of, s)
				w.put(1, 1)
				k++
			} else {
				w.put(0, 1)
			}
		}
	}
	if len(m.Satellites)*bits.OnesCount32(sigs) > 64 {
		panic("more than 64 cells")
	}
	w.cells(m, all, of)
	return w.frame()
}

const ms = 299792.458 // metres of light in a millisecond

// rough is a range in 1/1024 ms.
func rough(r float64) uint64 { return uint64(math.Round(r / ms * 1024)) }

func (w *writer) cells(m rtcm.MSM, all []rtcm.Signal, of []*rtcm.Satellite) {
	for _, s := range m.Satellites {
		w.put(rough(s.Range)>>10, 8)
	}
	if m.Kind == 7 {
		for range m.Satellites {
			w.put(0, 4)
		}
	}
	for _, s := range m.Satellites {
		w.put(rough(s.Range)&1023, 10)
	}
	if m.Kind == 7 {
		for range m.Satellites {
			w.put(1<<13, 14) // no rate
		}
	}
	code, codeScale, phase, phaseScale, lock, cnr, unit := 20, -29, 24, -31, 10, 10, 1.0/16
	if m.Kind == 4 {
		code, codeScale, phase, phaseScale, lock, cnr, unit = 15, -24, 22, -29, 4, 6, 1
	}
	base := func(s *rtcm.Satellite) float64 { return float64(rough(s.Range)) / 1024 * ms }
	for i, g := range all {
		w.int((g.Pseudorange-base(of[i]))/ms, codeScale, code)
	}
	for i, g := range all {
		w.int((g.Phase-base(of[i]))/ms, phaseScale, phase)
	}
	for _, g := range all {
		w.put(uint64(min(g.Lock, 1<<lock-1)), lock)
	}
	for range all {
		w.put(0, 1)
	}
	for _, g := range all {
		w.put(uint64(math.Round(g.CNR/unit)), cnr)
	}
	if m.Kind == 7 {
		for range all {
			w.put(1<<14, 15)
		}
	}
}

// Station encodes message 1005.
func Station(id int, place [3]float64) []byte {
	w := &writer{}
	w.put(1005, 12)
	w.put(uint64(id), 12)
	w.put(0, 6)
	w.put(7, 3) // GPS, GLONASS, Galileo
	w.put(0, 1)
	for i, v := range place {
		w.put(uint64(int64(math.Round(v*1e4)))&(1<<38-1), 38)
		if i < 2 {
			w.put(0, 2)
		}
	}
	return w.frame()
}

// Orbit encodes an ephemeris: 1019, 1042 or 1045.
func Orbit(e rtcm.Ephemeris) []byte {
	w := &writer{}
	switch e.System {
	case rtcm.GPS:
		w.put(1019, 12)
		w.put(uint64(e.Satellite), 6)
		w.put(uint64(e.Week%1024), 10)
		w.put(0, 6)
		w.angle(e.IDot, -43, 14)
		w.put(uint64(e.Issue), 8)
		w.clock(e, 16, 16, -55, 8, -43, 16, -31, 22)
		w.put(0, 10)
		w.orbit(e, 16, 16, -29, -5, 16)
		w.int(e.GroupDelay, -31, 8)
		w.put(0, 8)
	case rtcm.BeiDou:
		w.put(1042, 12)
		w.put(uint64(e.Satellite), 6)
		w.put(uint64(e.Week%8192), 13)
		w.put(0, 4)
		w.angle(e.IDot, -43, 14)
		w.put(uint64(e.Issue%32), 5)
		w.clock(e, 8, 17, -66, 11, -50, 22, -33, 24)
		w.put(0, 5)
		w.orbit(e, 8, 18, -31, -6, 17)
		w.put(0, 21)
	default:
		w.put(1045, 12)
		w.put(uint64(e.Satellite), 6)
		w.put(uint64(e.Week%4096), 12)
		w.put(uint64(e.Issue), 10)
		w.put(0, 8)
		w.angle(e.IDot, -43, 14)
		w.clock(e, 60, 14, -59, 6, -46, 21, -34, 31)
		w.orbit(e, 60, 16, -29, -5, 14)
		w.put(0, 20)
	}
	return w.frame()
}

func (w *writer) clock(e rtcm.Ephemeris, step float64, toc, s2, b2, s1, b1, s0, b0 int) {
	w.put(uint64(math.Round(e.Toc/step)), toc)
	w.int(e.Af2, s2, b2)
	w.int(e.Af1, s1, b1)
	w.int(e.Af0, s0, b0)
}

func (w *writer) orbit(e rtcm.Ephemeris, step float64, bits, scale, radius, toe int) {
	w.int(e.Crs, radius, bits)
	w.angle(e.DeltaN, -43, 16)
	w.angle(e.M0, -31, 32)
	w.int(e.Cuc, scale, bits)
	w.int(e.Ecc, -33, 32)
	w.int(e.Cus, scale, bits)
	w.int(e.SqrtA, -19, 32)
	w.put(uint64(math.Round(e.Toe/step)), toe)
	w.int(e.Cic, scale, bits)
	w.angle(e.Omega0, -31, 32)
	w.int(e.Cis, scale, bits)
	w.angle(e.I0, -31, 32)
	w.int(e.Crc, radius, bits)
	w.angle(e.Omega, -31, 32)
	w.angle(e.OmegaDot, -43, 24)
}
