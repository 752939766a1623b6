package gnss

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// sat names a satellite.
type sat struct {
	system rtcm.System
	id     uint8
}

// sight is what a base observed of one satellite.
type sight struct {
	sat
	bands uint8 // set of bands
	dual  bool
	cnr   float32 // dB-Hz on L1 in sixteenths, 0 unknown
	code  float64 // metres on L1; NaN: not observed
	free  float64 // without ionosphere, or code
}

// sample is a minute, decoded.
type sample struct {
	start   int64
	seconds int
	age     uint32
	ofWeek  float64 // GPS time of the epoch
	sights  []sight // by system and satellite
	station *rtcm.Station
	prints  [][32]byte // of the observations, whatever the station's id
}

// mostOff is how far an epoch may be outside of its minute.
const mostOff = 5 * time.Second

// sampleOf decodes a minute; ok is false when its epoch is of another time or is
// none. Orbits in it are handed to publish.
func sampleOf(m Minute, publish func(rtcm.Ephemeris)) (s sample, ok bool) {
	s = sample{start: m.Start, seconds: bits.OnesCount64(m.Seconds), age: m.Age}
	start := time.Unix(m.Start, 0).UTC()
	at, found := epochTime(m.Sample, start)
	if !found || at.Before(start.Add(-mostOff)) || at.After(start.Add(time.Minute+mostOff)) {
		return s, false
	}
	s.ofWeek = orbit.SecondOfWeek(at)
	for _, raw := range m.Sample {
		f, err := frame(raw)
		if err != nil {
			return s, false // Decode refuses it before
		}
		switch {
		case place(f.Type):
			if st, err := rtcm.DecodeStation(f); err == nil {
				s.station = &st
			}
		case orbital(f.Type):
			if e, err := rtcm.DecodeEphemeris(f); err == nil && e.Healthy {
				publish(e)
			}
		default:
			if o, err := rtcm.DecodeMSM(f); err == nil {
				s.observe(o)
				s.prints = append(s.prints, printOf(f))
			}
		}
	}
	slices.SortStableFunc(s.sights, func(a, b sight) int {
		if a.system != b.system {
			return int(a.system) - int(b.system)
		}
		return int(a.id) - int(b.id)
	})
	s.sights = slices.CompactFunc(s.sights, func(a, b sight) bool { return a.sat == b.sat })
	return s, true
}

// printOf hashes a message without its station id, the 12 bits behind the number.
func printOf(f rtcm.Frame) [32]byte {
	p := slices.Clone(f.Payload)
	p[1] &= 0xF0
	p[2] = 0
	return sha256.Sum256(binary.BigEndian.AppendUint16(p, uint16(f.Type)))
}

func (s *sample) observe(m *rtcm.MSM) {
	for _, of := range m.Satellites {
		v := sight{sat: sat{m.System, uint8(of.ID)}, code: math.NaN(), free: math.NaN()}
		var other, ratio float64
		for _, g := range of.Signals {
			b := bandOf(m.System, g.ID)
			if b == noBand || math.IsNaN(g.Pseudorange) {
				continue
			}
			v.bands |= 1 << b
			if b == l1 && math.IsNaN(v.code) {
				v.code, v.cnr = g.Pseudorange, float32(g.CNR)
			}
			if r, ok := second(m.System, b); ok && other == 0 && (m.System != rtcm.BeiDou || of.Signals[0].ID < 8) {
				other, ratio = g.Pseudorange, r
			}
		}
		if v.free = v.code; other != 0 && !math.IsNaN(v.code) {
			v.free, v.dual = (float64(ratio*v.code)-other)/(ratio-1), true
		}
		if v.bands != 0 {
			s.sights = append(s.sights, v)
		}
	}
}

// view is a base's stream as one signer saw it.
type view struct {
	sensing.Station
	witness bool
	samples []sample // by time
	unread  int      // minutes whose epoch is of another time
}

// read decodes a signer's minutes of the window; the first of a minute counts.
func read(w sensing.Window, s sensing.Station, batches iter.Seq[*sensing.Batch], witness bool, publish func(rtcm.Ephemeris)) *view {
	v := &view{Station: s, witness: witness}
	have := map[int64]bool{}
	for b := range batches {
		if b.Content != Content {
			continue
		}
		m, err := Decode(b.Payload)
		if err != nil || (len(m.Base) != 0) != witness || have[m.Start] || !w.Holds(time.Unix(m.Start, 0)) {
			continue
		}
		have[m.Start] = true
		if got, ok := sampleOf(m, publish); ok {
			v.samples = append(v.samples, got)
		} else {
			v.unread++
		}
	}
	slices.SortFunc(v.samples, func(a, b sample) int { return int(a.start - b.start) })
	return v
}

// every is how many minutes there are to one that bases are compared with each other
// by. More would tell nothing: who copies a stream and changes it changes all of it.
const every = 5

// keep drops what only the judgement of a stream by itself needs.
func (v *view) keep() {
	var kept []sample
	for _, s := range v.samples {
		if s.start/60%every == 0 {
			s.sights, s.station = slices.Clone(s.sights), nil
			kept = append(kept, s)
		}
	}
	v.samples = kept
}

// place is where the base says it stands: its coordinates of most minutes.
func (v *view) place() (p [3]float64, ok bool) {
	count := map[[3]float64]int{}
	for _, s := range v.samples {
		if s.station == nil {
			continue
		}
		at := s.station.ECEF
		if r := orbit.Distance(at, [3]float64{}); r < 6.3e6 || r > 6.4e6 {
			continue
		}
		count[at]++
		if count[at] > count[p] || count[at] == count[p] && slices.Compare(at[:], p[:]) < 0 {
			p, ok = at, true
		}
	}
	return p, ok
}
