package sidecar

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// rain counts what falls, for stations that say only how much fell since their
// midnight. It is safe for concurrent use.
type rain struct {
	mu           sync.Mutex
	at           time.Time // of the newest report
	day, counter float64   // mm
}

const (
	rainOfDay   = "precipitation_day"
	rainCounter = "precipitation_accumulated"
	seaLevel    = "pressure_sea_level"
	pressure    = "pressure"
)

// resume goes on from what was signed last.
func (c *rain) resume(records []senml.Record) {
	day, counter := named(records, rainOfDay), named(records, rainCounter)
	if day != nil && counter != nil {
		c.at, c.day, c.counter = day.Time, day.Value, counter.Value
	}
}

// count adds the counter to a report, and keeps it when keep took the report. What
// is less than before is of a new day. A report that is older than the one before has
// no counter.
func (c *rain) count(records []senml.Record, keep func([]senml.Record) error) error {
	day := named(records, rainOfDay)
	if day == nil || named(records, rainCounter) != nil {
		return keep(records)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if day.Time.Before(c.at) {
		return keep(records)
	}
	fell := day.Value - c.day
	if fell < 0 {
		fell = day.Value
	}
	next := math.Round(100*(c.counter+fell)) / 100
	if err := keep(append(slices.Clip(records), senml.Record{Name: rainCounter, Unit: day.Unit, Time: day.Time, Value: next})); err != nil {
		return err
	}
	c.at, c.day, c.counter = day.Time, day.Value, next
	return nil
}

// atStation adds the pressure at a height in metres to a report that has only that of
// sea level, by the standard atmosphere (ISO 2533) with which stations reduce it.
func atStation(records []senml.Record, height *float64) []senml.Record {
	sea := named(records, seaLevel)
	if height == nil || sea == nil || named(records, pressure) != nil {
		return records
	}
	value := sea.Value * math.Pow(1-0.0065**height/288.15, 5.25588)
	return append(slices.Clip(records), senml.Record{Name: pressure, Unit: sea.Unit, Time: sea.Time, Value: math.Round(100*value) / 100})
}

func named(records []senml.Record, name string) *senml.Record {
	for i := range records {
		if records[i].Name == name {
			return &records[i]
		}
	}
	return nil
}
