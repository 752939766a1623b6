package events

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

var began = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

var window = sensing.Window{Began: began, Ended: began.Add(24 * time.Hour)}

// seen are events along a way, one at each point, of classes as a street has them.
func seen(rnd *rand.Rand, way []track.Point) []Event {
	out := make([]Event, len(way))
	for i, p := range way {
		left, top := uint16(rnd.IntN(8000)), uint16(rnd.IntN(8000))
		out[i] = Event{
			Time: time.UnixMilli(p.Time).UTC(), Class: 1 + Class(rnd.IntN(6)), Confidence: uint16(400 + rnd.IntN(600)),
			Box:  Box{Left: left, Top: top, Right: left + 500, Bottom: top + 700},
			Pose: Pose{Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600, Speed: 1000},
		}
	}
	return out
}

// trip is an hour's drive in Munich.
func trip(seed uint64, after time.Duration) []Event {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return seen(rnd, drive.Drive(rnd, began.Add(after).UnixMilli(), 1200, 3, 48.14, 11.57))
}

func payload(t testing.TB, events []Event) []byte {
	t.Helper()
	p, err := Encode(events)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func station(t testing.TB, id byte, owner string, events []Event) sensing.Station {
	t.Helper()
	s := sensing.Station{Device: vertical.Device{ID: [32]byte{id}, Owner: owner}}
	var batches []*sensing.Batch
	for part := range slices.Chunk(events, 800) {
		batches = append(batches, &sensing.Batch{Content: Content, Payload: payload(t, part)})
	}
	s.Batches = slices.Values(batches)
	return s
}

func weights(t testing.TB, stations ...sensing.Station) []uint64 {
	t.Helper()
	parts, err := Kind{}.Weigh(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(parts))
	for i := range parts {
		if out[i], err = (vertical.Line{Parts: parts[i]}).Weight(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d from %v", stations[i].Owner, out[i], parts[i])
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	want := trip(1, 0)[:100]
	p := payload(t, want)
	got, err := Decode(p)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("events do not come back: %v", err)
	}
	first, last, err := Format{}.Times(p)
	if err != nil || !first.Equal(want[0].Time) || !last.Equal(want[99].Time) {
		t.Errorf("times %v to %v, %v, want %v to %v", first, last, err, want[0].Time, want[99].Time)
	}
	if n := len(payload(t, trip(1, 0)[:1000])); n > sensing.MaxBatch-1024 {
		t.Errorf("1000 events have %d bytes, too many for a batch", n)
	}
}

func TestMalformed(t *testing.T) {
	good := trip(1, 0)[0]
	for name, spoil := range map[string]func(*Event){
		"class 0":       func(e *Event) { e.Class = 0 },
		"unknown class": func(e *Event) { e.Class = classes },
		"confidence":    func(e *Event) { e.Confidence = 1001 },
		"empty box":     func(e *Event) { e.Box.Right = e.Box.Left },
		"box outside":   func(e *Event) { e.Box.Bottom = 10_001 },
		"latitude":      func(e *Event) { e.Pose.Lat = 91e7 },
		"heading":       func(e *Event) { e.Pose.Heading = 3600 },
		"time":          func(e *Event) { e.Time = time.UnixMilli(-1) },
	} {
		e := good
		spoil(&e)
		if _, err := Encode([]Event{e}); err == nil {
			t.Errorf("%s: is encoded", name)
		}
	}
	if _, err := Decode(nil); err == nil {
		t.Error("nothing is decoded")
	}
	if Class(3).String() != "bus" || Flooding.String() != "flooding" || Class(99).String() != "class 99" {
		t.Errorf("names of classes: %s, %s, %s", Class(3), Flooding, Class(99))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(payload(f, trip(1, 0)[:3]))
	f.Add([]byte{0x83, 1, 0, 0x80})
	f.Fuzz(func(t *testing.T, p []byte) {
		events, err := Decode(p)
		if err != nil {
			return
		}
		again, err := Encode(events)
		if err != nil {
			t.Fatalf("what was decoded is not encoded: %v", err)
		}
		if back, err := Decode(again); err != nil || !reflect.DeepEqual(back, events) {
			t.Fatalf("comes back as %v, %v", back, err)
		}
	})
}

// Two who drive the same streets earn more than one alone, and each event more is
// worth less.
func TestWorth(t *testing.T) {
	a, b := trip(1, 0), trip(1, time.Minute)
	rnd := rand.New(rand.NewPCG(9, 9))
	for i := range b { // the same streets, other boxes
		b[i].Box.Left = uint16(rnd.IntN(int(b[i].Box.Right)))
	}
	alone := weights(t, station(t, 1, "a", a))[0]
	both := weights(t, station(t, 1, "a", a), station(t, 2, "b", b))
	if alone == 0 || both[0]+both[1] <= alone || both[0] > 2*alone {
		t.Errorf("alone %d, with another %v", alone, both)
	}
	few := weights(t, station(t, 1, "a", a[:len(a)/10]))[0]
	if few*10 <= alone {
		t.Errorf("a tenth of the drive earns %d of %d", few, alone)
	}
	if got := diminished(1e6); got != 341_417 {
		t.Errorf("one event is worth %d, want 1/H(10) = 341417", got)
	}
	if diminished(10e6) != whole || diminished(99e6) != whole {
		t.Error("ten events are not worth the whole")
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, sensing.Vertical{Kinds: []sensing.Kind{Kind{}}}, func(k int) conformance.World { return world(t, k) },
		conformance.Decoder{Name: "events", Decode: func(p []byte) error { _, err := Decode(p); return err }, Valid: payload(t, trip(1, 0)[:20])})
}

// world is a day on which an owner tells what one camera saw with k keys, beside
// another owner on the same streets.
func world(t *testing.T, k int) conformance.World {
	w := conformance.World{Epoch: 5, Began: window.Began.Unix(), Ended: window.Ended.Add(sensing.Settle).Unix()}
	var rows []sensing.Row
	add := func(seed byte, owner string, events []Event) [32]byte {
		s := sensingtest.NewSigner(seed)
		id := s.PublicKey().ID()
		w.Devices = append(w.Devices, vertical.Device{ID: id, Owner: owner, Class: vertical.PRN})
		var previous sensing.Hash
		counter := uint64(0)
		for part := range slices.Chunk(events, 800) {
			counter++
			b, err := sensing.SealPayload(s, conformance.ChainID, counter, previous, Content, payload(t, part))
			if err != nil {
				t.Fatal(err)
			}
			previous = b.Hash
			rows = append(rows, sensing.RowOf(s.PublicKey(), b.Raw))
		}
		return id
	}
	split := make([][]Event, k)
	for i, e := range trip(1, 0)[:300] {
		split[i%k] = append(split[i%k], e)
		split[(i+1)%k] = append(split[(i+1)%k], e) // and tells some twice
	}
	for i := range split {
		w.Subject = append(w.Subject, add(byte(10+i), "farmer", split[i]))
	}
	add(1, "other", trip(1, 90*time.Second)[:300])
	w.Evidence = []conformance.Rows{conformance.Of(sensing.Batches, func(sensing.Row) segment.Name { return segment.Name{Day: segment.DayOf(began)} }, rows...)}
	return w
}
