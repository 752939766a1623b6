package ntrip

import (
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRovers measures how much later than its base wrote an epoch a rover
// has read it: 5,000 rovers on 100 mounts, an epoch a second each, with bases
// that are spread over the second. Everything runs in this process, so rovers
// and bases take part of the machine.
func BenchmarkRovers(b *testing.B) {
	for _, size := range []struct{ mounts, rovers int }{{10, 500}, {100, 5000}} {
		b.Run(strconv.Itoa(size.rovers), func(b *testing.B) { benchRovers(b, size.mounts, size.rovers) })
	}
}

func benchRovers(b *testing.B, mounts, rovers int) {
	c, addr := start(b, &gate{}, nil)
	epoch := epochs(b, capture(b))[1]
	rounds := max(3, min(b.N, 10))
	var wrote = make([][]atomic.Int64, mounts)
	var bases []io.Writer
	for m := range mounts {
		wrote[m] = make([]atomic.Int64, rounds)
		bases = append(bases, push(b, addr, "B"+strconv.Itoa(m)))
	}
	late := make([][]time.Duration, rovers)
	var all sync.WaitGroup
	for r := range rovers {
		m := r % mounts
		_, in := dial(b, addr, oldRover("B"+strconv.Itoa(m)))
		expect(b, in, "ICY 200 OK")
		all.Go(func() {
			got := make([]byte, len(epoch))
			for n := range rounds {
				if _, err := io.ReadFull(in, got); err != nil {
					b.Error(err)
					return
				}
				late[r] = append(late[r], time.Duration(time.Now().UnixNano()-wrote[m][n].Load()))
			}
		})
	}
	for _, base := range c.Bases() {
		for base.Rovers < rovers/mounts {
			time.Sleep(10 * time.Millisecond)
			for _, again := range c.Bases() {
				if again.Mount == base.Mount {
					base = again
				}
			}
		}
	}
	b.ResetTimer()
	began := time.Now()
	for n := range rounds {
		for m := range mounts {
			time.Sleep(time.Until(began.Add(time.Duration(n)*time.Second + time.Duration(m)*time.Second/time.Duration(mounts))))
			wrote[m][n].Store(time.Now().UnixNano())
			if _, err := bases[m].Write(epoch); err != nil {
				b.Fatal(err)
			}
		}
	}
	all.Wait()
	flat := slices.Concat(late...)
	slices.Sort(flat)
	b.ReportMetric(float64(flat[len(flat)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(flat[len(flat)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(len(epoch)*rovers), "B/s")
}

// BenchmarkClosest is what NEAR does for each rover at the end of each epoch, among a
// thousand bases.
func BenchmarkClosest(b *testing.B) {
	c, now := New(Config{Gate: &gate{}}), time.Now().Add(time.Hour)
	for i := range 1000 {
		m := newMount("B"+strconv.Itoa(i), now)
		m.place, m.placed = Position{48 + float64(i%40)/100, 11 + float64(i/40)/100}, true
		for t := 1074; t < 1134; t += 10 {
			m.types[t] = 1
		}
		c.put(m)
	}
	for b.Loop() {
		if best, _ := c.closest(Position{48.2, 11.1}); best == nil {
			b.Fatal("there is none")
		}
	}
}
