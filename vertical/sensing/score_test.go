package sensing_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/cose"
	"github.com/grange-network/grange/vertical/sensing/noise"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

const chain = "test-1"

var ended = time.Date(2026, 3, 2, 0, 10, 0, 0, time.UTC)

// registry knows the devices by their ids.
type registry map[[32]byte]vertical.Device

func (r registry) Device(id [32]byte) (vertical.Device, bool) {
	d, known := r[id]
	return d, known
}

// published is an epoch for which n weather stations showed 30 hours, a reading of
// seven variables each step, a minute of them in a batch.
func published(t testing.TB, n int, step time.Duration) vertical.Input {
	t.Helper()
	devices := registry{}
	cut := evidence.Cutter[sensing.Row]{Dir: t.TempDir(), Kind: sensing.Batches}
	for i := range n {
		s := sensingtest.NewSigner(byte(i))
		id := s.PublicKey().ID()
		devices[id] = vertical.Device{ID: id, Owner: fmt.Sprint("owner ", i), Class: vertical.PRN, Cell: uint64(h3.At(48+0.01*float64(i), 11, 8)), Registered: 1}
		last := new(sensing.Batch)
		for at := ended.Add(-30*time.Hour - 10*time.Minute); at.Before(ended); at = at.Add(max(step, time.Minute)) {
			b, err := sensing.Seal(s, chain, last.Counter+1, last.Hash, minute(i, at, step))
			if err == nil {
				err = cut.Add(segment.Name{Day: segment.DayOf(at)}, sensing.RowOf(s.PublicKey(), b.Raw))
			}
			if err != nil {
				t.Fatal(err)
			}
			last = b
		}
	}
	return fetched(t, &cut, devices)
}

// fetched is an epoch of which everything is published that was cut.
func fetched(t testing.TB, cut *evidence.Cutter[sensing.Row], devices registry) vertical.Input {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cuts, err := cut.Finish()
	must(err)
	store, err := evidence.NewDir(cut.Dir + "/store")
	must(err)
	archive := evidence.New(store)
	m, err := archive.Publish(t.Context(), sensing.Name, 3, cuts)
	must(err)
	in := vertical.Input{ChainID: chain, Epoch: 3, Began: ended.Unix() - 3600, Ended: ended.Unix(), Registry: devices}
	in.Evidence, err = archive.FetchAll(t.Context(), sensing.Name, 3, []merkle.Hash{m.Root}, cut.Dir+"/fetched")
	must(err)
	return in
}

func minute(station int, from time.Time, step time.Duration) (out []senml.Record) {
	for at := from; at.Before(from.Add(max(step, time.Minute))); at = at.Add(step) {
		course := math.Sin((at.Sub(ended).Hours() - 9) * math.Pi / 12)
		wobble := math.Sin(float64(at.Unix()/7+int64(station)*997) * 1.7)
		for _, v := range []struct {
			name  string
			value float64
		}{
			{"temperature", 15 + 8*course + wobble}, {"humidity", 60 - 20*course + 3*wobble}, {"wind_speed", 3 + wobble}, {"wind_direction", 180 + 90*wobble},
			{"pressure", 1010 + course + wobble/5}, {"illuminance", 90_000 * max(0, course)}, {"precipitation_accumulated", 12.7},
		} {
			out = append(out, senml.Record{Name: v.name, Time: at, Value: math.Round(10*v.value) / 10})
		}
	}
	return out
}

// watched is weather in which each range over the batches of all stations is
// followed by a look at what is held.
type watched struct {
	weather.Kind
	look func(batches, bytes int)
}

func (k watched) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	batches, bytes := 0, 0
	for _, s := range stations {
		for b := range s.Batches {
			batches, bytes = batches+1, bytes+len(b.Raw)
		}
	}
	k.look(batches, bytes)
	return k.Kind.Weigh(ctx, w, stations)
}

// readLive reads what is in use; what pools keep needs two collections to go.
func readLive(m *runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(m)
}

// TestBatchesAreNotHeld: what Score holds in memory of a batch is where it is, however
// much is in it.
func TestBatchesAreNotHeld(t *testing.T) {
	in := published(t, 4, time.Second) // 420 readings in a batch
	var was, is runtime.MemStats
	batches, bytes := 0, 0
	v := sensing.Vertical{Kinds: []sensing.Kind{watched{look: func(n, size int) {
		batches, bytes = n, size
		readLive(&is)
	}}}}
	readLive(&was)
	lines, err := v.Score(t.Context(), in)
	if err != nil || len(lines) != 4 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	held := int(is.HeapAlloc) - int(was.HeapAlloc)
	t.Logf("%d batches of %d bytes: %d bytes held for each", batches, bytes/batches, held/batches)
	if held > batches*200 || bytes < batches*2000 {
		t.Errorf("%d bytes are held for %d batches of %d bytes", held, batches, bytes)
	}
}

