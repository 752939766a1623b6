package qod

import (
	"fmt"
	"math"
	"time"
)

// Share is how often a finding occurred, in percent of the samples, or of the
// averages, of an hour.
type Share struct {
	Code    Code // exactly one
	Percent float64
}

// Hour is one hour of one variable.
type Hour struct {
	Score  float64 // percent
	Shares []Share // in the order of the findings; percent rounded to 0.1
}

// VariableResult is what was found of one variable.
type VariableResult struct {
	Score   float64 // 0..1: mean of the hours
	Hours   [24]Hour
	Samples []Code // of every slot from RunUp before the day
	Period  time.Duration
	Means   []Mean // of every period of the day
}

// Result is the quality of a station's day.
type Result struct {
	Station  *Station
	Day      time.Time
	Score    float64 // 0..1: mean of the variables
	Variable [Variables]VariableResult
	Slots    int // on the grid, the run-up included
	Present  int // with a whole sample
}

// Hour returns the mean score of the variables in an hour, in percent.
func (r *Result) Hour(h int) float64 {
	var sum float64
	for v := range r.Variable {
		sum += r.Variable[v].Hours[h].Score
	}
	return sum / float64(Variables)
}

// Check scores the day that begins at day, a whole hour. Samples may come in
// any order; those of the six hours before the day are used by the moving
// windows, earlier and later ones are ignored, and samples is not changed. The
// error says that day is not a whole hour or that there are more than 108,000
// samples.
func Check(st *Station, day time.Time, samples []Sample) (*Result, error) {
	if day = day.UTC(); !day.Equal(day.Truncate(time.Hour)) {
		return nil, fmt.Errorf("day begins at %s, want a whole hour", day.Format(time.RFC3339))
	}
	d := newDay(st)
	defer days.Put(d)
	if err := d.grid(day, samples); err != nil {
		return nil, err
	}
	d.raw()
	r := &Result{Station: st, Day: day, Slots: d.samples(), Present: d.present}
	for v := range Variable(Variables) {
		d.score(v, &r.Variable[v])
		r.Score += r.Variable[v].Score
	}
	r.Score /= float64(Variables)
	return r, nil
}

func (d *day) score(v Variable, r *VariableResult) {
	r.Samples, r.Period = d.code[v], d.st.period[v]
	r.Means = d.means(v)
	perHour := int(time.Hour / r.Period)
	for h := range r.Hours {
		at := RunUp + time.Duration(h)*time.Hour
		codes := d.code[v][d.slotAt(at):d.slotAt(at+time.Hour)]
		r.Hours[h] = d.hour(codes, r.Means[h*perHour:(h+1)*perHour])
		r.Score += r.Hours[h].Score
	}
	r.Score = r.Score / float64(len(r.Hours)) / 100
}

func (d *day) hour(codes []Code, means []Mean) Hour {
	var count [kinds]int
	good, valid := 0, 0
	for _, c := range codes {
		if c == 0 {
			good++
		} else {
			c.count(&count)
		}
	}
	for _, m := range means {
		if m.Valid() {
			valid++
		}
		(m.Codes & (Anomalous | Unidentified)).count(&count)
	}
	share := float64(valid) / float64(len(means))
	if d.st.byShare {
		if share = float64(good) / float64(len(codes)); share > wholeHour {
			share = 1
		}
	}
	h := Hour{Score: hundredth(100 * share)}
	for i, n := range count {
		c, of := Code(1)<<i, len(codes)
		if n == 0 {
			continue
		}
		if c >= Anomalous {
			of = len(means)
		}
		h.Shares = append(h.Shares, Share{c, math.RoundToEven(float64(n)/float64(of)*1000) / 10})
	}
	return h
}
