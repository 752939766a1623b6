package rtcm

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-gnss/rtcm/rtcm3"
)

// captures are the excerpts in testdata and, when present, the whole files.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{"testdata", "../../../../shared/data/gnss"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.rtcm3"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(f)] = raw
		}
	}
	if len(out) == 0 {
		t.Fatal("no captures in testdata")
	}
	return out
}

func frames(t testing.TB, raw []byte) []Frame {
	t.Helper()
	var out []Frame
	s := NewScanner(bytes.NewReader(raw))
	for {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Raw = bytes.Clone(f.Raw)
		f.Payload = f.Raw[3 : len(f.Raw)-3]
		out = append(out, f)
	}
}

// Another decoder finds the same frames with the same content.
func TestCrossCheck(t *testing.T) {
	for name, raw := range captures(t) {
		t.Run(name, func(t *testing.T) {
			other := rtcm3.NewScanner(bytes.NewReader(raw))
			count := map[int]int{}
			for i, f := range frames(t, raw) {
				theirs, err := other.NextFrame()
				if err != nil {
					t.Fatalf("frame %d: the other decoder says %v", i, err)
				}
				if !bytes.Equal(theirs.Payload, f.Payload) {
					t.Fatalf("frame %d: payload %x, want %x", i, f.Payload, theirs.Payload)
				}
				count[f.Type]++
				same(t, f)
			}
			t.Logf("messages by type: %v", count)
		})
	}
}

func same(t *testing.T, f Frame) {
	t.Helper()
	switch m := rtcm3.DeserializeMessage(f.Payload).(type) {
	case rtcm3.Message1005:
		sameStation(t, f, m.AntennaReferencePoint, 0)
	case rtcm3.Message1006:
		sameStation(t, f, m.AntennaReferencePoint, m.AntennaHeight)
	case rtcm3.Message1019:
		e, err := DecodeEphemeris(f)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "1019", []float64{float64(e.Satellite), float64(e.Week), e.Toe, e.SqrtA, e.Ecc, e.M0, e.Omega0, e.OmegaDot, e.Af0, e.Crs, e.Cis, e.GroupDelay},
			[]float64{float64(m.SatelliteID), float64(m.WeekNumber), float64(m.Toe) * 16, math.Ldexp(float64(m.SrA), -19), math.Ldexp(float64(m.Eccentricity), -33),
				math.Ldexp(float64(m.M0), -31) * math.Pi, math.Ldexp(float64(m.Omega0), -31) * math.Pi, math.Ldexp(narrow(m.OmegaDot, 24), -43) * math.Pi,
				math.Ldexp(narrow(m.Af0, 22), -31), math.Ldexp(float64(m.Crs), -5), math.Ldexp(float64(m.Cis), -29), math.Ldexp(float64(m.Tgd), -31)})
		if r := e.SqrtA * e.SqrtA; r < 26e6 || r > 27e6 {
			t.Errorf("GPS orbit of %.0f m", r)
		}
	case rtcm3.Message1020:
		e, err := DecodeGlonassEphemeris(f)
		if err != nil {
			t.Fatal(err)
		}
		if r := math.Hypot(math.Hypot(e.Position[0], e.Position[1]), e.Position[2]); r < 25e6 || r > 26e6 || e.Satellite != int(m.SatelliteId) {
			t.Errorf("GLONASS %d at %.0f m, want %d at about 25.5e6", e.Satellite, r, m.SatelliteId)
		}
	}
	if _, kind, ok := MSMOf(f.Type); ok && kind >= 4 {
		sameMSM(t, f)
	}
}

// narrow gives a field the sign that the other decoder gets wrong where its
// width is not that of a type.
func narrow(v int32, bits int) float64 { return float64(v << (32 - bits) >> (32 - bits)) }