// TestForkInAnyOrder: which of two batches of one number is met first changes nothing.
func TestForkInAnyOrder(t *testing.T) {
	s := sensingtest.NewSigner(1)
	id := s.PublicKey().ID()
	var rows []sensing.Row
	for _, name := range []string{"temperature", "laeq"} { // two kinds hold one each
		b, err := sensing.Seal(s, chain, 1, sensing.Hash{}, []senml.Record{{Name: name, Time: ended.Add(-time.Hour), Value: 20}})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, sensing.RowOf(s.PublicKey(), b.Raw))
	}
	var first []vertical.Line
	for turn := range 2 {
		cut := evidence.Cutter[sensing.Row]{Dir: t.TempDir(), Kind: sensing.Batches}
		for _, r := range rows {
			if err := cut.Add(segment.Name{Day: 1}, r); err != nil {
				t.Fatal(err)
			}
		}
		slices.Reverse(rows)
		in := fetched(t, &cut, registry{id: {ID: id, Owner: "one", Registered: 1}})
		lines, err := sensing.Vertical{Kinds: []sensing.Kind{weather.Kind{}, noise.Kind{}}}.Score(t.Context(), in)
		if err != nil || len(lines) != 1 || len(lines[0].Parts) != 2 {
			t.Fatalf("%+v, %v", lines, err)
		}
		if turn == 0 {
			first = lines
		} else if !reflect.DeepEqual(lines, first) {
			t.Errorf("%+v, in the other order %+v", first, lines)
		}
	}
}

// TestSignaturesAreRemembered: what is remembered of rows changes no score, and a row of which
// another differs in any part is checked.
func TestSignaturesAreRemembered(t *testing.T) {
	s, forger := sensingtest.NewSigner(1), sensingtest.NewSigner(2)
	id := s.PublicKey().ID()
	b, err := sensing.Seal(s, chain, 1, sensing.Hash{}, []senml.Record{{Name: "temperature", Time: ended.Add(-time.Hour), Value: 20}})
	if err != nil {
		t.Fatal(err)
	}
	honest := sensing.RowOf(s.PublicKey(), b.Raw)
	changed := honest
	changed.Batch = slices.Clone(b.Raw)
	changed.Batch[len(changed.Batch)-1] ^= 1 // of the signature
	stranger := sensing.RowOf(forger.PublicKey(), b.Raw)
	v := sensing.Vertical{Kinds: []sensing.Kind{weather.Kind{}}, Checked: new(sensing.Checked)}
	for _, tt := range []struct {
		name  string
		rows  []sensing.Row
		lines int
	}{{"changed, first", []sensing.Row{changed, stranger}, 0}, {"true", []sensing.Row{honest}, 1}, {"again", []sensing.Row{honest}, 1}, {"changed, afterwards", []sensing.Row{changed, stranger}, 0}} {
		cut := evidence.Cutter[sensing.Row]{Dir: t.TempDir(), Kind: sensing.Batches}
		for _, r := range tt.rows {
			if err := cut.Add(segment.Name{Day: 1}, r); err != nil {
				t.Fatal(err)
			}
		}
		lines, err := v.Score(t.Context(), fetched(t, &cut, registry{id: {ID: id, Owner: "one", Registered: 1}}))
		if err != nil || len(lines) != tt.lines {
			t.Errorf("%s: %d lines, %v, want %d", tt.name, len(lines), err, tt.lines)
		}
	}
}

// BenchmarkScore scores stations of a verifier's epoch, each of which reports every
// 16 seconds, a minute in a batch: what it costs, what its signatures alone do, and
// what is held at most.
func BenchmarkScore(b *testing.B) {
	const stations = 50
	in := published(b, stations, 16*time.Second)
	v := sensing.Vertical{Kinds: []sensing.Kind{weather.Kind{}}}
	score := func() {
		if _, err := v.Score(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	began := spent(b)
	for b.Loop() {
		score()
	}
	b.ReportMetric((spent(b)-began).Seconds()*1000/float64(b.N*stations), "CPU-ms/station")
	b.ReportMetric(signatures(b, in).Seconds()*1000/stations, "signature-ms/station")
	b.ReportMetric(most(score)/stations/1e6, "MB/station")
	v.Checked = new(sensing.Checked)
	score()
	began = spent(b)
	for range b.N {
		score()
	}
	b.ReportMetric((spent(b)-began).Seconds()*1000/float64(b.N*stations), "next-CPU-ms/station")
}

// most is what a function holds in memory at most, in bytes, with a tenth of it that
// is not collected yet.
func most(f func()) float64 {
	var was, now runtime.MemStats
	readLive(&was)
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	done := make(chan struct{})
	go func() { f(); close(done) }()
	for held := uint64(0); ; {
		select {
		case <-done:
			return float64(held - was.HeapAlloc)
		case <-time.After(10 * time.Millisecond):
			runtime.ReadMemStats(&now)
			held = max(held, now.HeapAlloc)
		}
	}
}

// signatures is the processor time of checking those of all batches.
func signatures(b *testing.B, in vertical.Input) (sum time.Duration) {
	keys := map[string]device.PublicKey{}
	for row, err := range evidence.Rows(in.Evidence, sensing.Batches) {
		if err != nil {
			b.Fatal(err)
		}
		key, known := keys[string(row.Key)]
		if !known {
			if key, err = device.NewPublicKey(device.KeyType(row.KeyType), row.Key); err != nil {
				b.Fatal(err)
			}
			keys[string(row.Key)] = key
		}
		m, err := cose.Parse(row.Batch)
		if err != nil {
			b.Fatal(err)
		}
		began := spent(b)
		if key.Verify(m.Payload, m.Signature) { // of something else, at the same cost
			b.Fatal("the signature is of the payload alone")
		}
		sum += spent(b) - began
	}
	return sum
}

// spent is the processor time of this process.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
