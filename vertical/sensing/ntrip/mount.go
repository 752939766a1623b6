package ntrip

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// piece is a part of a base's stream that ends between two frames. It is shared
// by all rovers and never changed.
type piece struct {
	data    []byte
	border  bool // an epoch ends here
	arrived time.Time
}

// mount is a mount point with a base on it.
type mount struct {
	name  string
	since time.Time

	mu       sync.Mutex
	rovers   map[chan *piece]func() // cancels a rover that does not keep up
	closed   bool
	frames   int64
	bytes    int64
	last     time.Time
	types    map[int]int
	systems  map[rtcm.System]bool
	station  []byte // newest 1005 or 1006, whole frame
	place    Position
	placed   bool
	receiver string
}

func newMount(name string, now time.Time) *mount {
	return &mount{name: name, since: now, last: now, rovers: map[chan *piece]func(){}, types: map[int]int{}, systems: map[rtcm.System]bool{}}
}

// backlog is how many pieces a rover may be behind. A base sends one to a few
// pieces a second; a recording that is replayed, hundreds.
const backlog = 512

// join subscribes a rover; slow is called when it does not keep up. ok is false
// if the base has gone.
func (m *mount) join(slow func()) (c chan *piece, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, false
	}
	c = make(chan *piece, backlog)
	m.rovers[c] = slow
	return c, true
}

// leave ends a subscription.
func (m *mount) leave(c chan *piece) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rovers, c)
}

// publish gives a piece to all rovers.
func (m *mount) publish(p *piece) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += int64(len(p.data))
	m.last = p.arrived
	for c, slow := range m.rovers {
		select {
		case c <- p:
		default:
			delete(m.rovers, c)
			close(c)
			slow()
		}
	}
}

// close tells the rovers that the base has gone.
func (m *mount) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for c := range m.rovers {
		close(c)
	}
	clear(m.rovers)
}

// note learns from a frame what the source table and NEAR need. It reports
// whether an epoch ends with it.
func (m *mount) note(f rtcm.Frame) (border bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frames++
	m.types[f.Type]++
	if s, kind, ok := rtcm.MSMOf(f.Type); ok {
		m.systems[s] = true
		return kind >= 4 && !rtcm.More(f)
	}
	switch f.Type {
	case 1001, 1002, 1003, 1004:
		m.systems[rtcm.GPS] = true
		return !rtcm.More(f)
	case 1009, 1010, 1011, 1012:
		m.systems[rtcm.GLONASS] = true
		return !rtcm.More(f)
	case 1005, 1006:
		if s, err := rtcm.DecodeStation(f); err == nil {
			m.station = slices.Clone(f.Raw)
			m.place, m.placed = positionOf(s.ECEF), true
		}
	case 1033:
		if d, err := rtcm.DecodeDescriptor(f); err == nil {
			m.receiver = d.Receiver
		}
	}
	return false
}

// where is what NEAR looks at for each rover and epoch.
func (m *mount) where() (place Position, placed bool, last time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.place, m.placed, m.last
}

// fresh reports whether nothing came from the base yet.
func (m *mount) fresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.frames == 0
}

// info is a copy of what is known of a mount.
type info struct {
	name, receiver string
	types          []int
	systems        []rtcm.System
	place          Position
	placed         bool
	frames         int64
	rovers         int
	last           time.Time
	station        []byte
}

func (m *mount) info() info {
	m.mu.Lock()
	defer m.mu.Unlock()
	return info{
		name: m.name, receiver: m.receiver, place: m.place, placed: m.placed, frames: m.frames,
		rovers: len(m.rovers), last: m.last, station: m.station,
		types: slices.Sorted(maps.Keys(m.types)), systems: slices.Sorted(maps.Keys(m.systems)),
	}
}
