package qod

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Report is a result in the words and the layout in which the method's results
// are exchanged.
type Report struct {
	StationType    string                `json:"station_type"`
	Day            string                `json:"day"`
	StepSeconds    int                   `json:"step_s"`
	Slots          int                   `json:"slots"`
	SlotsPresent   int                   `json:"slots_present"`
	Score          float64               `json:"qod_score"`
	VariableScores map[string]float64    `json:"daily_variable_scores"`
	Annotations    map[string][]Finding  `json:"daily_annotations"` // sum of the hours' percents / 24
	Annotation     map[string][]Finding  `json:"daily_annotation"`  // the same by finding
	Hourly         []HourReport          `json:"hourly"`
	Samples        map[string][]Run      `json:"samples"`
	Averages       map[string]MeanReport `json:"averages"`
}

// HourReport is one hour of all variables.
type HourReport struct {
	Hour        int                  `json:"hour"`
	Score       float64              `json:"hourly_score"`
	Scores      map[string]float64   `json:"scores"`
	Annotations map[string][]Finding `json:"annotations"`
}

// Finding is a name and a percentage, written as a pair.
type Finding struct {
	Name    string
	Percent float64
}

// MarshalJSON writes [name, percent].
func (f Finding) MarshalJSON() ([]byte, error) { return json.Marshal([]any{f.Name, f.Percent}) }

// Run is a time span of equal findings, written as [from, to, [codes]]; to is
// exclusive.
type Run struct {
	From, To time.Time
	Codes    Code
	Invalid  *bool // for averages
}

// MarshalJSON writes the run as a list.
func (r Run) MarshalJSON() ([]byte, error) {
	out := []any{r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), r.Codes.Names()}
	if r.Invalid != nil {
		n := 0
		if *r.Invalid {
			n = 1
		}
		out = append(out, n)
	}
	return json.Marshal(out)
}

// MeanReport is the averages of one variable.
type MeanReport struct {
	PeriodMinutes int        `json:"period_min"`
	Slots         int        `json:"slots"`
	Invalid       int        `json:"invalid_slots"`
	Runs          []Run      `json:"runs"`
	Values        []*float64 `json:"values"` // null: nothing was there
}

// Report returns the result in the layout of reports.
func (r *Result) Report() Report {
	out := Report{
		StationType: r.Station.Name, Day: r.Day.Format(time.DateOnly), StepSeconds: int(r.Station.Step.Seconds()),
		Slots: r.Slots, SlotsPresent: r.Present, Score: r.Score,
		VariableScores: map[string]float64{}, Annotations: map[string][]Finding{}, Annotation: map[string][]Finding{},
		Samples: map[string][]Run{}, Averages: map[string]MeanReport{},
	}
	for h := range 24 {
		out.Hourly = append(out.Hourly, r.hourReport(h))
	}
	for v := range Variable(Variables) {
		one := &r.Variable[v]
		out.VariableScores[names[v]] = one.Score
		out.Samples[names[v]] = one.sampleRuns(r)
		out.Averages[names[v]] = one.meanReport(r.Day)
		out.Annotations[names[v]] = []Finding{}
		for _, s := range one.daily() {
			name := shown(s.Code)
			out.Annotations[names[v]] = append(out.Annotations[names[v]], Finding{name, s.Percent})
			out.Annotation[name] = append(out.Annotation[name], Finding{names[v], s.Percent})
		}
	}
	return out
}

// shown is the name of a finding in hourly and daily annotations.
func shown(c Code) string {
	if c == Unidentified {
		return "UNIDENTIFIED_ANOMALOUS_CHANGE"
	}
	return c.Names()[0]
}

func (r *Result) hourReport(h int) HourReport {
	out := HourReport{Hour: h, Score: r.Hour(h), Scores: map[string]float64{}, Annotations: map[string][]Finding{}}
	for v := range r.Variable {
		hour := &r.Variable[v].Hours[h]
		out.Scores[names[v]] = hour.Score
		for _, s := range hour.Shares {
			out.Annotations[names[v]] = append(out.Annotations[names[v]], Finding{shown(s.Code), s.Percent})
		}
	}
	return out
}

// daily sums the hours' findings in the order in which they first appear.
func (r *VariableResult) daily() []Share {
	var out []Share
	for h := range r.Hours {
		for _, s := range r.Hours[h].Shares {
			i := slices.IndexFunc(out, func(o Share) bool { return o.Code == s.Code })
			if i < 0 {
				i = len(out)
				out = append(out, Share{Code: s.Code})
			}
			out[i].Percent += s.Percent
		}
	}
	for i := range out {
		out[i].Percent /= float64(len(r.Hours))
	}
	return out
}

func (r *VariableResult) sampleRuns(res *Result) []Run {
	start := res.Day.Add(-RunUp)
	out := []Run{}
	for from := 0; from < len(r.Samples); {
		to := from + 1
		for to < len(r.Samples) && r.Samples[to] == r.Samples[from] {
			to++
		}
		if c := r.Samples[from]; c != 0 {
			step := res.Station.Step
			out = append(out, Run{From: start.Add(time.Duration(from) * step), To: start.Add(time.Duration(to) * step), Codes: c})
		}
		from = to
	}
	return out
}

func (r *VariableResult) meanReport(day time.Time) MeanReport {
	out := MeanReport{PeriodMinutes: int(r.Period.Minutes()), Slots: len(r.Means), Runs: []Run{}}
	for from := 0; from < len(r.Means); {
		to := from + 1
		for to < len(r.Means) && r.Means[to].Codes == r.Means[from].Codes {
			to++
		}
		if m := r.Means[from]; m.Codes != 0 {
			bad := !m.Valid()
			out.Runs = append(out.Runs, Run{
				From: day.Add(time.Duration(from) * r.Period), To: day.Add(time.Duration(to) * r.Period), Codes: m.Codes, Invalid: &bad,
			})
		}
		from = to
	}
	for _, m := range r.Means {
		if !m.Valid() {
			out.Invalid++
		}
		var value *float64
		if !math.IsNaN(m.Value) {
			value = &m.Value
		}
		out.Values = append(out.Values, value)
	}
	return out
}
