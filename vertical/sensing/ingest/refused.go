package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

// Refused is what was not taken in for one reason since Open.
type Refused struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Topic string    `json:"topic"` // "observations refused"
	Why   string    `json:"why"`
	Error string    `json:"error"` // the last one, which names the device; at most 400 bytes
}

// reasons are why a batch is not taken in, and what metrics and people call them.
var reasons = []struct {
	is    error
	why   string
	count func(*Counts) *uint64
}{
	{sensing.ErrMalformed, "malformed batch", func(c *Counts) *uint64 { return &c.Malformed }},
	{ErrUnknown, "unknown device", func(c *Counts) *uint64 { return &c.Unknown }},
	{sensing.ErrSignature, "wrong signature", func(c *Counts) *uint64 { return &c.Signature }},
	{ErrTime, "wrong time", func(c *Counts) *uint64 { return &c.Time }},
	{ErrNoKind, "nothing that is known", func(c *Counts) *uint64 { return &c.NoKind }},
	{ErrReplay, "number used before", func(c *Counts) *uint64 { return &c.Replayed }},
	{ErrFork, "copied key", func(c *Counts) *uint64 { return &c.Forks }},
	{ErrRate, "too many batches", func(c *Counts) *uint64 { return &c.TooOften }},
}

// note counts what became of a batch. s.mu is held.
func (s *Server) note(r Receipt, err error) {
	counter, why := &s.counts.Failed, "not stored"
	switch {
	case err == nil && r.Duplicate:
		s.counts.Duplicates++
		return
	case err == nil:
		s.counts.Accepted++
		return
	}
	for _, reason := range reasons {
		if errors.Is(err, reason.is) {
			counter, why = reason.count(&s.counts), reason.why
			break
		}
	}
	*counter++
	if errors.Is(err, context.Canceled) {
		return // its sender left
	}
	now := s.cfg.Now()
	f := s.refused[why]
	if f == nil {
		f = &Refused{First: now, Topic: "observations refused", Why: why}
		s.refused[why] = f
	}
	f.Last, f.Error = now, fmt.Sprintf("%.400s", err)
	f.Count++
}

// Refusals lists what was refused, by reason, the oldest first.
func (s *Server) Refusals() []Refused {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Refused, 0, len(s.refused))
	for _, f := range s.refused {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Refused) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Why, b.Why)) })
	return out
}
