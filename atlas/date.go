package atlas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Date says when a claim was true, as exactly as its source says it: a year
// (2026), a quarter (2026-Q2), a month (2026-01) or a day (2026-10-04).
// The empty date is unknown.
type Date string

var datePattern = regexp.MustCompile(`^(\d{4})(?:-Q([1-4])|-(\d\d)(?:-(\d\d))?)?$`)

// ParseDate checks s.
func ParseDate(s string) (Date, error) {
	d := Date(s)
	if _, _, err := d.span(); err != nil {
		return "", err
	}
	return d, nil
}

// span is the first instant of the period and the first one after it.
func (d Date) span() (from, to time.Time, err error) {
	m := datePattern.FindStringSubmatch(string(d))
	if m == nil {
		return from, to, fmt.Errorf("parse date %.20q: want 2026, 2026-Q2, 2026-01 or 2026-01-31", string(d))
	}
	year, _ := strconv.Atoi(m[1])
	month, day := 1, 1
	years, months, days := 1, 0, 0
	switch {
	case m[2] != "":
		q, _ := strconv.Atoi(m[2])
		month, years, months = 3*q-2, 0, 3
	case m[4] != "":
		month, _ = strconv.Atoi(m[3])
		day, _ = strconv.Atoi(m[4])
		years, days = 0, 1
	case m[3] != "":
		month, _ = strconv.Atoi(m[3])
		years, months = 0, 1
	}
	from = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if int(from.Month()) != month || from.Day() != day {
		return from, to, fmt.Errorf("parse date %q: no such day", string(d))
	}
	return from, from.AddDate(years, months, days), nil
}

// Start is the first instant of the period: a claim dated 2026 is only known
// to be no older than its beginning. The zero time stands for an unknown date.
func (d Date) Start() time.Time {
	from, _, err := d.span()
	if err != nil {
		return time.Time{}
	}
	return from
}

// End is the first instant after the period, or the zero time.
func (d Date) End() time.Time {
	_, to, err := d.span()
	if err != nil {
		return time.Time{}
	}
	return to
}

// Fresher reports whether d is newer than e: by its beginning, then by being
// the narrower period. An unknown date is older than any other.
func (d Date) Fresher(e Date) bool {
	if a, b := d.Start(), e.Start(); !a.Equal(b) {
		return a.After(b)
	}
	return d != "" && d.End().Before(e.End())
}

// MonthsApart is the number of whole months between two periods; 0 when they
// touch or one is unknown.
func MonthsApart(a, b Date) int {
	if a == "" || b == "" {
		return 0
	}
	if b.Start().Before(a.Start()) {
		a, b = b, a
	}
	gap := b.Start().Sub(a.End())
	return max(0, int(gap.Hours()/24/30.4375))
}

// DayOf is the day of t in UTC.
func DayOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// UnmarshalYAML reads a date, or null.
func (d *Date) UnmarshalYAML(n *yaml.Node) error {
	if n.Tag == "!!null" {
		*d = ""
		return nil
	}
	v, err := ParseDate(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = v
	return nil
}

// MarshalJSON writes null for an unknown date.
func (d Date) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(d))
}

// UnmarshalJSON reads a date or null.
func (d *Date) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == nil {
		*d = ""
		return nil
	}
	v, err := ParseDate(*s)
	if err == nil {
		*d = v
	}
	return err
}
