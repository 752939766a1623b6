package store

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

var (
	start  = time.Date(2026, 3, 27, 22, 0, 0, 0, time.UTC)
	munich = h3.At(48.14, 11.57, h3.PublishedResolution)
)

func open(t testing.TB, dir string, l *storetest.Log) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, ChainID: storetest.Chain, Registry: l, Kinds: []sensing.Kind{weather.Kind{}, walkers{}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// walkers is a kind whose devices move.
type walkers struct{ sensing.Kind }

func (walkers) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "noise", Variables: []string{"leq"}}
}

// fill puts hours of readings of n stations, every ten minutes, into the log. They
// end on the next day.
func fill(t testing.TB, l *storetest.Log, n, hours int) {
	t.Helper()
	for i := range n {
		s := storetest.NewStation(t, i)
		cell := munich
		if i%2 == 1 {
			cell = h3.At(48.20, 11.70, h3.PublishedResolution)
		}
		for h := range hours {
			var records []senml.Record
			for m := range 6 {
				at := start.Add(time.Duration(h*60+m*10) * time.Minute)
				records = append(records, storetest.Reading("temperature", at, float64(i)+float64(m)/10), storetest.Reading("pressure", at, 1000+float64(h)))
			}
			l.Add(s, cell, s.Batch(t, records...))
		}
	}
}

func scan(t testing.TB, s *Store, q Query) (out []Row) {
	t.Helper()
	for f, err := range s.Scan(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *f.Row)
	}
	slices.SortFunc(out, func(a, b Row) int { return compare(&a, &b) })
	return out
}

func everything() Query {
	return Query{Cell: munich.Parent(ParentResolution), From: start.Add(-time.Hour), To: start.Add(96 * time.Hour)}
}

// same compares rows by their leaves, since a NaN is not itself.
func same(a, b []Row) bool {
	return slices.EqualFunc(a, b, func(a, b Row) bool { return bytes.Equal(leaf(nil, &a), leaf(nil, &b)) })
}

func TestRowsAreTheSameFromMemoryAndFiles(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 4, 5)
	dir := t.TempDir()
	s := open(t, dir, l)
	if err := s.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	fromMemory := scan(t, s, everything())
	if len(fromMemory) != 4*5*12 {
		t.Fatalf("%d rows, want %d", len(fromMemory), 4*5*12)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, s, everything()); !same(got, fromMemory) {
		t.Errorf("%d rows from files are not those from memory", len(got))
	}
	cases := map[string]struct {
		change func(*Query)
		want   int
	}{
		"one cell":      {func(q *Query) { q.Cell = munich }, 2 * 5 * 12},
		"one variable":  {func(q *Query) { q.Variables = []string{"pressure"} }, 4 * 5 * 6},
		"one hour":      {func(q *Query) { q.From, q.To = start.Add(2*time.Hour), start.Add(3*time.Hour) }, 4 * 12},
		"another kind":  {func(q *Query) { q.Kind = "noise" }, 0},
		"one device":    {func(q *Query) { q.Device = storetest.NewStation(t, 3).ID() }, 5 * 12},
		"another place": {func(q *Query) { q.Cell = h3.At(52.5, 13.4, 6) }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q := everything()
			c.change(&q)
			if got := len(scan(t, s, q)); got != c.want {
				t.Errorf("%d rows, want %d", got, c.want)
			}
		})
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A store that was killed reads the rest of the log again: nothing is lost and
// nothing is there twice, wherever it was.
func TestNothingIsLostOrTwice(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 3, 12)
	whole := open(t, t.TempDir(), l)
	if err := whole.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	want := scan(t, whole, everything())
	dir := t.TempDir()
	for stop := 1; stop <= l.Len(); stop += 2 {
		s := open(t, dir, l)
		if err := s.Catch(t.Context(), l.First(stop)); err != nil {
			t.Fatal(err)
		}
		if stop%4 == 1 {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Catch(t.Context(), l.First(min(stop+1, l.Len()))); err != nil {
				t.Fatal(err)
			}
		}
		// Killed: not closed.
	}
	s := open(t, dir, l)
	if err := s.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, s, everything()); !same(got, want) {
		t.Errorf("%d rows after crashes, want %d", len(got), len(want))
	}
	if got, want := s.Streams(), whole.Streams(); len(got) != len(want) || got[0].Rows != want[0].Rows || got[0].Time != want[0].Time {
		t.Errorf("streams %+v, want %+v", got, want)
	}
}

