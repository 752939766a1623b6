package facts_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/air"
	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

var (
	day    = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	munich = h3.At(48.14, 11.57, 8)
)

// town is a log with who owns what; owners count how often they are asked for.
type town struct {
	*storetest.Log
	owners map[device.ID]facts.Home
}

func (w *town) Device(_ context.Context, id device.ID) (facts.Home, error) {
	if h, ok := w.owners[id]; ok {
		return h, nil
	}
	return facts.Home{}, ingest.ErrUnknown
}

// car drives around for an hour and tells of what it sees each three seconds.
func (w *town) car(t *testing.T, number int, owner string, at time.Time) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(number), 1))
	var seen []events.Event
	for _, p := range drive.Drive(rnd, at.UnixMilli(), 1200, 3, 48.14, 11.57) {
		left := uint16(rnd.IntN(8000))
		seen = append(seen, events.Event{
			Time: time.UnixMilli(p.Time).UTC(), Class: 1 + events.Class(rnd.IntN(2)), Confidence: 900, Box: events.Box{Left: left, Top: 1, Right: left + 500, Bottom: 700},
			Pose: events.Pose{Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600, Speed: 1000},
		})
	}
	s := storetest.NewStation(t, number)
	w.owners[s.ID()] = facts.Home{Owner: owner}
	for i := 0; i < len(seen); i += 800 {
		payload, err := events.Encode(seen[i:min(i+800, len(seen))])
		if err != nil {
			t.Fatal(err)
		}
		w.Add(s, 0, s.Payload(t, events.Content, payload))
	}
}

func newTown() *town { return &town{storetest.NewLog(), map[device.ID]facts.Home{}} }

func (w *town) open(t *testing.T, path string, now time.Time) *facts.Keeper {
	t.Helper()
	k, err := facts.Open(facts.Config{Path: path, ChainID: storetest.Chain, Registry: w, Kinds: []sensing.Kind{events.Kind{}, air.Kind{}}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ask(t *testing.T, k *facts.Keeper, kind, name string, cell h3.Cell) facts.Query {
	t.Helper()
	p, err := k.Product(kind, name)
	if err != nil {
		t.Fatal(err)
	}
	return facts.Query{Product: p, Cell: cell, From: day, To: day.Add(24 * time.Hour)}
}

// A count is told when three owners have a part in it and its day is closed, and
// the same is told of a smaller cell, later, and by a keeper that began anew.
func TestCrowd(t *testing.T) {
	w := newTown()
	for i := range 4 {
		w.car(t, i, fmt.Sprint("owner ", i%3), day.Add(9*time.Hour)) // two of one owner
	}
	w.car(t, 9, "owner 9", day.Add(15*time.Hour)) // alone in his hours
	path := filepath.Join(t.TempDir(), "facts.db")
	closed := day.Add(24*time.Hour + sensing.Late + sensing.Settle)
	k := w.open(t, path, closed.Add(-time.Second))
	if _, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3))); !errors.Is(err, facts.ErrBehind) {
		t.Errorf("before the log is read: %v", err)
	}
	if err := k.Catch(t.Context(), w.First(3)); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3))); err != nil || len(got) > 0 {
		t.Errorf("a day that is not closed: %d facts, %v", len(got), err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}

	k = w.open(t, path, closed)
	defer k.Close()
	if k.Next() != 3 {
		t.Errorf("goes on from record %d, want 3", k.Next())
	}
	if err := k.Catch(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	got, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3)))
	if err != nil || len(got) == 0 {
		t.Fatalf("%d facts, %v", len(got), err)
	}
	within := 0
	for _, f := range got {
		if f.Time.Hour() >= 15 || len(f.Devices) < 3 {
			t.Errorf("%+v is of too few", f)
		}
		if f.Cell.Parent(6) == got[0].Cell.Parent(6) {
			within++
		}
	}
	if some, err := k.Facts(t.Context(), ask(t, k, "events", "counts", got[0].Cell.Parent(6))); err != nil || len(some) != within {
		t.Errorf("in a smaller cell %d facts, %v; want %d", len(some), err, within)
	}
	q := ask(t, k, "events", "counts", munich.Parent(3))
	q.Of, q.From, q.To = got[0].Of, got[0].Time, got[0].Time.Add(time.Second)
	some, err := k.Facts(t.Context(), q)
	for _, f := range some {
		if f.Of != q.Of || !f.Time.Equal(q.From) {
			t.Errorf("asked for %s at %s: %+v", q.Of, q.From, f)
		}
	}
	if len(some) == 0 || len(some) == len(got) {
		t.Errorf("one class in one hour: %d facts of %d, %v", len(some), len(got), err)
	}

	w.car(t, 20, "too late", day.Add(9*time.Hour))
	anew := w.open(t, filepath.Join(t.TempDir(), "facts.db"), closed)
	defer anew.Close()
	if err := errors.Join(k.Catch(t.Context(), w), anew.Catch(t.Context(), w.First(w.Len()-2))); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*facts.Keeper{"what was told stays": k, "a keeper that began anew": anew} {
		if again, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3))); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: %d facts, %v; want the same %d", name, len(again), err, len(got))
		}
	}
}

