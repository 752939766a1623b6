package atlas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotFound is returned for an id that the atlas does not have.
var ErrNotFound = errors.New("not in the atlas")

// NotFoundError is an unknown id with the nearest known ones.
type NotFoundError struct {
	Asked   string
	Nearest []string // ids, best first; may be empty
}

// Error names what was asked and what is near.
func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("find %.60q: %v", e.Asked, ErrNotFound)
	if len(e.Nearest) > 0 {
		s += ", nearest is " + strings.Join(e.Nearest, ", ")
	}
	return s
}

// Unwrap returns ErrNotFound.
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

// Find returns the entry with this id, name or alias, in any case.
func (c *Catalog) Find(name string) (*Entry, error) {
	asked := strings.ToLower(strings.TrimSpace(name))
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.ID == asked || strings.ToLower(e.Name) == asked || slices.Contains(e.Aliases, asked) {
			return e, nil
		}
	}
	return nil, &NotFoundError{Asked: name, Nearest: c.nearest(asked)}
}

// nearest lists up to three ids whose names are a few letters away from asked.
func (c *Catalog) nearest(asked string) []string {
	type near struct {
		id       string
		distance int
	}
	var all []near
	for i := range c.Entries {
		e := &c.Entries[i]
		best := len(asked) + 1
		for _, n := range append([]string{e.ID, strings.ToLower(e.Name)}, e.Aliases...) {
			d := Distance(asked, n)
			if len(asked) > 2 && strings.HasPrefix(n, asked) {
				d = min(d, 1)
			}
			best = min(best, d)
		}
		if best <= max(1, len(asked)/3) {
			all = append(all, near{e.ID, best})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return a.distance - b.distance })
	var ids []string
	for _, n := range all[:min(3, len(all))] {
		ids = append(ids, n.id)
	}
	return ids
}

// Distance is the number of letters to insert, remove or change to get from a
// to b (Levenshtein). Arguments beyond 64 bytes are cut.
func Distance(a, b string) int {
	a, b = a[:min(64, len(a))], b[:min(64, len(b))]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Filter selects entries. Empty fields select everything.
type Filter struct {
	Vertical Vertical
	Class    Class
	Stage    Stage
	Role     Role
	Chain    string
	Screen   string // id of a screen
	Here     string // works, part or none: how much of it this program does
	Text     string // somewhere in the names, the focus or the services
}

// List returns the entries that pass f, in order of id. Unknown values of a
// closed field are an error that names the known ones.
func (c *Catalog) List(f Filter) ([]*Entry, error) {
	if err := f.validate(c); err != nil {
		return nil, err
	}
	var screen *Screen
	if f.Screen != "" {
		screen = c.Screen(f.Screen)
	}
	var all []*Entry
	for i := range c.Entries {
		e := &c.Entries[i]
		if h, _ := c.HereOf(e.ID); f.Here != "" && f.Here != h.Does {
			continue
		}
		if f.passes(e) && (screen == nil || slices.ContainsFunc(screen.Members, func(m Member) bool { return m.Entry == e.ID })) {
			all = append(all, e)
		}
	}
	return all, nil
}

func (f Filter) passes(e *Entry) bool {
	return (f.Vertical == "" || e.Vertical == f.Vertical) &&
		(f.Class == "" || e.Class == f.Class) &&
		(f.Stage == "" || e.Stage == f.Stage) &&
		(f.Role == "" || e.Role == f.Role) &&
		(f.Chain == "" || slices.Contains(e.Chains, f.Chain)) &&
		(f.Text == "" || strings.Contains(e.haystack(), strings.ToLower(f.Text)))
}

func (e *Entry) haystack() string {
	all := append([]string{e.ID, e.Name, e.Focus, e.Differentiator}, e.Aliases...)
	all = append(all, e.BestFor...)
	for _, s := range e.Services {
		all = append(all, s.Service, s.Gets)
	}
	return strings.ToLower(strings.Join(all, "\n"))
}

func (f Filter) validate(c *Catalog) error {
	screens := make([]string, len(c.Screens))
	for i, s := range c.Screens {
		screens[i] = s.ID
	}
	var chains []string
	for _, e := range c.Entries {
		if e.Role == Chain {
			chains = append(chains, e.ID)
		}
	}
	for _, x := range []struct {
		name, value string
		known       []string
	}{
		{"vertical", string(f.Vertical), plain(Verticals)},
		{"class", string(f.Class), []string{string(PRN), string(DRN)}},
		{"stage", string(f.Stage), []string{string(Leading), string(Emerging), string(Infrastructure)}},
		{"role", string(f.Role), []string{string(Network), string(Chain), string(Tool)}},
		{"chain", f.Chain, chains},
		{"screen", f.Screen, screens},
		{"here", f.Here, []string{"works", "part", "none"}},
	} {
		if x.value != "" && !slices.Contains(x.known, x.value) {
			return fmt.Errorf("filter by %s %.40q: want one of %s", x.name, x.value, strings.Join(x.known, ", "))
		}
	}
	return nil
}

func plain[T ~string](all []T) []string {
	s := make([]string, len(all))
	for i, v := range all {
		s[i] = string(v)
	}
	return s
}
