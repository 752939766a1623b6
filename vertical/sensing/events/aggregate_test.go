package events

import (
	"testing"
	"time"
)

// What fewer than three owners saw is not told, and cannot be found out by
// taking two answers from each other.
func TestAggregate(t *testing.T) {
	at := func(owner string, c Class, minute int) Sighting {
		return Sighting{owner, Event{
			Time: began.Add(time.Duration(minute) * time.Minute), Class: c, Confidence: 900,
			Box: Box{Left: 1, Top: 1, Right: uint16(2 + minute), Bottom: 2}, Pose: Pose{Lat: 48_1400000, Lon: 11_5700000},
		}}
	}
	all := []Sighting{
		at("a", Car, 1), at("b", Car, 2), at("c", Car, 3), at("c", Car, 4), at("c", Car, 4), // four, one of them told twice
		at("a", Accident, 5), at("b", Accident, 6), // two owners only
		at("d", Bus, 7), at("d", Bus, 8), at("d", Bus, 9), // one owner
		at("a", Truck, 61), at("b", Truck, 62), at("c", Truck, 119), // the hour after
	}
	got := Aggregate(began.Add(time.Hour), all)
	if len(got) != 1 || got[0].Class != Car || got[0].Count != 4 || !got[0].Hour.Equal(began) || got[0].Cell != cellOf(all[0].Pose) {
		t.Fatalf("told is %+v, want four cars", got)
	}
	if got := Aggregate(began.Add(2*time.Hour), all); len(got) != 2 || got[1].Class != Truck {
		t.Errorf("when the next hour is over told is %+v", got)
	}
	// Whoever is taken away from a count that stays changes it; from one of
	// three it goes.
	if got := Aggregate(began.Add(time.Hour), all[1:]); len(got) != 0 {
		t.Errorf("without one of three owners told is %+v", got)
	}
	if now := began.Add(80*time.Hour + 30*time.Minute); !Closed(now).Equal(began.Add(8 * time.Hour)) {
		t.Errorf("at %v hours are closed up to %v", now, Closed(now))
	}
	if got := Aggregate(began, nil); len(got) != 0 {
		t.Errorf("of nothing told is %+v", got)
	}
}
