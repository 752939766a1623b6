package gnss

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
)

// begin is when the windows of the tests begin.
var begin = time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)

// record sends the frames of epochs through a recorder, each at its time and a
// delay, and returns the minutes.
func record(t testing.TB, r *Recorder, from time.Time, epochs int, step, delay time.Duration, frames func(at time.Time) [][]byte) (out []Minute) {
	t.Helper()
	at := from
	for range epochs {
		for _, raw := range frames(at) {
			f, err := frame(raw)
			if err != nil {
				t.Fatal(err)
			}
			if m := r.Frame(f, at.Add(delay)); m != nil {
				out = append(out, *m)
			}
		}
		at = at.Add(step)
	}
	if m := r.Tick(at.Add(time.Minute)); m != nil {
		out = append(out, *m)
	}
	return out
}

func TestRecorder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x := gnsstest.Receiver{ID: 7, Place: munich, Noise: 0.3, Kind: 7}
	sent := 0
	minutes := record(t, &Recorder{Mount: "ROOF"}, begin, 150, time.Second, 300*time.Millisecond, func(at time.Time) [][]byte {
		out := [][]byte{gnsstest.Station(7, munich)}
		if at.Second() == 0 {
			out = append(out, gnsstest.Orbits(at)...)
		}
		out = append(out, x.Observe(at, rng)...)
		sent += len(out)
		return out
	})
	if len(minutes) != 3 {
		t.Fatalf("%d minutes, want 3", len(minutes))
	}
	frames := 0
	for i, m := range minutes {
		frames += int(m.Frames)
		p, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(p)
		if err != nil || back.Seconds != m.Seconds || !bytes.Equal(back.Chain, m.Chain) {
			t.Fatalf("minute %d came back as %+v, %v", i, back, err)
		}
		want := 60
		if i == 2 {
			want = 30
		}
		if got := bits.OnesCount64(m.Seconds); got != want || m.Age != 300 || m.Gap != 1000 && i < 2 {
			t.Errorf("minute %d: %d seconds, age %d ms, gap %d ms; want %d, 300, 1000", i, got, m.Age, m.Gap, want)
		}
		s, ok := sampleOf(m, nil2)
		if !ok || s.station == nil || len(s.sights) < 20 {
			t.Errorf("minute %d: sample %v with %d satellites", i, ok, len(s.sights))
		}
		t.Logf("minute %d: %d bytes, %d frames in the sample", i, len(p), len(m.Sample))
	}
	if frames != sent {
		t.Errorf("%d frames counted, %d sent", frames, sent)
	}
	// All orbits are published once, 64 a minute.
	if a, b := len(minutes[0].Sample), len(minutes[1].Sample); a != 1+64+4 || b != 1+26+4 {
		t.Errorf("samples of %d and %d frames", a, b)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := func() Minute { return Minute{Start: 60, Mount: "M", Chain: make([]byte, 32)} }
	station := gnsstest.Station(1, munich)
	for name, change := range map[string]func(*Minute){
		"half a minute":         func(m *Minute) { m.Start = 90 },
		"a short chain":         func(m *Minute) { m.Chain = m.Chain[:31] },
		"second 60":             func(m *Minute) { m.Seconds = 1 << 60 },
		"a long name":           func(m *Minute) { m.Mount = string(make([]byte, 101)) },
		"a short base":          func(m *Minute) { m.Base = []byte{1} },
		"a broken frame":        func(m *Minute) { m.Sample = [][]byte{station[:len(station)-1]} },
		"two frames in one":     func(m *Minute) { m.Sample = [][]byte{append(bytes.Clone(station), station...)} },
		"a message of no use":   func(m *Minute) { m.Sample = [][]byte{encode1230} },
		"more frames than many": func(m *Minute) { m.Sample = make([][]byte, MaxFrames+1) },
	} {
		m := good()
		change(&m)
		p, err := encoding.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(p); !errors.Is(err, ErrMinute) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s can be written", name)
		}
	}
	m := good()
	m.Sample = [][]byte{station}
	p, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(p); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	m := Minute{Start: 60, Mount: "M", Chain: make([]byte, 32), Sample: append([][]byte{gnsstest.Station(1, munich)},
		gnsstest.Receiver{Place: munich, Kind: 7}.Observe(begin, rand.New(rand.NewPCG(1, 1)))...)}
	p, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := Decode(p)
		if err != nil {
			return
		}
		_, _ = sampleOf(m, nil2)
		if _, err := m.Encode(); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