func sameStation(t *testing.T, f Frame, want rtcm3.AntennaReferencePoint, height uint16) {
	t.Helper()
	s, err := DecodeStation(f)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "station", []float64{float64(s.ID), s.ECEF[0], s.ECEF[1], s.ECEF[2], s.Height},
		[]float64{float64(want.ReferenceStationId), float64(want.ReferencePointX) * 1e-4, float64(want.ReferencePointY) * 1e-4, float64(want.ReferencePointZ) * 1e-4, float64(height) * 1e-4})
	if r := math.Hypot(math.Hypot(s.ECEF[0], s.ECEF[1]), s.ECEF[2]); r < 6.3e6 || r > 6.4e6 {
		t.Errorf("station is %.0f m from the earth's centre", r)
	}
}

func sameMSM(t *testing.T, f Frame) {
	t.Helper()
	m, err := DecodeMSM(f)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []float64
	add := func(rangeMS []uint8, ranges []uint16, codes []float64, cnr []float64) {
		c := 0
		for i, s := range m.Satellites {
			rough := math.NaN()
			if rangeMS[i] != 255 {
				rough = (float64(rangeMS[i]) + float64(ranges[i])/1024) * lightMillisecond
			}
			got, want = append(got, s.Range), append(want, rough)
			for _, sig := range s.Signals {
				got, want = append(got, sig.Pseudorange, sig.CNR), append(want, rough+codes[c]*lightMillisecond, cnr[c])
				c++
			}
		}
	}
	switch m.Kind {
	case 4:
		o := rtcm3.DeserializeMessageMsm4(f.Payload)
		add(o.SatelliteData.RangeMilliseconds, o.SatelliteData.Ranges, fine(o.SignalData.Pseudoranges, 15, 24), cnrs(o.SignalData.Cnrs, 1))
	case 5:
		o := rtcm3.DeserializeMessageMsm5(f.Payload)
		add(o.SatelliteData.RangeMilliseconds, o.SatelliteData.Ranges, fine(o.SignalData.Pseudoranges, 15, 24), cnrs(o.SignalData.Cnrs, 1))
	case 6:
		o := rtcm3.DeserializeMessageMsm6(f.Payload)
		add(o.SatelliteData.RangeMilliseconds, o.SatelliteData.Ranges, fine(o.SignalData.Pseudoranges, 20, 29), cnrs(o.SignalData.Cnrs, 1.0/16))
	case 7:
		o := rtcm3.DeserializeMessageMsm7(f.Payload)
		add(o.SatelliteData.RangeMilliseconds, o.SatelliteData.Ranges, fine(o.SignalData.Pseudoranges, 20, 29), cnrs(o.SignalData.Cnrs, 1.0/16))
	}
	equal(t, "MSM", got, want)
}

func fine[T ~int16 | ~int32](v []T, bits, scale int) (out []float64) {
	for _, x := range v {
		if int64(x) == -1<<(bits-1) {
			out = append(out, math.NaN())
		} else {
			out = append(out, math.Ldexp(float64(x), -scale))
		}
	}
	return out
}

func cnrs[T ~uint8 | ~uint16](v []T, unit float64) (out []float64) {
	for _, x := range v {
		out = append(out, float64(x)*unit)
	}
	return out
}

