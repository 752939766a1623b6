package store

import (
	"slices"

	"github.com/grange-network/grange/core/device"
)

// maxStreams bounds how many streams are known.
const maxStreams = 1 << 20

// Stream is a device's readings of one variable, and the newest of them.
type Stream struct {
	Number   uint32 // from 1, in the order of first readings
	Thing    uint32 // the device's number, from 1
	Kind     string
	Device   device.ID
	Variable string
	First    int64 // Unix milliseconds of the oldest reading
	Rows     uint64
	Row      `json:"-"` // the newest
}

type streamKey struct {
	device   device.ID
	variable string
}

// Streams lists the streams of fixed devices by number; those of devices that move
// are nobody's business.
func (s *Store) Streams() []Stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Stream, 0, len(s.streams))
	for _, x := range s.streams {
		if !s.moving[x.Kind] {
			out = append(out, *x)
		}
	}
	return out
}

// Stream is the stream with a number.
func (s *Store) Stream(number uint32) (Stream, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if number == 0 || int(number) > len(s.streams) || s.moving[s.streams[number-1].Kind] {
		return Stream{}, false
	}
	return *s.streams[number-1], true
}

// Of lists the streams of a device by number.
func (s *Store) Of(id device.ID) []Stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Stream
	for _, n := range s.things[id].streams {
		if x := s.streams[n-1]; !s.moving[x.Kind] {
			out = append(out, *x)
		}
	}
	return out
}

// thing is a device and its streams.
type thing struct {
	number  uint32
	streams []uint32
}

// before is the stream that a row goes on, nil for the first. s.mu is held.
func (s *Store) before(r *Row) *Stream { return s.byKey[streamKey{r.Device, r.Variable}] }

// note makes a row the newest of its stream. It reports false when there are too
// many streams. s.mu is held.
func (s *Store) note(k *kinded) bool {
	x := s.before(&k.Row)
	if x == nil {
		if len(s.streams) >= maxStreams {
			return false
		}
		x = s.enter(&Stream{Kind: k.kind, Device: k.Device, Variable: k.Variable, First: k.Time})
	}
	x.Rows++
	x.First = min(x.First, k.Time)
	if k.Time >= x.Time || x.Rows == 1 {
		x.Row = k.Row
	}
	return true
}

// enter gives a stream its numbers. s.mu is held.
func (s *Store) enter(x *Stream) *Stream {
	t, ok := s.things[x.Device]
	if !ok {
		t.number = uint32(len(s.things) + 1)
	}
	x.Number, x.Thing = uint32(len(s.streams)+1), t.number
	t.streams = append(slices.Clip(t.streams), x.Number)
	s.things[x.Device] = t
	s.streams = append(s.streams, x)
	s.byKey[streamKey{x.Device, x.Variable}] = x
	return x
}

// Find is the stream of a device's variable.
func (s *Store) Find(id device.ID, variable string) (Stream, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.byKey[streamKey{id, variable}]
	if x == nil || s.moving[x.Kind] {
		return Stream{}, false
	}
	return *x, true
}
