package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// MaxBody is the most bytes that Frames reads.
const MaxBody = 1 << 20

// ErrFrame says that a text is no list of what a detector saw.
var ErrFrame = errors.New("detections are not understood")

// Frame is what a detector saw in one picture, and what it knows of where that
// was taken. Of the pose, what it does not know is NaN.
type Frame struct {
	Time             time.Time // zero: not known
	Lat, Lon         float64   // degrees
	Heading          float64   // degrees clockwise from north
	Speed            float64   // m/s
	Seen             []Seen
	Unknown, Unclear int // objects of no class, and those below the least confidence
}

// Seen is one object of a picture.
type Seen struct {
	Class      Class
	Confidence uint16 // thousandths
	Box        Box
}

// frame is a Frame as programs send it. Objects have the names of Ultralytics'
// results in JSON (Results.to_json), which other detectors can be made to print.
type frame struct {
	Time      json.RawMessage `json:"time"` // RFC 3339, or milliseconds of Unix time
	Latitude  *float64        `json:"latitude"`
	Longitude *float64        `json:"longitude"`
	Heading   *float64        `json:"heading"`
	Speed     *float64        `json:"speed"`
	Width     float64         `json:"width"` // of the picture in pixels; boxes are parts of it if absent
	Height    float64         `json:"height"`
	Objects   []object        `json:"objects"`
}

type object struct {
	Name       string  `json:"name"`
	Confidence float64 `json:"confidence"` // 0 to 1
	Box        struct {
		X1 float64 `json:"x1"`
		Y1 float64 `json:"y1"`
		X2 float64 `json:"x2"`
		Y2 float64 `json:"y2"`
	} `json:"box"`
}

// called are other names of classes: those of COCO, which most detectors know.
var called = func() map[string]Class {
	names := map[string]Class{
		"person": Pedestrian, "motorbike": Motorcycle, "stop_sign": TrafficSign, "van": Truck,
		"dog": Animal, "cat": Animal, "horse": Animal, "sheep": Animal, "cow": Animal, "bear": Animal, "elephant": Animal, "zebra": Animal, "giraffe": Animal,
	}
	for c, name := range classNames {
		if name != "" {
			names[name] = Class(c)
		}
	}
	return names
}()

// Frames reads what a detector saw: frames in JSON, one or several, one after the
// other or in arrays. Objects of no class of ours are left out and counted.
func Frames(raw []byte) ([]Frame, error) {
	if len(raw) > MaxBody {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrFrame, len(raw), MaxBody)
	}
	var all []frame
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var value json.RawMessage
		if err := d.Decode(&value); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFrame, err)
		}
		part := make([]frame, 1)
		var err error
		if value[0] == '[' {
			err = json.Unmarshal(value, &part)
		} else {
			err = json.Unmarshal(value, &part[0])
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFrame, err)
		}
		all = append(all, part...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf(`%w: no frame, want {"time": …, "latitude": …, "longitude": …, "heading": …, "objects": […]}`, ErrFrame)
	}
	out := make([]Frame, len(all))
	for i, f := range all {
		var err error
		if out[i], err = f.read(); err != nil {
			return nil, fmt.Errorf("%w: frame %d: %w", ErrFrame, i, err)
		}
	}
	return out, nil
}

func (f frame) read() (out Frame, err error) {
	if out.Time, err = moment(f.Time); err != nil {
		return out, err
	}
	for _, v := range []struct {
		name      string
		given     *float64
		into      *float64
		low, high float64
	}{
		{"latitude", f.Latitude, &out.Lat, -90, 90}, {"longitude", f.Longitude, &out.Lon, -180, 180},
		{"heading", f.Heading, &out.Heading, 0, 360}, {"speed", f.Speed, &out.Speed, 0, 200},
	} {
		*v.into = math.NaN()
		if v.given == nil {
			continue
		}
		if *v.into = *v.given; !(*v.given >= v.low && *v.given <= v.high) {
			return out, fmt.Errorf("%s %v, want %v to %v", v.name, *v.given, v.low, v.high)
		}
	}
	if (f.Latitude == nil) != (f.Longitude == nil) {
		return out, errors.New("latitude without longitude, or the other way round")
	}
	for i, o := range f.Objects {
		class, ok := called[strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(o.Name))]
		if !ok {
			out.Unknown++
			continue
		}
		if !(o.Confidence >= 0 && o.Confidence <= 1) {
			return out, fmt.Errorf("object %d: confidence %v, want 0 to 1", i, o.Confidence)
		}
		s := Seen{Class: class, Confidence: uint16(math.Round(o.Confidence * 1000))}
		if s.Confidence < leastConfidence {
			out.Unclear++
			continue
		}
		if s.Box, err = f.part(o); err != nil {
			return out, fmt.Errorf("object %d: %w", i, err)
		}
		out.Seen = append(out.Seen, s)
	}
	return out, nil
}

// part is the box of an object in ten thousandths of the picture, and at least one
// wide and high.
func (f frame) part(o object) (Box, error) {
	width, height := f.Width, f.Height
	if width == 0 && height == 0 {
		width, height = 1, 1
	}
	x1, y1, x2, y2 := o.Box.X1/width, o.Box.Y1/height, o.Box.X2/width, o.Box.Y2/height
	const most, slack = 10_000, 0.01 // detectors reach over the edge a little
	if !(x1 >= -slack && y1 >= -slack && x1 < x2 && y1 < y2 && x2 <= 1+slack && y2 <= 1+slack) {
		return Box{}, fmt.Errorf("box %v,%v to %v,%v is not in the picture: want parts of it, or pixels and its width and height", o.Box.X1, o.Box.Y1, o.Box.X2, o.Box.Y2)
	}
	at := func(v float64) uint16 { return uint16(math.Round(min(1, max(0, v)) * most)) }
	b := Box{Left: min(at(x1), most-1), Top: min(at(y1), most-1)}
	b.Right, b.Bottom = max(at(x2), b.Left+1), max(at(y2), b.Top+1)
	return b, nil
}

// moment reads a time of a frame.
func moment(raw json.RawMessage) (time.Time, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return time.Time{}, nil
	}
	var ms float64
	if json.Unmarshal(raw, &ms) == nil && ms >= 1 && ms < sane {
		return time.UnixMilli(int64(ms)).UTC(), nil
	}
	var t time.Time
	if json.Unmarshal(raw, &t) == nil && t.UnixMilli() >= 0 && t.UnixMilli() < sane {
		return t.UTC().Truncate(time.Millisecond), nil
	}
	return time.Time{}, fmt.Errorf("time %.40s, want RFC 3339 or milliseconds of Unix time", raw)
}

// Events are what a frame tells, if its time and pose are known.
func (f Frame) Events() []Event {
	out := make([]Event, len(f.Seen))
	pose := Pose{
		Lat: int32(math.Round(f.Lat * 1e7)), Lon: int32(math.Round(f.Lon * 1e7)),
		Heading: uint16(math.Round(f.Heading*10)) % 3600,
	}
	if !math.IsNaN(f.Speed) {
		pose.Speed = uint16(math.Round(f.Speed * 100))
	}
	for i, s := range f.Seen {
		out[i] = Event{Time: f.Time, Class: s.Class, Confidence: s.Confidence, Box: s.Box, Pose: pose}
	}
	return out
}