func equal(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= 1e-6*max(1, math.Abs(want[i])*1e-6)) && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// The first orbits of the capture as RTKLIB's convbin 2.4.3 writes them.
func TestOrbits(t *testing.T) {
	var gps *Ephemeris
	var glonass *GlonassEphemeris
	for _, f := range frames(t, captures(t)["multi.rtcm3"]) {
		if e, err := DecodeEphemeris(f); err == nil && gps == nil {
			gps = &e
		}
		if e, err := DecodeGlonassEphemeris(f); err == nil && glonass == nil {
			glonass = &e
		}
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-11*math.Abs(want) {
			t.Errorf("%s is %.12e, want %.12e", what, got, want)
		}
	}
	if gps == nil || glonass == nil || gps.Satellite != 28 || glonass.Satellite != 1 || !gps.Healthy || !glonass.Healthy {
		t.Fatalf("orbits %+v, %+v, want of G28 and R01, healthy", gps, glonass)
	}
	near("af0", gps.Af0, .194718595594e-3)
	near("af1", gps.Af1, .363797880709e-11)
	near("crs", gps.Crs, .673125e2)
	near("delta n", gps.DeltaN, .409052752975e-8)
	near("m0", gps.M0, .179381292294e1)
	near("cuc", gps.Cuc, .326335430145e-5)
	near("e", gps.Ecc, .181625665864e-1)
	near("cus", gps.Cus, .886991620064e-5)
	near("sqrt a", gps.SqrtA, .515363082123e4)
	near("toe", gps.Toe, .604784e6)
	near("cic", gps.Cic, -.838190317154e-7)
	near("omega0", gps.Omega0, .625464088473)
	near("cis", gps.Cis, -.497326254845e-6)
	near("i0", gps.I0, .980726116368)
	near("crc", gps.Crc, .21678125e3)
	near("omega", gps.Omega, -.181862885728e1)
	near("omega dot", gps.OmegaDot, -.784389815841e-8)
	near("idot", gps.IDot, .655741599984e-9)
	near("group delay", gps.GroupDelay, -.107102096081e-7)
	near("-tau", -glonass.Tau, -.176271423697e-3)
	near("x", glonass.Position[0], -.190156445312e8)
	near("vx", glonass.Velocity[0], -.226567268372e3)
	near("ax", glonass.Acceleration[0], -.186264514923e-5)
	near("z", glonass.Position[2], -.124532617188e7)
	near("vz", glonass.Velocity[2], .3560131073e4)
	near("channel", float64(glonass.Channel), 1)
}

// Damage costs the damaged frame and nothing else.
func TestScannerResynchronises(t *testing.T) {
	raw := captures(t)["glonass.rtcm3"]
	want := frames(t, raw)
	var dirty []byte
	for i, f := range want {
		dirty = append(dirty, 0xD3, 0x00, byte(i), 0xD3, 'x') // false starts
		dirty = append(dirty, f.Raw...)
	}
	got := frames(t, dirty)
	if len(got) != len(want) {
		t.Fatalf("%d frames behind false starts, want %d", len(got), len(want))
	}
	dirty = bytes.Clone(raw)
	dirty[bytes.Index(raw, want[1].Raw)+10] ^= 0x40
	if got := frames(t, dirty); len(got) != len(want)-1 {
		t.Fatalf("%d frames with one damaged, want %d", len(got), len(want)-1)
	}
}

func TestDescriptor(t *testing.T) {
	p := []byte{1033 >> 4, 1033 & 15 << 4, 7, 3, 'A', 'B', 'C', 0, 0, 1, 'R', 0, 2, '1', '2'}
	raw, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeDescriptor(frames(t, raw)[0])
	if err != nil || d != (Descriptor{ID: 7, Antenna: "ABC", Receiver: "R", ReceiverSerial: "12"}) {
		t.Errorf("descriptor %+v, %v", d, err)
	}
	if _, err := DecodeDescriptor(Frame{Type: 1033, Payload: p[:12]}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a descriptor cut short: %v, want %v", err, ErrMalformed)
	}
}

func FuzzDecode(f *testing.F) {
	for _, raw := range captures(f) {
		for _, fr := range frames(f, raw[:min(len(raw), 8000)]) {
			f.Add(fr.Raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		try := func(fr Frame) {
			_, _ = DecodeStation(fr)
			_, _ = DecodeDescriptor(fr)
			_, _ = DecodeMSM(fr)
			_, _ = DecodeEphemeris(fr)
			_, _ = DecodeGlonassEphemeris(fr)
		}
		for _, fr := range frames(t, raw) {
			try(fr)
			again, err := Encode(fr.Payload)
			if err != nil || !bytes.Equal(again, fr.Raw) {
				t.Fatalf("frame %x encodes to %x, %v", fr.Raw, again, err)
			}
		}
		if len(raw) >= 2 {
			try(Frame{Type: int(raw[0])<<4 | int(raw[1])>>4, Payload: raw})
		}
	})
}

func BenchmarkScanAndDecode(b *testing.B) {
	raw := captures(b)["multi.rtcm3"]
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewScanner(bytes.NewReader(raw))
		for {
			f, err := s.Next()
			if err != nil {
				break
			}
			if _, kind, ok := MSMOf(f.Type); ok && kind >= 4 {
				if _, err := DecodeMSM(f); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
