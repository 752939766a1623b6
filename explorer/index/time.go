package index

import "time"

// Time is a block time: RFC 3339 in JSON, with the ledger's nanoseconds.
type Time struct{ time.Time }

// MarshalJSON writes RFC 3339 in UTC.
func (t Time) MarshalJSON() ([]byte, error) { return t.UTC().MarshalJSON() }

func timeOf(unixNano int64) Time { return Time{time.Unix(0, unixNano).UTC()} }

func maybeTime(unixNano int64) *Time {
	if unixNano == 0 {
		return nil
	}
	t := timeOf(unixNano)
	return &t
}
