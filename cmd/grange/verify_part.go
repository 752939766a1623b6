package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

// partOf is a part of an epoch: of one kind, in one cell. The zero value is all.
type partOf struct {
	Kind string
	Cell h3.Cell
}

// partWeight is what a device weighs in a part of an epoch. It was recomputed with
// the whole epoch, since devices are compared with each other.
type partWeight struct {
	Device string `json:"device"`
	Cell   string `json:"cell"` // on the ledger; empty for none
	Kind   string `json:"kind"`
	Weight uint64 `json:"weight,string"`
}

// weights are those of the part in a published epoch.
func (s partOf) weights(p verify.Published) ([]partWeight, error) {
	cells := map[string]h3.Cell{}
	if p.Evidence != nil {
		for _, d := range p.Evidence.Devices {
			cells[d.Hex] = h3.Cell(d.Cell)
		}
	}
	out := []partWeight{}
	for _, u := range p.Usage {
		at := cells[u.Device]
		if s.Cell != 0 && (at == 0 || at.Resolution() < s.Cell.Resolution() || at.Parent(s.Cell.Resolution()) != s.Cell) {
			continue
		}
		byKind := map[string][]vertical.Part{}
		var kinds []string
		for _, part := range u.Parts {
			// What is refused is a part of its own: "radio, 12 scans refused".
			kind, _, _ := strings.Cut(strings.ReplaceAll(part.Name, ",", " "), " ")
			if s.Kind != "" && s.Kind != kind {
				continue
			}
			if byKind[kind] == nil {
				kinds = append(kinds, kind)
			}
			byKind[kind] = append(byKind[kind], part)
		}
		for _, kind := range kinds {
			w, err := vertical.Line{Parts: byKind[kind]}.Weight()
			if err != nil {
				return nil, fmt.Errorf("weigh %s of device %s: %w", kind, u.Device, err)
			}
			x := partWeight{Device: u.Device, Kind: kind, Weight: w}
			if at != 0 {
				x.Cell = at.String()
			}
			out = append(out, x)
		}
	}
	return out, nil
}

func writeWeights(w io.Writer, all []partWeight) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "\nno device has a weight in this part of the epoch")
		return err
	}
	fmt.Fprintln(w)
	t := cliout.NewTable("DEVICE", "CELL", "KIND", "WEIGHT, RECOMPUTED").Right(3)
	for _, x := range all {
		cell := x.Cell
		if cell == "" {
			cell = "–"
		}
		t.Row(cliout.Short(x.Device), cell, x.Kind, fmt.Sprint(x.Weight))
	}
	return t.Write(w)
}
