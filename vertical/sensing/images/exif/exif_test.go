package exif

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func plain(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 16)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var sample = Info{Lat: -33.8567844, Lon: 151.2152967, Heading: 271.5, Orientation: 6, Make: "Maker", Model: "Camera 2",
	Time: time.Date(2026, 3, 1, 23, 59, 59, 250e6, time.UTC), Altitude: math.NaN()}

func insert(t testing.TB, in Info) []byte {
	t.Helper()
	p, err := Insert(plain(t), in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	p := insert(t, sample)
	if _, err := jpeg.Decode(bytes.NewReader(p)); err != nil {
		t.Fatalf("is no JPEG any more: %v", err)
	}
	got, err := Read(p)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Lat-sample.Lat) > 1e-8 || math.Abs(got.Lon-sample.Lon) > 1e-8 || got.Heading != sample.Heading || !got.Time.Equal(sample.Time) ||
		got.Orientation != 6 || got.Make != "Maker" || got.Model != "Camera 2" || !math.IsNaN(got.Altitude) {
		t.Errorf("comes back as %+v", got)
	}
}

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := Info{Lat: rapid.Float64Range(-89.9, 89.9).Draw(t, "lat"), Lon: rapid.Float64Range(-179.9, 179.9).Draw(t, "lon"), Heading: math.NaN()}
		p, err := Insert([]byte{0xff, 0xd8, 0xff, 0xd9}, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(p)
		if err != nil || math.Abs(got.Lat-in.Lat) > 1e-8 || math.Abs(got.Lon-in.Lon) > 1e-8 || !math.IsNaN(got.Heading) || !got.Time.IsZero() {
			t.Fatalf("%+v comes back as %+v, %v", in, got, err)
		}
	})
}

// little is a block in Intel's byte order as written by hand from the standard:
// 51°30'26.5"N 0°7'39.9"W, 2024:02:29, camera time with a zone.
func little() []byte {
	o := binary.LittleEndian
	p := []byte("II*\x00\x08\x00\x00\x00")
	entries := func(of ...[4]uint32) {
		p = o.AppendUint16(p, uint16(len(of)))
		for _, e := range of {
			p = o.AppendUint16(o.AppendUint16(p, uint16(e[0])), uint16(e[1]))
			p = o.AppendUint32(o.AppendUint32(p, e[2]), e[3])
		}
		p = append(p, 0, 0, 0, 0)
	}
	entries([4]uint32{tagExif, typeLong, 1, 38}, [4]uint32{tagGPS, typeLong, 1, 80})                                                                                            // 8..38
	entries([4]uint32{tagOriginal, typeASCII, 20, 134}, [4]uint32{tagOffset, typeASCII, 7, 154}, [4]uint32{tagSubSec, typeASCII, 3, 0x003532})                                  // 38..80
	entries([4]uint32{gpsLatRef, typeASCII, 2, 'N'}, [4]uint32{gpsLat, typeRational, 3, 161}, [4]uint32{gpsLonRef, typeASCII, 2, 'W'}, [4]uint32{gpsLon, typeRational, 3, 185}) // 80..134
	p = append(p, "2024:02:29 13:00:00\x00+01:00\x00"...)                                                                                                                       // 134, 154
	for _, r := range [][2]uint32{{51, 1}, {30, 1}, {265, 10}, {0, 1}, {7, 1}, {399, 10}} {
		p = o.AppendUint32(o.AppendUint32(p, r[0]), r[1])
	}
	return p
}

func TestIntelOrder(t *testing.T) {
	got, err := parse(little())
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Lat-51.507361) > 1e-6 || math.Abs(got.Lon+0.127750) > 1e-6 || !got.Time.Equal(time.Date(2024, 2, 29, 12, 0, 0, 250e6, time.UTC)) {
		t.Errorf("read as %+v", got)
	}
}

func TestMalformed(t *testing.T) {
	good := insert(t, sample)
	for name, p := range map[string][]byte{"nothing": nil, "no JPEG": []byte("GIF89a"), "cut in its EXIF": good[:100], "block too short": {0xff, 0xd8, 0xff, 0xe1, 0, 10, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I'}} {
		if _, err := Read(p); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(plain(t)); !errors.Is(err, ErrNone) {
		t.Errorf("a picture without EXIF: %v", err)
	}
	loop := little()
	binary.LittleEndian.PutUint32(loop[18:], 1<<31) // the EXIF directory lies outside
	if _, err := parse(loop); !errors.Is(err, ErrMalformed) {
		t.Errorf("directory outside: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(insert(f, sample))
	f.Add(plain(f))
	f.Add(append(append([]byte{0xff, 0xd8, 0xff, 0xe1, 1, 0}, header...), little()...))
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := Read(p)
		if err != nil {
			return
		}
		if got.Lat > 90 || got.Lat < -90 || got.Lon > 180 || got.Lon < -180 || got.Heading < 0 || got.Heading >= 360 || got.Orientation < 1 || got.Orientation > 8 || len(got.Model) > maxText {
			t.Fatalf("read as %+v", got)
		}
	})
}
