package weather

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

type known map[[32]byte]vertical.Device

func (k known) Device(id [32]byte) (vertical.Device, bool) { d, ok := k[id]; return d, ok }

// score publishes what devices signed and scores it as a verifier does.
func score(t *testing.T, devices known, rows ...sensing.Row) map[[32]byte]vertical.Line {
	t.Helper()
	dir, err := evidence.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	archive := evidence.New(dir)
	name := func(sensing.Row) segment.Name { return segment.Name{Day: 1} }
	if err := evidence.PublishRows(t.Context(), archive, sensing.Name, 1, evidence.Cutter[sensing.Row]{Dir: t.TempDir(), Kind: sensing.Batches}, name, rows); err != nil {
		t.Fatal(err)
	}
	ids, err := archive.Published(t.Context(), sensing.Name, 1)
	if err != nil {
		t.Fatal(err)
	}
	var roots []merkle.Hash
	for _, id := range ids {
		roots = append(roots, id.Root)
	}
	end := began.Add(30 * time.Hour).Add(sensing.Settle)
	in := vertical.Input{ChainID: conformance.ChainID, Epoch: 1, Began: end.Unix() - 15, Ended: end.Unix(), Registry: devices}
	if in.Evidence, err = archive.FetchAll(t.Context(), sensing.Name, 1, roots, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	lines, err := sensing.Vertical{Kinds: []sensing.Kind{Kind{}}}.Score(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	out := map[[32]byte]vertical.Line{}
	for _, l := range lines {
		out[l.Device] = l
	}
	return out
}

func (a actor) rows(t *testing.T) (out []sensing.Row) {
	for _, b := range a.batches(t) {
		out = append(out, sensing.RowOf(a.key.public, b.Raw))
	}
	return out
}

// A cloned key, a moved station and a crowded cell are told why they earn nothing.
func TestRefusals(t *testing.T) {
	all := distinct(t)
	devices := known{}
	var rows []sensing.Row
	enter := func(a actor, change func(*vertical.Device)) [32]byte {
		d := a.device()
		if change != nil {
			change(&d)
		}
		devices[d.ID] = d
		rows = append(rows, a.rows(t)...)
		return d.ID
	}
	clone := actorOf(1, all[0], 0)
	cloned := enter(clone, nil)
	other, err := sensing.Seal(clone.key, conformance.ChainID, 1, sensing.Hash{}, []senml.Record{{Name: "temperature", Unit: "Cel", Time: began, Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	rows = append(rows, sensing.RowOf(clone.key.public, other.Raw))
	ended := began.Add(30 * time.Hour).Unix()
	moved := enter(actorOf(2, all[1], 0), func(d *vertical.Device) { d.Moved = ended - 3600 })
	settled := enter(actorOf(3, all[2], 0), func(d *vertical.Device) { d.Moved = ended - 8*86400 })
	nowhere := enter(actorOf(4, all[3], 0), func(d *vertical.Device) { d.Cell = 0 })
	stranger := actorOf(5, all[4], 0) // not registered
	rows = append(rows, stranger.rows(t)...)

	lines := score(t, devices, rows...)
	for name, want := range map[string]struct {
		id    [32]byte
		least uint64
		why   string
	}{
		"cloned key":   {cloned, 0, "one batch with number 1"},
		"just moved":   {moved, 0, "in its place for 7 days"},
		"moved before": {settled, full / 4, "good hourly values"},
		"no place":     {nowhere, 0, "place on the ledger"},
	} {
		weight, err := lines[want.id].Weight()
		if err != nil || weight < want.least || want.least == 0 && weight != 0 || !strings.Contains(fmt.Sprint(lines[want.id].Parts), want.why) {
			t.Errorf("%s: weight %d, %v; %+v, want the term %q", name, weight, err, lines[want.id].Parts, want.why)
		}
	}
	if _, there := lines[stranger.key.public.ID()]; there {
		t.Error("an unregistered device has a line")
	}
}

// Only the best stations of a cell count, and of one owner one.
func TestSeats(t *testing.T) {
	all := distinct(t)
	devices := known{}
	var rows []sensing.Row
	for i := range Seats + 3 {
		a := actorOf(i, all[0], 0)
		for k := range a.records { // its own series
			if a.records[k].Name == "temperature" || a.records[k].Name == "pressure" {
				a.records[k].Value += float64(i) + float64(k%(7+i))/3
			}
		}
		d := a.device()
		d.Registered = int64(1 + i)
		devices[d.ID] = d
		rows = append(rows, a.rows(t)...)
	}
	seated := 0
	for _, l := range score(t, devices, rows...) {
		w, err := l.Weight()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprint(l.Parts), "station of its owner in the cell") {
			seated++
		} else if w != 0 {
			t.Errorf("weight %d without a seat: %+v", w, l.Parts)
		}
	}
	if seated != Seats {
		t.Errorf("%d stations have a seat, want %d", seated, Seats)
	}
}
