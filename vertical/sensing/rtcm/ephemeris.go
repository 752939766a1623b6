package rtcm

import "math"

// Ephemeris is a broadcast orbit of GPS, Galileo or BeiDou. Times are seconds
// of the system's week, angles radians, lengths metres.
type Ephemeris struct {
	System    System
	Satellite int
	Week      int // as sent: GPS modulo 1024, Galileo 4096, BeiDou 8192
	Issue     int // issue of data (GPS IODE, Galileo IODnav, BeiDou AODE)
	Healthy   bool

	Toc, Af0, Af1, Af2 float64 // clock
	Toe, SqrtA, Ecc    float64
	I0, IDot           float64
	Omega0, OmegaDot   float64
	Omega, M0, DeltaN  float64
	Cuc, Cus, Crc      float64
	Crs, Cic, Cis      float64
	GroupDelay         float64 // seconds (GPS TGD, Galileo BGD E5a/E1, BeiDou TGD1)
}

// GlonassEphemeris is a broadcast state of a GLONASS satellite in PZ-90.
type GlonassEphemeris struct {
	Satellite    int
	Channel      int // frequency, -7..6
	Tb           int // seconds of the day in Moscow time
	Healthy      bool
	Position     [3]float64 // metres
	Velocity     [3]float64 // m/s
	Acceleration [3]float64 // m/s², of the sun and the moon
	Gamma, Tau   float64    // relative frequency, clock in seconds
	DayInPeriod  int        // NT, day in the four-year period
}

// orbitLayout is where a system's messages differ: bits and scales (powers of 2).
type orbitLayout struct {
	week, toc          int
	af2, af1, af0      int
	af2s, af1s, af0s   int
	harmonic           int     // bits of Crs, Cuc, ...
	harmonicS, radiusS int     // scale of the angles, of Crs and Crc
	step               float64 // seconds of a unit of Toc and Toe
}

var (
	gpsOrbit     = orbitLayout{10, 16, 8, 16, 22, -55, -43, -31, 16, -29, -5, 16}
	galileoOrbit = orbitLayout{12, 14, 6, 21, 31, -59, -46, -34, 16, -29, -5, 60}
	beidouOrbit  = orbitLayout{13, 17, 11, 22, 24, -66, -50, -33, 18, -31, -6, 8}
)

// DecodeEphemeris reads messages 1019 (GPS), 1042 (BeiDou), 1045 and 1046
// (Galileo).
func DecodeEphemeris(f Frame) (Ephemeris, error) {
	b, err := open(f, 1019, 1042, 1045, 1046)
	if err != nil {
		return Ephemeris{}, err
	}
	e := Ephemeris{Satellite: int(b.uint(6))}
	switch f.Type {
	case 1019:
		e.gps(b)
	case 1042:
		e.beidou(b)
	default:
		e.galileo(b, f.Type)
	}
	return e, b.err(f)
}

func scaled(v int64, power int) float64 { return math.Ldexp(float64(v), power) }

// semicircles to radians.
func angle(v int64, power int) float64 { return scaled(v, power) * math.Pi }

func (e *Ephemeris) gps(b *bitReader) {
	l := gpsOrbit
	e.System, e.Week = GPS, int(b.uint(l.week))
	b.uint(4 + 2) // accuracy, codes on L2
	e.IDot = angle(b.int(14), -43)
	e.Issue = int(b.uint(8))
	e.clock(b, l)
	b.uint(10) // issue of the clock
	e.orbit(b, l)
	e.GroupDelay = scaled(b.int(8), -31)
	e.Healthy = b.uint(6) == 0
	b.uint(2)
}

func (e *Ephemeris) beidou(b *bitReader) {
	l := beidouOrbit
	e.System, e.Week = BeiDou, int(b.uint(l.week))
	b.uint(4) // accuracy
	e.IDot = angle(b.int(14), -43)
	e.Issue = int(b.uint(5))
	e.clock(b, l)
	b.uint(5) // age of the clock
	e.orbit(b, l)
	e.GroupDelay = float64(b.int(10)) * 1e-10
	b.uint(10)
	e.Healthy = !b.flag()
}

func (e *Ephemeris) galileo(b *bitReader, number int) {
	l := galileoOrbit
	e.System, e.Week = Galileo, int(b.uint(l.week))
	e.Issue = int(b.uint(10))
	b.uint(8) // accuracy
	e.IDot = angle(b.int(14), -43)
	e.clock(b, l)
	e.orbit(b, l)
	e.GroupDelay = scaled(b.int(10), -32)
	if number == 1045 {
		e.Healthy = b.uint(2) == 0
		b.uint(1 + 7)
		return
	}
	b.uint(10) // BGD E5b/E1
	b.uint(3)  // E5b
	e.Healthy = b.uint(2) == 0
	b.uint(1 + 2)
}

func (e *Ephemeris) clock(b *bitReader, l orbitLayout) {
	e.Toc = float64(b.uint(l.toc)) * l.step
	e.Af2, e.Af1, e.Af0 = scaled(b.int(l.af2), l.af2s), scaled(b.int(l.af1), l.af1s), scaled(b.int(l.af0), l.af0s)
}

func (e *Ephemeris) orbit(b *bitReader, l orbitLayout) {
	h := func() float64 { return scaled(b.int(l.harmonic), l.harmonicS) }
	e.Crs = scaled(b.int(l.harmonic), l.radiusS)
	e.DeltaN = angle(b.int(16), -43)
	e.M0 = angle(b.int(32), -31)
	e.Cuc = h()
	e.Ecc = scaled(int64(b.uint(32)), -33)
	e.Cus = h()
	e.SqrtA = scaled(int64(b.uint(32)), -19)
	e.Toe = float64(b.uint(l.toc)) * l.step
	e.Cic = h()
	e.Omega0 = angle(b.int(32), -31)
	e.Cis = h()
	e.I0 = angle(b.int(32), -31)
	e.Crc = scaled(b.int(l.harmonic), l.radiusS)
	e.Omega = angle(b.int(32), -31)
	e.OmegaDot = angle(b.int(24), -43)
}

// DecodeGlonassEphemeris reads message 1020.
func DecodeGlonassEphemeris(f Frame) (GlonassEphemeris, error) {
	b, err := open(f, 1020)
	if err != nil {
		return GlonassEphemeris{}, err
	}
	e := GlonassEphemeris{Satellite: int(b.uint(6)), Channel: int(b.uint(5)) - 7}
	b.uint(1 + 1 + 2 + 12) // almanac health and its presence, P1, tk
	unhealthy := b.flag()
	b.uint(1) // P2
	e.Tb = int(b.uint(7)) * 15 * 60
	for i := range 3 {
		e.Velocity[i] = scaled(b.signed(24), -20) * 1000
		e.Position[i] = scaled(b.signed(27), -11) * 1000
		e.Acceleration[i] = scaled(b.signed(5), -30) * 1000
	}
	b.uint(1) // P3
	e.Gamma = scaled(b.signed(11), -40)
	b.uint(2) // P
	third := b.flag()
	e.Tau = scaled(b.signed(22), -30)
	b.uint(5 + 5 + 1 + 4) // delta tau, En, P4, FT
	e.DayInPeriod = int(b.uint(11))
	b.uint(2 + 1 + 11 + 32 + 5 + 22) // M, further data
	fifth := b.flag()
	b.uint(7)
	e.Healthy = !unhealthy && !third && !fifth
	return e, b.err(f)
}
