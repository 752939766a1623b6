package gnss

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/internal/strictcbor"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Content is the media type of a minute.
const Content = "application/vnd.grange.gnss-minute"

// Limits of a minute.
const (
	MaxMinute = 40 << 10 // bytes encoded
	MaxFrames = 160      // of the sample
	maxMount  = 100
)

// Minute is what a signer saw of a stream in one minute.
type Minute struct {
	Start int64 `cbor:"1,keyasint"` // Unix seconds, a whole minute
	// Base is the device that a witness saw; empty when the base itself signs.
	Base    []byte `cbor:"2,keyasint,omitempty"`
	Mount   string `cbor:"3,keyasint"`
	Frames  uint32 `cbor:"4,keyasint"`
	Bytes   uint32 `cbor:"5,keyasint"` // of the frames
	Chain   []byte `cbor:"6,keyasint"` // h = SHA-256(h before, frame) over all frames of the minute, from 32 zeros
	Seconds uint64 `cbor:"7,keyasint"` // bit n: an epoch of the minute's second n was whole
	Age     uint32 `cbor:"8,keyasint"` // mean milliseconds from an epoch's time to its arrival
	Gap     uint32 `cbor:"9,keyasint"` // longest milliseconds without a frame
	// Sample is the first whole epoch of the minute, as it was framed, behind the
	// newest coordinates and descriptor and the orbits that are new.
	Sample [][]byte `cbor:"10,keyasint"`
}

// ErrMinute says that a payload is no minute.
var ErrMinute = errors.New("malformed minute of a base")

var (
	decoding = strictcbor.Decoder(cbor.DecOptions{TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4, MaxArrayElements: MaxFrames, MaxMapPairs: 16})
	encoding = strictcbor.Encoder(cbor.CoreDetEncOptions())
)

// Encode writes a minute.
func (m Minute) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	return encoding.Marshal(m)
}

// Decode reads a minute and checks all that can be checked of it alone.
func Decode(p []byte) (m Minute, err error) {
	if len(p) > MaxMinute {
		return m, fmt.Errorf("%w: %d bytes, want at most %d", ErrMinute, len(p), MaxMinute)
	}
	if err := decoding.Unmarshal(p, &m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrMinute, err)
	}
	return m, m.check()
}

func (m Minute) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrMinute}, a...)...)
	}
	switch {
	case m.Start%60 != 0 || m.Start < 0:
		return bad("starts at %d, want a whole minute in Unix seconds", m.Start)
	case len(m.Base) != 0 && len(m.Base) != 32:
		return bad("base of %d bytes, want the 32 of a device's id or none", len(m.Base))
	case len(m.Mount) > maxMount || bytes.ContainsFunc([]byte(m.Mount), func(r rune) bool { return r < ' ' || r > '~' }):
		return bad("mount point %.20q, want at most %d printable letters", m.Mount, maxMount)
	case len(m.Chain) != 32:
		return bad("chain of %d bytes, want 32", len(m.Chain))
	case bits.Len64(m.Seconds) > 60:
		return bad("epochs in second %d", bits.Len64(m.Seconds)-1)
	case len(m.Sample) > MaxFrames:
		return bad("sample of %d frames, want at most %d", len(m.Sample), MaxFrames)
	}
	for i, raw := range m.Sample {
		f, err := frame(raw)
		if err != nil {
			return bad("frame %d: %w", i, err)
		}
		if !wanted(f.Type) {
			return bad("frame %d is message %d: want MSM4 to MSM7, 1005, 1006, 1033 or an orbit", i, f.Type)
		}
	}
	return nil
}

// frame reads a whole frame.
func frame(raw []byte) (rtcm.Frame, error) {
	f, err := rtcm.NewScanner(bytes.NewReader(raw)).Next()
	if err != nil || len(f.Raw) != len(raw) {
		return f, errors.New("not one RTCM 3 frame with a right check")
	}
	return f, nil
}

func wanted(number int) bool {
	_, kind, ok := rtcm.MSMOf(number)
	return ok && kind >= 4 || place(number) || orbital(number) || number == 1033
}

func place(number int) bool { return number == 1005 || number == 1006 }

func orbital(number int) bool {
	switch number {
	case 1019, 1020, 1042, 1045, 1046:
		return true
	}
	return false
}

// Format is the payload of the kind's batches.
type Format struct{}

var _ sensing.Witness = Format{}

// Content implements sensing.Format.
func (Format) Content() string { return Content }

// Times implements sensing.Format.
func (Format) Times(p []byte) (first, last time.Time, err error) {
	m, err := Decode(p)
	t := time.Unix(m.Start, 0).UTC()
	return t, t, err
}

// About implements sensing.Witness.
func (Format) About(p []byte) (id [32]byte, witness bool) {
	m, err := Decode(p)
	return id, err == nil && copy(id[:], m.Base) == len(id)
}
