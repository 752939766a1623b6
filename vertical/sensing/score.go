package sensing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
)

// Name of the vertical on the ledger.
const Name = "sensing"

// Parameters of scoring.
const (
	// Settle is how long after an hour's end its last batches may still arrive
	// before the hour counts.
	Settle = 5 * time.Minute
	// Resettle is how long a station earns nothing after it was moved, as
	// WeatherXM's relocation rule has it.
	Resettle = 7 * 24 * time.Hour
)

// Vertical scores observations of all its kinds.
type Vertical struct {
	Kinds   []Kind
	Checked *Checked // nil: every signature is checked in every epoch
}

var _ vertical.Vertical = Vertical{}

// Info implements vertical.Vertical.
func (v Vertical) Info() vertical.Info {
	info := vertical.Info{Name: Name, Class: vertical.PRN, Evidence: []string{Batches.Name, Files.Name}}
	for _, k := range v.Kinds {
		i := k.Info()
		info.Units = append(info.Units, vertical.Unit{Kind: i.Kind(), Use: i.Use, Hold: i.Hold})
	}
	return info
}

// Kind is the kind of offers.
func (i KindInfo) Kind() string { return Name + "/" + i.Name }

// Holds reports whether a batch is of the kind.
func (i KindInfo) Holds(b *Batch) bool {
	if b.Content != "" {
		return i.Format != nil && i.Format.Content() == b.Content
	}
	for _, r := range b.Records {
		if slices.Contains(i.Variables, r.Name) {
			return true
		}
	}
	return false
}

// WindowAt is what counts in an epoch that ended then, in Unix seconds.
func (i KindInfo) WindowAt(ended int64) Window {
	end := time.Unix(ended, 0).UTC().Add(-Settle).Truncate(time.Hour)
	return Window{Began: end.Add(-i.Span), Ended: end}
}

// Score implements vertical.Vertical. Each kind weighs the whole hours that ended
// before the epoch did, as many as it says, so that an epoch of any length is paid
// by what a station has shown of late. A device whose key signed two batches of
// one number earns nothing.
func (v Vertical) Score(ctx context.Context, in vertical.Input) (lines []vertical.Line, err error) {
	e := epoch{Vertical: v, in: in, shelf: &shelf{chainID: in.ChainID, in: in.Evidence}, parts: map[[32]byte][]vertical.Part{}}
	defer func() { err = errors.Join(err, e.shelf.close()) }()
	if e.all, err = v.gather(ctx, in, e.shelf); err != nil {
		return nil, err
	}
	if e.files, err = published(ctx, in); err != nil {
		return nil, err
	}
	for i := range v.Kinds {
		if err := e.weigh(ctx, i); err != nil {
			return nil, err
		}
	}
	lines = make([]vertical.Line, 0, len(e.all))
	for _, s := range e.all {
		if p := e.parts[s.device.ID]; len(p) > 0 {
			lines = append(lines, vertical.Line{Device: s.device.ID, Parts: p})
		}
	}
	return lines, nil
}

// epoch is one that is being scored.
type epoch struct {
	Vertical
	in    vertical.Input
	shelf *shelf
	all   []*signed
	files map[Hash][]byte
	parts map[[32]byte][]vertical.Part
}

// weigh adds one kind's parts.
func (e *epoch) weigh(ctx context.Context, kind int) error {
	k := e.Kinds[kind]
	info, parts := k.Info(), e.parts
	var stations []Station
	for _, s := range e.all {
		seen := held(s.seen, info)
		if s.holds&(1<<kind) == 0 && len(seen) == 0 {
			continue
		}
		switch {
		case s.forked != 0:
			parts[s.device.ID] = append(parts[s.device.ID], refusal(info.Name, fmt.Sprintf("one batch with number %d", s.forked)))
		case s.device.Moved != 0 && time.Duration(e.in.Ended-s.device.Moved)*time.Second < Resettle:
			parts[s.device.ID] = append(parts[s.device.ID], refusal(info.Name, "in its place for 7 days"))
		default:
			stations = append(stations, Station{s.device, e.batches(s), seen, e.files})
		}
	}
	if len(stations) == 0 {
		return nil
	}
	weighed, err := k.Weigh(ctx, info.WindowAt(e.in.Ended), stations)
	if err != nil {
		return fmt.Errorf("weigh %s: %w", info.Name, err)
	}
	if len(weighed) != len(stations) {
		return fmt.Errorf("weigh %s: %d results for %d stations", info.Name, len(weighed), len(stations))
	}
	if info.Cells != (Cells{}) {
		if err := seat(info.Cells, stations, weighed); err != nil {
			return fmt.Errorf("weigh %s: %w", info.Name, err)
		}
	}
	for i, s := range stations {
		parts[s.ID] = append(parts[s.ID], weighed[i]...)
	}
	return nil
}

// batches reads what a device signed from the shelf, each time anew.
func (e *epoch) batches(s *signed) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		for _, p := range s.batches {
			if !yield(e.shelf.batch(p)) {
				return
			}
		}
	}
}

// refusal is a part that is 0 and says what was missing.
func refusal(name, missing string) vertical.Part {
	return vertical.Part{Name: name, Terms: []vertical.Term{{Name: missing, Value: 0, Of: 1}}}
}

// candidate is a station that wants a seat.
type candidate struct {
	index  int
	weight uint64
	Station
}

// seat shares the places of each cell: the stations of one owner count as one
// together, and of what is left the best, then the oldest, have a seat.
func seat(cells Cells, stations []Station, parts [][]vertical.Part) error {
	byCell := map[h3.Cell][]candidate{}
	for i, s := range stations {
		weight, err := vertical.Line{Parts: parts[i]}.Weight()
		if err != nil {
			return err
		}
		place := h3.Cell(s.Cell)
		if weight == 0 {
			continue // it says already why
		}
		if s.Cell == 0 || place.Resolution() < cells.Resolution {
			extend(parts[i], vertical.Term{Name: fmt.Sprintf("place on the ledger, resolution %d or finer", cells.Resolution), Value: 0, Of: 1})
			continue
		}
		place = place.Parent(cells.Resolution)
		byCell[place] = append(byCell[place], candidate{i, weight, s})
	}
	for _, all := range byCell { // cells do not touch each other
		share(cells.Seats, all, parts)
	}
	return nil
}

func share(seats int, all []candidate, parts [][]vertical.Part) {
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.Moved, b.Moved), cmp.Compare(a.Registered, b.Registered), slices.Compare(a.ID[:], b.ID[:]))
	})
	owners, seated := map[string]uint64{}, map[string]bool{}
	for _, c := range all {
		owners[c.Owner]++
	}
	for _, c := range all {
		if !seated[c.Owner] && (seats == 0 || len(seated) < seats) {
			seated[c.Owner] = true
		}
		if !seated[c.Owner] {
			extend(parts[c.index], vertical.Term{Name: fmt.Sprintf("one of the best %d in the cell", seats), Value: 0, Of: 1})
			continue
		}
		extend(parts[c.index], vertical.Term{Name: "station of its owner in the cell", Value: 1, Of: owners[c.Owner]})
	}
}

func extend(parts []vertical.Part, t vertical.Term) {
	for i := range parts {
		parts[i].Terms = append(parts[i].Terms, t)
	}
}
