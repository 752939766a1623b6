package images

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/internal/strictcbor"
)

// Content is the media type of batches of frame records.
const Content = "application/vnd.grange.frames+cbor"

// Limits of a batch.
const (
	MaxFrames = 200
	maxKey    = 200 // bytes
	maxCamera = 130
	// MaxSize is the most bytes of an image: more could not be shown to be unlike its
	// record.
	MaxSize = sensing.MaxFile
)

// NoHeading stands for a camera that does not know where it looked.
const NoHeading = math.MaxUint16

// ErrMalformed says that a payload is no list of frames.
var ErrMalformed = errors.New("malformed frames")

// Frame is the record of an image.
type Frame struct {
	Time     time.Time // to the millisecond
	Lat, Lon int32     // 1e-7 degrees
	Heading  uint16    // tenths of a degree clockwise from north, or NoHeading
	Key      string    // BUCKET/KEY in the network's storage
	SHA256   [sha256.Size]byte
	Size     uint32 // bytes of what is stored
	Seen     picture.Seen
	Faces    uint16 // that were found and blurred
	Plates   uint16
	Camera   string // maker and model
}

// list is a payload: [1, time of the first in ms, [frame, …]].
type list struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Base    int64
	Frames  []record
}

type record struct {
	_             struct{} `cbor:",toarray"`
	After         int64    // ms after the base, which may be negative
	Lat, Lon      int32
	Heading       uint16
	Key           string
	SHA256        []byte
	Size          uint32
	Width, Height uint16
	Hashes        [3]uint64
	Light, Sky    uint8
	Faces, Plates uint16
	Camera        string
}

const (
	version = 1
	sane    = 1 << 44 // bounds times, in ms
)

var decoding = strictcbor.Decoder(cbor.DecOptions{TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4, MaxArrayElements: MaxFrames, MaxMapPairs: 16})

// Encode writes frames as the payload of a batch.
func Encode(frames []Frame) ([]byte, error) {
	if n := len(frames); n == 0 || n > MaxFrames {
		return nil, fmt.Errorf("encode %d frames, want 1 to %d", n, MaxFrames)
	}
	l := list{Version: version, Base: frames[0].Time.UnixMilli(), Frames: make([]record, len(frames))}
	for i, f := range frames {
		if w, h := f.Seen.Width, f.Seen.Height; w < 0 || h < 0 || w > math.MaxUint16 || h > math.MaxUint16 {
			return nil, fmt.Errorf("encode frame %d: %d by %d pixels", i, w, h)
		}
		r := record{
			After: f.Time.UnixMilli() - l.Base, Lat: f.Lat, Lon: f.Lon, Heading: f.Heading, Key: f.Key, SHA256: f.SHA256[:], Size: f.Size,
			Width: uint16(f.Seen.Width), Height: uint16(f.Seen.Height), Light: f.Seen.Light, Sky: f.Seen.Sky,
			Faces: f.Faces, Plates: f.Plates, Camera: f.Camera,
		}
		for k, h := range f.Seen.Hashes {
			r.Hashes[k] = uint64(h)
		}
		if err := r.check(l.Base); err != nil {
			return nil, fmt.Errorf("encode frame %d: %w", i, err)
		}
		l.Frames[i] = r
	}
	return cbor.Marshal(l)
}

// Decode reads the payload of a batch.
func Decode(payload []byte) ([]Frame, error) {
	var l list
	if err := decoding.Unmarshal(payload, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n := len(l.Frames); l.Version != version || n == 0 || n > MaxFrames {
		return nil, fmt.Errorf("%w: version %d with %d frames, want version %d with 1 to %d", ErrMalformed, l.Version, n, version, MaxFrames)
	}
	out := make([]Frame, len(l.Frames))
	for i, r := range l.Frames {
		if err := r.check(l.Base); err != nil {
			return nil, fmt.Errorf("%w: frame %d: %w", ErrMalformed, i, err)
		}
		out[i] = Frame{
			Time: time.UnixMilli(l.Base + r.After).UTC(), Lat: r.Lat, Lon: r.Lon, Heading: r.Heading, Key: r.Key,
			SHA256: [sha256.Size]byte(r.SHA256), Size: r.Size, Faces: r.Faces, Plates: r.Plates, Camera: r.Camera,
			Seen: picture.Seen{Width: int(r.Width), Height: int(r.Height), Light: r.Light, Sky: r.Sky},
		}
		for k, h := range r.Hashes {
			out[i].Seen.Hashes[k] = picture.Hash(h)
		}
	}
	return out, nil
}

func (r record) check(base int64) error {
	switch {
	case base < 0 || base > sane || r.After > sane || r.After < -base:
		return fmt.Errorf("time %d + %d ms", base, r.After)
	case math.Abs(float64(r.Lat)) > 90e7 || math.Abs(float64(r.Lon)) > 180e7:
		return fmt.Errorf("place %d %d, want 1e-7 degrees", r.Lat, r.Lon)
	case r.Heading >= 3600 && r.Heading != NoHeading:
		return fmt.Errorf("heading %d, want tenths of a degree below 3600, or %d for none", r.Heading, NoHeading)
	case r.Key == "" || len(r.Key) > maxKey || len(r.Camera) > maxCamera:
		return fmt.Errorf("key of %d and camera of %d bytes, want 1 to %d and at most %d", len(r.Key), len(r.Camera), maxKey, maxCamera)
	case len(r.SHA256) != sha256.Size:
		return fmt.Errorf("hash of %d bytes, want %d", len(r.SHA256), sha256.Size)
	case r.Size > MaxSize:
		return fmt.Errorf("image of %d bytes, want at most %d", r.Size, MaxSize)
	case r.Size == 0 || r.Width == 0 || r.Height == 0:
		return fmt.Errorf("%d bytes, %d by %d pixels: there is no image", r.Size, r.Width, r.Height)
	}
	return nil
}

// Format reads batches of frames for the engine.
type Format struct{}

// Content implements sensing.Format.
func (Format) Content() string { return Content }

// Times implements sensing.Format.
func (Format) Times(payload []byte) (first, last time.Time, err error) {
	frames, err := Decode(payload)
	if err != nil {
		return first, last, err
	}
	first, last = frames[0].Time, frames[0].Time
	for _, f := range frames {
		if f.Time.Before(first) {
			first = f.Time
		}
		if f.Time.After(last) {
			last = f.Time
		}
	}
	return first, last, nil
}
