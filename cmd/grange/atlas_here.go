package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/internal/cliout"
)

func newAtlasHere(g *globals) *cobra.Command {
	var vertical string
	c := &cobra.Command{
		Use: "here", Short: "Show what each network's users get from this program today", Args: args(),
		Long: "A row for each network, chain and tool of the field: works, part or none says how much of what its users get\n" +
			"this program gives them today, with a command that shows it and what is missing.",
		Example: "grange atlas here\ngrange atlas here --vertical sensing\ngrange atlas here --json",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			if vertical != "" && !slices.Contains(atlas.Verticals, atlas.Vertical(vertical)) {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "unknown vertical %q", vertical)
			}
			rows := []hereRow{}
			for _, h := range cat.Here {
				e, _ := cat.Entry(h.Entry)
				if vertical == "" || string(e.Vertical) == vertical {
					rows = append(rows, hereRow{h, e.Name, e.Role, e.Vertical})
				}
			}
			return g.out(c).Emit(rows, func(w io.Writer) error { return writeHere(w, rows) })
		},
	}
	c.Flags().StringVar(&vertical, "vertical", "", "compute, storage, wireless, sensing, energy or bandwidth")
	return c
}

type hereRow struct {
	atlas.Here
	Name     string         `json:"name"`
	Role     atlas.Role     `json:"role"`
	Vertical atlas.Vertical `json:"vertical,omitempty"`
}

// group is the heading of a row.
func (r hereRow) group() string {
	if r.Role == atlas.Network {
		return string(r.Vertical)
	}
	return string(r.Role) + "s"
}

func writeHere(w io.Writer, rows []hereRow) error {
	colors := cliout.ColorsFor(w)
	paint := map[string]func(string) string{"works": colors.Green, "part": colors.Yellow, "none": colors.Dim}
	count := map[string]int{}
	for i, r := range rows {
		if i == 0 || rows[i-1].group() != r.group() {
			fmt.Fprintf(w, "%s\n", colors.Bold(r.group()))
		}
		count[r.Does]++
		fmt.Fprintf(w, "  %-14s  %s", r.Entry, paint[r.Does](fmt.Sprintf("%-5s", r.Does)))
		if r.Gets != "" {
			fmt.Fprintf(w, "  %s\n                         %s\n", r.Gets, colors.Cyan("$ "+r.Try))
		}
		switch {
		case r.Lacks == "":
		case r.Gets == "":
			fmt.Fprintf(w, "  %s\n", colors.Dim("missing: "+r.Lacks))
		default:
			fmt.Fprintf(w, "                         %s\n", colors.Dim("missing: "+r.Lacks))
		}
	}
	_, err := fmt.Fprintf(w, "\n%d: %d work, %d in part, %d not yet\n", len(rows), count["works"], count["part"], count["none"])
	return err
}
