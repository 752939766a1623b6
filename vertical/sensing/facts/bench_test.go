package facts_test

import (
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/facts/factstest"
)

// BenchmarkCounts makes a day of a city in which a hundred cars told of 60,000
// things.
func BenchmarkCounts(b *testing.B) {
	c := factstest.NewCameras()
	for i := range 100 {
		c.Drive(b, i, day.Add(9*time.Hour))
	}
	now := func() time.Time { return day.Add(24*time.Hour + sensing.Late + sensing.Settle) }
	k := c.Keeper(b, now)
	q := facts.Query{From: day, To: day.Add(24 * time.Hour), Cell: munich.Parent(3)}
	var err error
	if q.Product, err = k.Product("events", "counts"); err != nil {
		b.Fatal(err)
	}
	b.Run("made", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			k := c.Keeper(b, now)
			b.StartTimer()
			if got, err := k.Facts(b.Context(), q); err != nil || len(got) == 0 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		if _, err := k.Facts(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if got, err := k.Facts(b.Context(), q); err != nil || len(got) == 0 {
				b.Fatal(len(got), err)
			}
		}
	})
}
