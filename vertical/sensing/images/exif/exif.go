package exif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Errors of Read.
var (
	ErrMalformed = errors.New("malformed EXIF")
	ErrNone      = errors.New("image has no EXIF data")
)

// Info is what an image says of itself. Values that it does not say are NaN,
// zero or empty.
type Info struct {
	Lat, Lon float64 // degrees; NaN without
	Altitude float64 // metres above the sea; NaN without
	// Heading is where the camera looked, degrees clockwise from north; NaN without.
	// Direction to magnetic north is taken as it is.
	Heading float64
	Time    time.Time // UTC; zero when there is none, or none whose zone is known
	// Orientation is how to turn the picture, 1 to 8; 1 when it is upright.
	Orientation int
	Make, Model string
}

// Tags that are read.
const (
	tagMake        = 0x010f
	tagModel       = 0x0110
	tagOrientation = 0x0112
	tagExif        = 0x8769
	tagGPS         = 0x8825

	tagOriginal = 0x9003
	tagOffset   = 0x9011
	tagSubSec   = 0x9291

	gpsLatRef    = 1
	gpsLat       = 2
	gpsLonRef    = 3
	gpsLon       = 4
	gpsAltRef    = 5
	gpsAlt       = 6
	gpsTime      = 7
	gpsTrack     = 15
	gpsDirection = 17
	gpsDate      = 29
)

// Limits of what is read.
const (
	maxEntries = 512 // of a directory
	maxText    = 64  // bytes of a text that is kept
)

// Types of values, and the bytes of one.
const (
	typeByte     = 1
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
)

var sizes = map[uint16]int{typeByte: 1, typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8}

// Read reads the EXIF data of a JPEG. It returns ErrNone when there is none.
func Read(jpeg []byte) (Info, error) {
	block, err := find(jpeg)
	if err != nil {
		return Info{}, err
	}
	return parse(block)
}

const header = "Exif\x00\x00"

// find is the TIFF block in the first APP1 segment of EXIF.
func find(p []byte) ([]byte, error) {
	if len(p) < 4 || p[0] != 0xff || p[1] != 0xd8 {
		return nil, fmt.Errorf("%w: no JPEG", ErrMalformed)
	}
	const startOfScan, app1 = 0xda, 0xe1
	for p = p[2:]; len(p) >= 4 && p[0] == 0xff && p[1] != startOfScan; {
		if p[1] == 0xff { // padding
			p = p[1:]
			continue
		}
		n := int(binary.BigEndian.Uint16(p[2:]))
		if n < 2 || len(p) < 2+n {
			return nil, fmt.Errorf("%w: segment %x of %d bytes in %d", ErrMalformed, p[1], n, len(p))
		}
		if body := p[4 : 2+n]; p[1] == app1 && strings.HasPrefix(string(body[:min(len(header), len(body))]), header) {
			return body[len(header):], nil
		}
		p = p[2+n:]
	}
	return nil, ErrNone
}

// reader reads a TIFF block.
type reader struct {
	p     []byte
	order binary.ByteOrder
}

// entry is a value of a directory.
type entry struct {
	kind uint16
	n    int
	data []byte
}

func parse(p []byte) (Info, error) {
	r := reader{p: p}
	switch {
	case len(p) < 8:
		return Info{}, fmt.Errorf("%w: block of %d bytes", ErrMalformed, len(p))
	case string(p[:4]) == "II*\x00":
		r.order = binary.LittleEndian
	case string(p[:4]) == "MM\x00*":
		r.order = binary.BigEndian
	default:
		return Info{}, fmt.Errorf("%w: byte order %x", ErrMalformed, p[:4])
	}
	main, err := r.directory(r.order.Uint32(p[4:]))
	if err != nil {
		return Info{}, err
	}
	out := Info{
		Lat: math.NaN(), Lon: math.NaN(), Altitude: math.NaN(), Heading: math.NaN(),
		Orientation: 1, Make: main[tagMake].text(), Model: main[tagModel].text(),
	}
	if n, ok := r.number(main[tagOrientation]); ok && n >= 1 && n <= 8 {
		out.Orientation = int(n)
	}
	var original map[uint16]entry
	if at, ok := r.number(main[tagExif]); ok {
		if original, err = r.directory(at); err != nil {
			return Info{}, err
		}
	}
	var gps map[uint16]entry
	if at, ok := r.number(main[tagGPS]); ok {
		if gps, err = r.directory(at); err != nil {
			return Info{}, err
		}
	}
	r.place(gps, &out)
	out.Time = r.time(gps, original)
	return out, nil
}

