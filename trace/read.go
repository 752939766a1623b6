package trace

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotFound is returned when no process of a store has a trace.
var ErrNotFound = errors.New("no such trace")

// ErrNoStore is returned when there is no store to read.
var ErrNoStore = errors.New("no traces are stored here")

// scan calls yield with every span of all processes below root whose line
// matches. Lines that cannot be read, such as the torn end of a file, are passed
// over.
func scan(root string, match func(line []byte) bool, yield func(Span)) error {
	processes, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", root, ErrNoStore)
	}
	if err != nil {
		return err
	}
	for _, p := range processes {
		if !p.IsDir() {
			continue
		}
		files, err := listFiles(filepath.Join(root, p.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			b, err := os.ReadFile(f.path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			scanLines(b, match, yield)
		}
	}
	return nil
}

func scanLines(b []byte, match func([]byte) bool, yield func(Span)) {
	for line := range bytes.Lines(b) {
		if !match(line) {
			continue
		}
		if s, err := Decode(line); err == nil {
			yield(s)
		}
	}
}

// Spans returns the spans of a trace, and those of other traces that did work
// for it, in the order of their start. The error is ErrNotFound when there is
// none.
func Spans(root, id string) ([]Span, error) {
	var out []Span
	err := scan(root, func(l []byte) bool { return bytes.Contains(l, []byte(id)) }, func(s Span) {
		if s.Trace == id || slices.Contains(s.Links, id) {
			out = append(out, s)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("find trace %s in %s: %w", id, root, ErrNotFound)
	}
	slices.SortStableFunc(out, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	return out, nil
}

// Payments returns the spans that carry receipts, commitments and settlements of
// the leases.
func Payments(root string, leases []string) ([]Span, error) {
	var out []Span
	if len(leases) == 0 {
		return nil, nil
	}
	match := func(l []byte) bool {
		return bytes.Contains(l, []byte(`"events":`)) && slices.ContainsFunc(leases, func(id string) bool { return bytes.Contains(l, []byte(id)) })
	}
	return out, scan(root, match, func(s Span) { out = append(out, s) })
}

// Expand returns the id of the one trace that begins with prefix, at least six
// hex digits.
func Expand(root, prefix string) (string, error) {
	prefix = strings.ToLower(prefix)
	if len(prefix) == 32 {
		return prefix, nil
	}
	if len(prefix) < 6 {
		return "", fmt.Errorf("find trace %q: want at least 6 of its 32 hex digits: %w", prefix, ErrNotFound)
	}
	found := map[string]bool{}
	err := scan(root, func(l []byte) bool { return bytes.Contains(l, []byte(`"trace":"`+prefix)) }, func(s Span) { found[s.Trace] = true })
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("find trace %s... in %s: %d begin so: %w", prefix, root, len(found), ErrNotFound)
	}
	for id := range found {
		return id, nil
	}
	return "", ErrNotFound
}

// Summary is one trace in a list.
type Summary struct {
	Span
	// Why is why the request failed, also when only a part of its answer did.
	Why string `json:"why,omitempty"`
	// Count is how often it happened: of duties that fail again and again the
	// newest stands for all.
	Count int `json:"count"`
}

// List returns the newest n requests of clients, newest last; with failed only
// those that did, and background work that did.
func List(root string, n int, failed bool) ([]Summary, error) {
	var all []Summary
	broken := map[string]string{} // by id of the span that a failed one is part of
	match := func(l []byte) bool {
		return bytes.Contains(l, []byte(Door)) || bytes.Contains(l, []byte(`"error":`))
	}
	err := scan(root, match, func(s Span) {
		if s.Error != "" && s.Parent != "" {
			broken[s.Parent] = s.Error
		}
		if s.Attr(Door) != "" || s.Error != "" && s.Parent == "" {
			all = append(all, Summary{Span: s, Why: s.Error, Count: 1})
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Why == "" {
			all[i].Why = broken[all[i].ID]
		}
	}
	all = slices.DeleteFunc(all, func(s Summary) bool { return failed && s.Why == "" || !failed && s.Attr(Door) == "" })
	slices.SortStableFunc(all, func(a, b Summary) int { return cmp.Compare(a.Start, b.Start) })
	all = together(all)
	return all[max(0, len(all)-n):], nil
}

// together counts the same failures of one role's duty as one, the newest.
func together(all []Summary) []Summary {
	type sort struct{ role, name, why string }
	counts := map[sort]int{}
	out := all[:0:0]
	for _, s := range slices.Backward(all) {
		k := sort{s.Role, s.Name, s.Why}
		if s.Attr(Door) != "" || counts[k] == 0 {
			out = append(out, s)
		}
		counts[k]++
	}
	for i := range out {
		if out[i].Attr(Door) == "" {
			out[i].Count = counts[sort{out[i].Role, out[i].Name, out[i].Why}]
		}
	}
	slices.Reverse(out)
	return out
}
