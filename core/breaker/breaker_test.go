package breaker

import (
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

func TestWindowByHand(t *testing.T) {
	w := Window{}.Add(100, 1000, 60)
	for _, c := range []struct {
		name string
		now  int64
		want uint64
	}{
		{"at once", 1000, 0}, {"clock behind", 10, 0}, {"half the span", 1030, 50},
		{"one second", 1001, 1}, {"the span", 1060, 100}, {"long after", 9999, 100},
	} {
		if got := w.Room(100, c.now, 60); got != c.want {
			t.Errorf("%s: room %d, want %d", c.name, got, c.want)
		}
	}
	if got := w.Room(40, 1000, 60); got != 0 {
		t.Errorf("a limit below the level leaves room %d", got)
	}
	if w = w.Add(^uint64(0), 1000, 60); w.Level != ^uint64(0) {
		t.Errorf("level wrapped to %d", w.Level)
	}
}

// The greediest drain, which takes all the room whenever it asks, gets at most
// twice the limit in any span, however often it asks.
func TestAnySpanPassesAtMostTwiceTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit, span := rapid.Uint64Range(1, 1<<40).Draw(t, "limit"), rapid.Uint64Range(1, 1000).Draw(t, "span")
		type passed struct {
			at     int64
			amount uint64
		}
		var w Window
		var all []passed
		now := int64(1_700_000_000)
		for range 100 {
			now += int64(rapid.Uint64Range(0, span/4+1).Draw(t, "wait"))
			room := w.Room(limit, now, span)
			w = w.Add(room, now, span)
			all = append(all, passed{now, room})
			var sum uint64
			for _, p := range all {
				if uint64(now-p.at) < span {
					sum += p.amount
				}
			}
			if sum > 2*limit {
				t.Fatalf("%d passed in %d s, limit %d", sum, span, limit)
			}
		}
	})
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name        string
		value, debt money.Credit
		ratio       uint64
	}{
		{"no debt", 0, 0, MaxRatio},
		{"nothing behind it", 0, 5, 0},
		{"covered", 100, 100, 10_000},
		{"at warn", 950, 1000, 9500},
		{"between", 925, 1000, 9250},
		{"at halt", 900, 1000, 9000},
		{"rounds down", 8_999_999, 10_000_000, 8999},
		{"overflow", ^money.Credit(0), 1, MaxRatio},
		{"a hundredfold", 1000, 1, MaxRatio},
	} {
		if got := Ratio(c.value, c.debt); got != c.ratio {
			t.Errorf("%s: ratio %d, want %d", c.name, got, c.ratio)
		}
	}
}
