package exif

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Insert puts EXIF data with time, place, heading, orientation and camera into a
// JPEG that has none, as a camera does. Values of Info that are not there are
// left out.
func Insert(jpeg []byte, in Info) ([]byte, error) {
	if len(jpeg) < 2 || jpeg[0] != 0xff || jpeg[1] != 0xd8 {
		return nil, fmt.Errorf("%w: no JPEG", ErrMalformed)
	}
	body := append([]byte(header), block(in)...)
	out := append([]byte(nil), jpeg[:2]...)
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(2+len(body)))
	out = append(out, body...)
	return append(out, jpeg[2:]...), nil
}

// value is a tag to write.
type value struct {
	tag, kind uint16
	data      []byte
}

func ascii(tag uint16, s string) value { return value{tag, typeASCII, append([]byte(s), 0)} }

func short(tag uint16, n int) value {
	return value{tag, typeShort, binary.BigEndian.AppendUint16(nil, uint16(n))}
}

func rationals(tag uint16, below uint32, of ...float64) value {
	v := value{tag: tag, kind: typeRational}
	for _, x := range of {
		v.data = binary.BigEndian.AppendUint32(v.data, uint32(math.Round(x*float64(below))))
		v.data = binary.BigEndian.AppendUint32(v.data, below)
	}
	return v
}

func block(in Info) []byte {
	gps := gpsValues(in)
	main := []value{ascii(tagMake, in.Make), ascii(tagModel, in.Model), short(tagOrientation, max(1, in.Orientation)), {tagGPS, typeLong, make([]byte, 4)}}
	const start = 8
	at := start + length(main)
	binary.BigEndian.PutUint32(main[3].data, uint32(at))
	out := bytes.NewBufferString("MM\x00*\x00\x00\x00\x08")
	write(out, main)
	write(out, gps)
	return out.Bytes()
}

func gpsValues(in Info) (out []value) {
	if !math.IsNaN(in.Lat) && !math.IsNaN(in.Lon) {
		for _, x := range []struct {
			tag         uint16
			plus, minus string
			v           float64
		}{{gpsLatRef, "N", "S", in.Lat}, {gpsLonRef, "E", "W", in.Lon}} {
			ref := x.plus
			if x.v < 0 {
				ref = x.minus
			}
			d, minutes := math.Modf(math.Abs(x.v))
			m, s := math.Modf(minutes * 60)
			const fine = 1_000_000
			v := rationals(x.tag+1, fine, 0, 0, s*60)
			binary.BigEndian.PutUint32(v.data, uint32(d)*fine)
			binary.BigEndian.PutUint32(v.data[8:], uint32(m)*fine)
			out = append(out, ascii(x.tag, ref), v)
		}
	}
	if !in.Time.IsZero() {
		t := in.Time.UTC()
		out = append(out, rationals(gpsTime, 1000, float64(t.Hour()), float64(t.Minute()), float64(t.Second())+float64(t.Nanosecond()/int(time.Millisecond))/1000))
	}
	if !math.IsNaN(in.Heading) {
		out = append(out, rationals(gpsDirection, 100, in.Heading))
	}
	if !in.Time.IsZero() {
		out = append(out, ascii(gpsDate, in.Time.UTC().Format("2006:01:02")))
	}
	return out
}

// length is the size of a directory with its values.
func length(of []value) int {
	n := 2 + 12*len(of) + 4
	for _, v := range of {
		if len(v.data) > 4 {
			n += len(v.data)
		}
	}
	return n
}

// write appends a directory, its values behind it.
func write(b *bytes.Buffer, of []value) {
	end := uint32(b.Len() + 2 + 12*len(of) + 4)
	var far []byte
	head := binary.BigEndian.AppendUint16(nil, uint16(len(of)))
	for _, v := range of {
		head = binary.BigEndian.AppendUint16(head, v.tag)
		head = binary.BigEndian.AppendUint16(head, v.kind)
		head = binary.BigEndian.AppendUint32(head, uint32(len(v.data)/sizes[v.kind]))
		if len(v.data) <= 4 {
			head = append(head, append(v.data, 0, 0, 0, 0)[:4]...)
			continue
		}
		head = binary.BigEndian.AppendUint32(head, end+uint32(len(far)))
		far = append(far, v.data...)
	}
	b.Write(append(head, 0, 0, 0, 0))
	b.Write(far)
}
