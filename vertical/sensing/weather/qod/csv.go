package qod

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// maxRows bounds a file: a sample each second for three days.
const maxRows = 3 * 86400

// ReadCSV reads samples from a file with a header line: utc_datetime
// (2006-01-02 15:04:05 or RFC 3339, UTC) and the names of the variables, in any
// order; other columns are ignored, an empty field is a missing value. The error
// names the line and the column.
func ReadCSV(r io.Reader) ([]Sample, error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	when, column, err := columns(head)
	if err != nil {
		return nil, err
	}
	var out []Sample
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read row: %w", err)
		}
		line, _ := c.FieldPos(0)
		if len(out) == maxRows {
			return nil, fmt.Errorf("line %d: more than %d rows", line, maxRows)
		}
		var s Sample
		if s.Time, err = parseTime(rec[when]); err != nil {
			return nil, fmt.Errorf("line %d: utc_datetime %q, want YYYY-MM-DD HH:MM:SS", line, rec[when])
		}
		for v, col := range column {
			if s.Value[v], err = parseValue(rec[col]); err != nil {
				return nil, fmt.Errorf("line %d: %s %q is not a number", line, Variable(v), rec[col])
			}
		}
		out = append(out, s)
	}
}

func columns(head []string) (when int, column [Variables]int, err error) {
	at := map[string]int{}
	for i, name := range head {
		at[name] = i
	}
	when, ok := at["utc_datetime"]
	if !ok {
		return 0, column, fmt.Errorf("no column utc_datetime among %q", head)
	}
	for v := range column {
		if column[v], ok = at[names[v]]; !ok {
			return 0, column, fmt.Errorf("no column %s among %q", names[v], head)
		}
	}
	return when, column, nil
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	return t.UTC(), err
}

func parseValue(s string) (float64, error) {
	if s == "" {
		return math.NaN(), nil
	}
	return strconv.ParseFloat(s, 64)
}
