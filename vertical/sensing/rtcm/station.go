package rtcm

// Station is a base's antenna reference point (messages 1005 and 1006).
type Station struct {
	ID       int
	ECEF     [3]float64 // metres, earth-centred
	Height   float64    // metres of the antenna above the marker; 0 in 1005
	Physical bool       // false: a computed, non-existing station
	GPS      bool
	GLONASS  bool
	Galileo  bool
}

// DecodeStation reads messages 1005 and 1006.
func DecodeStation(f Frame) (Station, error) {
	b, err := open(f, 1005, 1006)
	if err != nil {
		return Station{}, err
	}
	s := Station{ID: int(b.uint(12))}
	b.uint(6) // realisation year
	s.GPS, s.GLONASS, s.Galileo = b.flag(), b.flag(), b.flag()
	s.Physical = !b.flag()
	s.ECEF[0] = coordinate(b)
	b.uint(2) // single receiver oscillator, reserved
	s.ECEF[1] = coordinate(b)
	b.uint(2) // quarter cycle
	s.ECEF[2] = coordinate(b)
	if f.Type == 1006 {
		s.Height = float64(b.uint(16)) * 1e-4
	}
	return s, b.err(f)
}

func coordinate(b *bitReader) float64 { return float64(b.int(38)) * 1e-4 }

// Descriptor names a base's antenna and receiver (message 1033).
type Descriptor struct {
	ID                                 int
	Antenna, AntennaSerial             string
	Receiver, Firmware, ReceiverSerial string
}

// DecodeDescriptor reads message 1033. The texts are the sender's.
func DecodeDescriptor(f Frame) (Descriptor, error) {
	b, err := open(f, 1033)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{ID: int(b.uint(12)), Antenna: b.text()}
	b.uint(8) // setup
	d.AntennaSerial = b.text()
	d.Receiver, d.Firmware, d.ReceiverSerial = b.text(), b.text(), b.text()
	return d, b.err(f)
}
