package gnss

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Recorder makes the minutes of one stream. It is for one goroutine at a time.
type Recorder struct {
	Mount string
	Base  *device.ID // of whom a witness records; nil: the base itself

	now     Minute
	begun   bool
	sampled bool
	last    time.Time // of a frame
	ages    uint64
	epochs  uint64
	pending [][]byte // frames of the epoch under way
	chain   [32]byte

	station, descriptor []byte
	orbits              map[[2]int][]byte // by message and satellite, newest
	fresh               [][2]int          // not published yet
}

const (
	maxOrbits = 64 // of a minute; the others wait for the next
	maxEpoch  = 48 // frames of an epoch
	maxKnown  = 512
)

// Frame takes a frame that arrived at a time, which must not run backwards. It
// returns the minute before when the frame begins another.
func (r *Recorder) Frame(f rtcm.Frame, at time.Time) (done *Minute) {
	done = r.Tick(at)
	if !r.begun {
		r.now, r.begun = Minute{Start: at.Unix() / 60 * 60, Mount: r.Mount}, true
		r.sampled, r.ages, r.epochs, r.chain = false, 0, 0, [32]byte{}
	}
	if !r.last.IsZero() {
		r.now.Gap = max(r.now.Gap, clamp(at.Sub(r.last)))
	}
	r.last = at
	r.now.Frames++
	r.now.Bytes += uint32(len(f.Raw))
	r.chain = sha256.Sum256(append(r.chain[:], f.Raw...))
	switch _, kind, ok := rtcm.MSMOf(f.Type); {
	case ok && kind >= 4:
		r.observation(f, at)
	case place(f.Type):
		r.station = bytes.Clone(f.Raw)
	case f.Type == 1033:
		r.descriptor = bytes.Clone(f.Raw)
	case orbital(f.Type):
		r.orbit(f)
	}
	return done
}

// Tick returns the minute before if it is over at a time.
func (r *Recorder) Tick(at time.Time) *Minute {
	if !r.begun || at.Unix()/60*60 <= r.now.Start {
		return nil
	}
	r.begun = false
	m := r.now
	m.Chain = bytes.Clone(r.chain[:])
	if r.epochs > 0 {
		m.Age = clamp(time.Duration(r.ages/r.epochs) * time.Millisecond)
	}
	if r.Base != nil {
		m.Base = bytes.Clone(r.Base[:])
	}
	var front [][]byte
	for _, s := range [][]byte{r.station, r.descriptor} {
		if s != nil {
			front = append(front, s)
		}
	}
	n := min(len(r.fresh), maxOrbits)
	for _, k := range r.fresh[:n] {
		front = append(front, r.orbits[k])
	}
	r.fresh = slices.Clone(r.fresh[n:])
	m.Sample = append(front, m.Sample...)
	return &m
}

func clamp(d time.Duration) uint32 { return uint32(min(max(d, 0), time.Hour).Milliseconds()) }

func (r *Recorder) observation(f rtcm.Frame, at time.Time) {
	if len(r.pending) < maxEpoch {
		r.pending = append(r.pending, bytes.Clone(f.Raw))
	}
	if rtcm.More(f) {
		return
	}
	whole := r.pending
	r.pending = nil
	t, ok := epochTime(whole, at)
	if !ok {
		return
	}
	r.now.Seconds |= 1 << (((t.Unix() % 60) + 60) % 60)
	r.ages += uint64(clamp(at.Sub(t)))
	r.epochs++
	if !r.sampled && t.Unix() >= r.now.Start {
		r.sampled, r.now.Sample = true, whole
	}
}

func (r *Recorder) orbit(f rtcm.Frame) {
	k := [2]int{f.Type, satelliteOf(f)}
	if bytes.Equal(r.orbits[k], f.Raw) {
		return
	}
	if r.orbits == nil || len(r.orbits) >= maxKnown {
		r.orbits, r.fresh = map[[2]int][]byte{}, nil
	}
	r.orbits[k] = bytes.Clone(f.Raw)
	if !slices.Contains(r.fresh, k) {
		r.fresh = append(r.fresh, k)
	}
}

// satelliteOf reads the six bits behind the message number, where all orbits have
// the satellite.
func satelliteOf(f rtcm.Frame) int {
	if len(f.Payload) < 3 {
		return 0
	}
	return int(f.Payload[1]&15)<<2 | int(f.Payload[2]>>6)
}

// epochTime is the time of an epoch, from a message of a system that counts GPS's
// week where there is one.
func epochTime(frames [][]byte, near time.Time) (t time.Time, ok bool) {
	best := 3
	for _, raw := range frames {
		f, err := frame(raw)
		if err != nil {
			continue
		}
		system, _, _ := rtcm.MSMOf(f.Type)
		m, err := rtcm.DecodeMSM(f)
		if err != nil {
			continue
		}
		if rank, at := clock(system, m.Epoch, near); rank < best {
			best, t = rank, at
		}
	}
	return t, best < 3
}

// clock turns an epoch of a system into UTC; the lower the rank, the surer it is.
func clock(s rtcm.System, epoch time.Duration, near time.Time) (rank int, t time.Time) {
	switch s {
	case rtcm.BeiDou:
		return 1, orbit.Near(epoch+14*time.Second, near)
	case rtcm.GLONASS: // Moscow's time of day
		const day = 24 * time.Hour
		moscow := near.Add(3 * time.Hour)
		midnight := moscow.Truncate(day)
		off := (epoch%day - moscow.Sub(midnight)) % day
		if off > day/2 {
			off -= day
		} else if off < -day/2 {
			off += day
		}
		return 2, near.Add(off)
	}
	return 0, orbit.Near(epoch, near)
}