// Nothing is told of a day before all that came of it is read, however late that
// is: two answers would differ by what one car showed.
func TestBehind(t *testing.T) {
	w := newTown()
	for i := range 3 {
		w.car(t, i, fmt.Sprint("owner ", i), day.Add(9*time.Hour))
	}
	now := day.Add(24 * time.Hour)
	k, err := facts.Open(facts.Config{Path: filepath.Join(t.TempDir(), "facts.db"), ChainID: storetest.Chain, Registry: w, Kinds: []sensing.Kind{events.Kind{}}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Catch(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	w.car(t, 3, "owner 3", day.Add(9*time.Hour)) // in time, and not read
	now = now.Add(sensing.Late + 2*sensing.Settle)
	if got, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3))); err != nil || len(got) > 0 {
		t.Errorf("before all is read: %d facts, %v", len(got), err)
	}
	if err := k.Catch(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3))); err != nil || len(got) == 0 {
		t.Errorf("when all is read: %d facts, %v", len(got), err)
	}
}

// A device that sends more than any phone does is left out, and the others are
// told.
func TestFlood(t *testing.T) {
	w := newTown()
	for i := range 4 {
		w.car(t, i, fmt.Sprint("owner ", i), day.Add(9*time.Hour))
	}
	now := day.Add(24*time.Hour + sensing.Late + sensing.Settle)
	told := func() (n int) {
		k := w.open(t, filepath.Join(t.TempDir(), "facts.db"), now)
		defer k.Close()
		if err := k.Catch(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		all, err := k.Facts(t.Context(), ask(t, k, "events", "counts", munich.Parent(3)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			n = max(n, len(f.Devices))
		}
		return n
	}
	if n := told(); n != 4 {
		t.Errorf("%d cars have a part, want 4", n)
	}
	s := storetest.NewStation(t, 50)
	w.owners[s.ID()] = facts.Home{Owner: "flooder"}
	for i := range 20 {
		at := day.Add(9*time.Hour + time.Duration(i)*time.Second)
		payload, err := events.Encode([]events.Event{{
			Time: at, Class: 1, Confidence: 900, Box: events.Box{Right: 9, Bottom: 9}, Pose: events.Pose{Lat: 481400000, Lon: 115700000},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.Add(s, 0, s.Payload(t, events.Content, payload))
	}
	defer facts.OfOne(10)()
	if n := told(); n != 4 {
		t.Errorf("beside a flood %d cars have a part, want 4", n)
	}
	facts.OfOne(1)
	if n := told(); n != 0 {
		t.Errorf("all send too much: %d cars have a part, want none", n)
	}
}

// A day that goes on is told, and again when there is more.
func TestRunning(t *testing.T) {
	w := newTown()
	s := storetest.NewStation(t, 1)
	w.owners[s.ID()] = facts.Home{Owner: "a", Cell: munich}
	hours := func(from, to int) {
		for h := from; h < to; h++ {
			var all []senml.Record
			for m := 0; m < 60; m += 10 {
				at := day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
				all = append(all, senml.Record{Name: "pm2_5", Time: at, Value: 12 + float64(m%20)/10}, senml.Record{Name: "humidity", Time: at, Value: 50 + float64(m%20)/10})
			}
			w.Add(s, munich, s.Batch(t, all...))
		}
	}
	now := day.Add(6 * time.Hour)
	k, err := facts.Open(facts.Config{Path: filepath.Join(t.TempDir(), "facts.db"), ChainID: storetest.Chain, Registry: w, Kinds: []sensing.Kind{air.Kind{}}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for _, tt := range []struct {
		from, to int
		later    time.Duration
		want     int
	}{{0, 6, 0, 6}, {6, 8, time.Second, 6}, {8, 9, time.Minute, 9}} {
		hours(tt.from, tt.to)
		now = now.Add(tt.later)
		if err := k.Catch(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		got, err := k.Facts(t.Context(), ask(t, k, "air", "index", munich))
		if err != nil || len(got) != tt.want {
			t.Errorf("%s later: %d hours, %v; want %d", tt.later, len(got), err, tt.want)
		}
	}
	if _, err := k.Product("air", "weather"); !errors.Is(err, facts.ErrUnknown) {
		t.Errorf("a product that there is not: %v", err)
	}
}