// directory reads the values at an offset. A value outside of the block is an
// error, one of a type that is not read is passed over.
func (r reader) directory(at uint32) (map[uint16]entry, error) {
	if uint64(at)+2 > uint64(len(r.p)) {
		return nil, fmt.Errorf("%w: directory at %d of %d bytes", ErrMalformed, at, len(r.p))
	}
	p := r.p[at:]
	n := int(r.order.Uint16(p))
	const size = 12
	if n > maxEntries || len(p) < 2+n*size {
		return nil, fmt.Errorf("%w: %d entries in %d bytes, want at most %d", ErrMalformed, n, len(p), maxEntries)
	}
	out := make(map[uint16]entry, n)
	for i := range n {
		e := p[2+i*size:][:size]
		tag, kind, count := r.order.Uint16(e), r.order.Uint16(e[2:]), r.order.Uint32(e[4:])
		bytes := uint64(sizes[kind]) * uint64(count)
		if bytes == 0 || !wanted(tag) {
			continue
		}
		data := e[8:]
		if bytes > 4 {
			from := uint64(r.order.Uint32(e[8:]))
			if from+bytes > uint64(len(r.p)) {
				return nil, fmt.Errorf("%w: tag %x has %d bytes at %d of %d", ErrMalformed, tag, bytes, from, len(r.p))
			}
			data = r.p[from:]
		}
		out[tag] = entry{kind, int(count), data[:bytes]}
	}
	return out, nil
}

func wanted(tag uint16) bool {
	switch tag {
	case tagMake, tagModel, tagOrientation, tagExif, tagGPS, tagOriginal, tagOffset, tagSubSec,
		gpsLatRef, gpsLat, gpsLonRef, gpsLon, gpsAltRef, gpsAlt, gpsTime, gpsTrack, gpsDirection, gpsDate:
		return true
	}
	return false
}

// text is a value as text, without what cannot be printed.
func (e entry) text() string {
	if e.kind != typeASCII {
		return ""
	}
	s, _, _ := strings.Cut(string(e.data[:min(len(e.data), maxText)]), "\x00")
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s))
}

// number is the first of a value's whole numbers.
func (r reader) number(e entry) (uint32, bool) {
	switch {
	case e.n == 0:
		return 0, false
	case e.kind == typeByte:
		return uint32(e.data[0]), true
	case e.kind == typeShort:
		return uint32(r.order.Uint16(e.data)), true
	case e.kind == typeLong:
		return r.order.Uint32(e.data), true
	}
	return 0, false
}

// rational is one of a value's fractions, NaN without.
func (r reader) rational(e entry, i int) float64 {
	if e.kind != typeRational || i >= e.n {
		return math.NaN()
	}
	above, below := r.order.Uint32(e.data[8*i:]), r.order.Uint32(e.data[8*i+4:])
	if below == 0 {
		return math.NaN()
	}
	return float64(above) / float64(below)
}

func (r reader) place(gps map[uint16]entry, out *Info) {
	lat := r.degrees(gps[gpsLat], gps[gpsLatRef].text(), "N", "S")
	lon := r.degrees(gps[gpsLon], gps[gpsLonRef].text(), "E", "W")
	if math.Abs(lat) <= 90 && math.Abs(lon) <= 180 {
		out.Lat, out.Lon = lat, lon
	}
	out.Altitude = r.rational(gps[gpsAlt], 0)
	if below, _ := r.number(gps[gpsAltRef]); below == 1 {
		out.Altitude = -out.Altitude
	}
	for _, tag := range []uint16{gpsDirection, gpsTrack} {
		if h := r.rational(gps[tag], 0); h >= 0 && h <= 360 {
			out.Heading = math.Mod(h, 360)
			return
		}
	}
}

func (r reader) degrees(e entry, ref, plus, minus string) float64 {
	v := r.rational(e, 0)
	for i, unit := range []float64{60, 3600} {
		if part := r.rational(e, i+1); part >= 0 {
			v += part / unit
		}
	}
	switch ref {
	case plus:
		return v
	case minus:
		return -v
	}
	return math.NaN()
}

// time is the receiver's, which is UTC, or the camera's when it says its zone.
func (r reader) time(gps, original map[uint16]entry) time.Time {
	if day, err := time.Parse("2006:01:02", gps[gpsDate].text()); err == nil {
		seconds := float64(r.rational(gps[gpsTime], 0)*3600) + float64(r.rational(gps[gpsTime], 1)*60) + r.rational(gps[gpsTime], 2)
		if seconds >= 0 && seconds < 86401 {
			return day.Add(time.Duration(math.Round(seconds*1000)) * time.Millisecond)
		}
	}
	t, err := time.Parse("2006:01:02 15:04:05 -07:00", original[tagOriginal].text()+" "+original[tagOffset].text())
	if err != nil {
		return time.Time{}
	}
	if part, err := time.ParseDuration("0." + original[tagSubSec].text() + "s"); err == nil && part < time.Second && part >= 0 {
		t = t.Add(part.Truncate(time.Millisecond))
	}
	return t.UTC()
}
