package ingest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// check says what a batch cannot be taken in for, whoever sends it.
func (s *Server) check(b *sensing.Batch) error {
	if b.Content != "" {
		return s.checkPayload(b)
	}
	if err := s.checkVariables(b); err != nil {
		return err
	}
	now := s.cfg.Now()
	for i := range b.Records {
		if err := s.checkTime(b.Records[i].Name, b.Records[i].Time, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) checkTime(what string, at, now time.Time) error {
	if age := now.Sub(at); age > s.cfg.Late || age < -s.cfg.Early {
		return fmt.Errorf("%w: %s at %s, want from %s to %s; check the device's clock", ErrTime, what, at.Format(time.RFC3339),
			now.Add(-s.cfg.Late).UTC().Format(time.RFC3339), now.Add(s.cfg.Early).UTC().Format(time.RFC3339))
	}
	return nil
}

func (s *Server) checkPayload(b *sensing.Batch) error {
	for _, f := range s.formats {
		if f.Content() != b.Content {
			continue
		}
		first, last, err := f.Times(b.Payload)
		if err != nil {
			return fmt.Errorf("%w: %w", sensing.ErrMalformed, err)
		}
		now := s.cfg.Now()
		return errors.Join(s.checkTime("the first record", first, now), s.checkTime("the last record", last, now))
	}
	return fmt.Errorf("%w: no kind of observation is written as %q", sensing.ErrMalformed, b.Content)
}

// variablesOf are the names of readings that kinds know.
func variablesOf(kinds []sensing.Kind) map[string]bool {
	known := map[string]bool{}
	for _, k := range kinds {
		for _, name := range k.Info().Variables {
			known[name] = true
		}
	}
	return known
}

// checkVariables refuses a batch that nobody would ever look at.
func (s *Server) checkVariables(b *sensing.Batch) error {
	if len(s.cfg.Kinds) == 0 || slices.ContainsFunc(b.Records, func(r senml.Record) bool { return s.variables[r.Name] }) {
		return nil
	}
	return fmt.Errorf("%w: %s; known are %s", ErrNoKind, namesOf(b.Records), strings.Join(slices.Sorted(maps.Keys(s.variables)), ", "))
}

// How much of what was sent an error repeats: names, and bytes of each.
const (
	maxNames = 5
	maxName  = 40
)

// namesOf are the first names of readings, each once.
func namesOf(records []senml.Record) string {
	var names []string
	for _, r := range records {
		name := fmt.Sprintf("%.*q", maxName, r.Name)
		if slices.Contains(names, name) {
			continue
		}
		if len(names) == maxNames {
			return strings.Join(names, ", ") + " and more"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
