package events

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/grange-network/grange/vertical/sensing/internal/strictcbor"
)

// Content is the media type of batches of events.
const Content = "application/vnd.grange.events+cbor"

// MaxEvents of a batch.
const MaxEvents = 2000

// ErrMalformed says that a payload is no list of events.
var ErrMalformed = errors.New("malformed events")

// Class is what was seen. The list is closed, so that nothing else can be told.
type Class uint8

// Classes of events.
const (
	Car Class = iota + 1
	Truck
	Bus
	Motorcycle
	Bicycle
	Pedestrian
	Animal
	TrafficLight
	TrafficSign
	Pothole
	Roadworks
	Obstacle
	Accident
	FreeParking
	Congestion
	Flooding

	classes = iota + 1
)

var classNames = [classes]string{
	"", "car", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "animal", "traffic_light", "traffic_sign",
	"pothole", "roadworks", "obstacle", "accident", "free_parking", "congestion", "flooding",
}

// String is the name of a class in answers.
func (c Class) String() string {
	if c == 0 || c >= classes {
		return fmt.Sprintf("class %d", uint8(c))
	}
	return classNames[c]
}

// Box is where in the picture something was, in ten thousandths of its width and
// height from the upper left corner.
type Box struct {
	_                        struct{} `cbor:",toarray"`
	Left, Top, Right, Bottom uint16
}

// Pose is where the device was and which way it looked.
type Pose struct {
	Lat, Lon int32  // 1e-7 degrees
	Heading  uint16 // tenths of a degree clockwise from north, below 3600
	Speed    uint16 // cm/s
}

// Event is one thing seen at one moment.
type Event struct {
	Time       time.Time // to the millisecond
	Class      Class
	Confidence uint16 // of the detector, thousandths
	Box        Box
	Pose       Pose
}

// list is a payload: [1, time of the first in ms, [event, …]].
type list struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Base    int64
	Events  []record
}

type record struct {
	_          struct{} `cbor:",toarray"`
	After      int64    // ms after the base, which may be negative
	Class      Class
	Confidence uint16
	Box        Box
	Lat, Lon   int32
	Heading    uint16
	Speed      uint16
}

const version = 1

// sane bounds times, in ms: years 1970 to 2514.
const sane = 1 << 44

var decoding = strictcbor.Decoder(cbor.DecOptions{TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4, MaxArrayElements: MaxEvents, MaxMapPairs: 16})

// Encode writes events as the payload of a batch.
func Encode(events []Event) ([]byte, error) {
	l := list{Version: version, Events: make([]record, len(events))}
	for i, e := range events {
		if i == 0 {
			l.Base = e.Time.UnixMilli()
		}
		l.Events[i] = record{
			After: e.Time.UnixMilli() - l.Base, Class: e.Class, Confidence: e.Confidence, Box: e.Box,
			Lat: e.Pose.Lat, Lon: e.Pose.Lon, Heading: e.Pose.Heading, Speed: e.Pose.Speed,
		}
		if err := l.Events[i].check(l.Base); err != nil {
			return nil, fmt.Errorf("encode event %d: %w", i, err)
		}
	}
	if n := len(events); n == 0 || n > MaxEvents {
		return nil, fmt.Errorf("encode %d events, want 1 to %d", n, MaxEvents)
	}
	return cbor.Marshal(l)
}

// Decode reads the payload of a batch.
func Decode(payload []byte) ([]Event, error) {
	var l list
	if err := decoding.Unmarshal(payload, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n := len(l.Events); l.Version != version || n == 0 || n > MaxEvents {
		return nil, fmt.Errorf("%w: version %d with %d events, want version %d with 1 to %d", ErrMalformed, l.Version, n, version, MaxEvents)
	}
	out := make([]Event, len(l.Events))
	for i, r := range l.Events {
		if err := r.check(l.Base); err != nil {
			return nil, fmt.Errorf("%w: event %d: %w", ErrMalformed, i, err)
		}
		out[i] = Event{
			Time: time.UnixMilli(l.Base + r.After).UTC(), Class: r.Class, Confidence: r.Confidence, Box: r.Box,
			Pose: Pose{Lat: r.Lat, Lon: r.Lon, Heading: r.Heading, Speed: r.Speed},
		}
	}
	return out, nil
}

func (r record) check(base int64) error {
	const most = 10_000
	switch {
	case base < 0 || base > sane || r.After > sane || r.After < -base:
		return fmt.Errorf("time %d + %d ms", base, r.After)
	case r.Class == 0 || r.Class >= classes:
		return fmt.Errorf("class %d, want 1 to %d", r.Class, classes-1)
	case r.Confidence > 1000:
		return fmt.Errorf("confidence %d, want at most 1000 thousandths", r.Confidence)
	case r.Box.Left >= r.Box.Right || r.Box.Top >= r.Box.Bottom || r.Box.Right > most || r.Box.Bottom > most:
		return fmt.Errorf("box %d %d %d %d, want left, top, right, bottom in ten thousandths", r.Box.Left, r.Box.Top, r.Box.Right, r.Box.Bottom)
	case math.Abs(float64(r.Lat)) > 90e7 || math.Abs(float64(r.Lon)) > 180e7:
		return fmt.Errorf("place %d %d, want 1e-7 degrees", r.Lat, r.Lon)
	case r.Heading >= 3600:
		return fmt.Errorf("heading %d, want tenths of a degree below 3600", r.Heading)
	}
	return nil
}

// Format reads batches of events for the engine.
type Format struct{}

// Content implements sensing.Format.
func (Format) Content() string { return Content }

// Times implements sensing.Format.
func (Format) Times(payload []byte) (first, last time.Time, err error) {
	events, err := Decode(payload)
	if err != nil {
		return first, last, err
	}
	first, last = events[0].Time, events[0].Time
	for _, e := range events {
		if e.Time.Before(first) {
			first = e.Time
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	return first, last, nil
}