func TestManyFilesBecomeOne(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 1, 20)
	dir := t.TempDir()
	s := open(t, dir, l)
	for i := range l.Len() {
		if err := s.Catch(t.Context(), l.First(i+1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(scan(t, s, everything())); got != 20*12 {
		t.Errorf("%d rows, want %d", got, 20*12)
	}
	var files int
	for _, of := range s.files {
		files += len(of)
	}
	if files > 2*manyFiles {
		t.Errorf("%d files for two days", files)
	}
	again := open(t, dir, l)
	if got := len(scan(t, again, everything())); got != 20*12 {
		t.Errorf("%d rows after opening again, want %d", got, 20*12)
	}
}

// The files are plain Parquet and commit to their rows.
func TestFilesAreParquet(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 2, 1)
	dir := t.TempDir()
	s := open(t, dir, l)
	if err := errors.Join(s.Catch(t.Context(), l), s.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "files/segments/obs-weather/*/2026-03-27/*.parquet"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v: %v", names, err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	seg, err := segment.Verify(f, info.Size(), Files("weather"))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(names[0]) != seg.Root.String()+".parquet" {
		t.Errorf("file %s has the root %s", names[0], seg.Root)
	}
	type plain struct { // as somebody else would read it
		Time     time.Time `parquet:"time,timestamp"`
		Cell     uint64    `parquet:"cell"`
		Variable string    `parquet:"variable"`
		Value    float64   `parquet:"value"`
	}
	r := parquet.NewGenericReader[plain](f)
	rows := make([]plain, 100)
	n, err := r.Read(rows)
	if n != 24 || err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%d rows: %v", n, err)
	}
	if rows[0].Variable != "pressure" || !rows[0].Time.Equal(start) || rows[0].Value != 1000 || h3.Cell(rows[0].Cell).Parent(3) != munich.Parent(3) {
		t.Errorf("first row is %+v", rows[0])
	}
}

func TestQualityBits(t *testing.T) {
	l := storetest.NewLog()
	s := storetest.NewStation(t, 1)
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	l.Add(s, munich, s.Batch(t, storetest.Reading("pressure", at(0), 1000), storetest.Reading("pressure", at(5), 1020), storetest.Reading("pressure", at(10), 1400), storetest.Reading("temperature", at(1), 99)))
	st := open(t, t.TempDir(), l)
	if err := st.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for _, r := range scan(t, st, everything()) {
		got = append(got, r.QC)
	}
	if want := []uint32{0, Jump, OutOfBounds | Jump, OutOfBounds}; !slices.Equal(got, want) {
		t.Errorf("bits %v, want %v", got, want)
	}
	q := everything()
	q.Refuse = OutOfBounds
	if got := len(scan(t, st, q)); got != 2 {
		t.Errorf("%d rows in bounds, want 2", got)
	}
}

// A device that moves leaves a small cell and no track; its streams are not shown.
func TestMovingDevices(t *testing.T) {
	l := storetest.NewLog()
	s := storetest.NewStation(t, 1)
	l.Add(s, 0, s.Batch(t,
		senml.Record{Name: "lat", Unit: "lat", Time: start, Value: 48.137154}, senml.Record{Name: "lon", Unit: "lon", Time: start, Value: 11.576124},
		senml.Record{Name: "leq", Unit: "dB", Time: start, Value: 61}, senml.Record{Name: "leq", Unit: "dB", Time: start.Add(time.Second), Value: 61}))
	st := open(t, t.TempDir(), l)
	if err := st.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	rows := scan(t, st, everything())
	if len(rows) != 1 { // the second one says no place
		t.Fatalf("%d rows, want 1", len(rows))
	}
	if r := rows[0]; h3.Cell(r.Cell).Resolution() != MovingResolution || r.Lat == 48.137154 || math.Abs(r.Lat-48.137154) > 0.001 {
		t.Errorf("row %+v", r)
	}
	if got := st.Streams(); len(got) != 0 {
		t.Errorf("streams of walkers are shown: %v", got)
	}
}

func TestWatch(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 1, 2)
	s := open(t, t.TempDir(), l)
	fast, stop := s.Watch(100, func(e *Event) bool { return e.Variable == "pressure" })
	defer stop()
	slow, stopSlow := s.Watch(1, func(*Event) bool { return true })
	defer stopSlow()
	if err := s.Catch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	for range slow.Events { // ends
	}
	if !errors.Is(slow.Err(), ErrSlow) {
		t.Errorf("slow reader ended with %v", slow.Err())
	}
	first := <-fast.Events
	if n := 1 + len(fast.Events); n != 12 {
		t.Errorf("%d events, want 12", n)
	}
	var again int
	for e, err := range s.Replay(t.Context(), l, first.Mark) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Variable == "pressure" {
			again++
		}
	}
	if again != 11 {
		t.Errorf("%d events behind the first, want 11", again)
	}
}
