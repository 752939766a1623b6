package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/advise"
	"github.com/grange-network/grange/atlas/place"
	"github.com/grange-network/grange/atlas/project"
	"github.com/grange-network/grange/atlas/source"
	"github.com/grange-network/grange/internal/cliout"
)

func newAtlas(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "atlas", Short: "Map the field and decide: networks, claims, advice, placement, scenarios", Args: cobra.ArbitraryArgs, RunE: group,
		Long: "The atlas knows 45 networks, chains and tools. Every number is a claim with its date and source, and claims that\n" +
			"contradict each other stand side by side. It works without a network and asks nobody until you configure it.",
		Example: "grange atlas list --vertical storage\n" +
			"grange atlas show filecoin\n" +
			"grange atlas here                                # what of each of them works in this program?\n" +
			"grange atlas disagreements                       # where sources contradict each other\n" +
			"grange atlas own gpu --gpu \"RTX 4090\"            # what can I do with it?\n" +
			"grange atlas need object-storage --feature s3    # what should I use?\n" +
			"grange atlas place --service inference --availability 99.99 --cloud-price 4\n" +
			"grange atlas scenario base",
	}
	c.AddCommand(newAtlasList(g), newAtlasShow(g), newAtlasHere(g), newAtlasCompare(g), newAtlasDisagreements(g), newAtlasChecks(g), newAtlasMarket(g),
		newAtlasOwn(g), newAtlasNeed(g), newAtlasPlace(g), newAtlasScenario(g), newAtlasSustain(g), newAtlasRefresh(g))
	return c
}

// observedFile is where live values are kept.
func (g *globals) observedFile() string { return filepath.Join(g.home, "atlas", "observed.json") }

// atlas is the catalogue with the live values of this home, if there are any.
func (g *globals) atlas() (*atlas.Catalog, error) {
	book, err := readBook(g.observedFile())
	if err != nil {
		return nil, cliout.Fail(cliout.Failed, err, "rm "+g.observedFile()+"    # the live values are asked for again by: grange atlas refresh")
	}
	return atlas.Embedded().With(book.Claims(time.Now())), nil
}

func readBook(path string) (*source.Book, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return new(source.Book), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return source.ReadBook(f)
}

// atlasError gives errors of the atlas their exit code.
func atlasError(c *cobra.Command, err error) error {
	var missing *atlas.NotFoundError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		next := "grange atlas list"
		if len(missing.Nearest) > 0 {
			next = "grange atlas show " + missing.Nearest[0]
		}
		return cliout.Fail(cliout.NotFound, err, next)
	case errors.Is(err, atlas.ErrNotFound):
		return cliout.Fail(cliout.NotFound, err, c.CommandPath()+" --help")
	}
	for _, wrong := range []error{advise.ErrProfile, place.ErrWorkload, place.ErrOffer, place.ErrTooLarge, project.ErrParams, source.ErrConfig} {
		if errors.Is(err, wrong) {
			return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
		}
	}
	return err
}

type listedEntry struct {
	*atlas.Entry
	Size      *atlas.Claim `json:"size"`
	MarketCap *atlas.Claim `json:"market_cap"`
	Disputed  []string     `json:"disputed"` // metrics that sources contradict each other on
}

func newAtlasList(g *globals) *cobra.Command {
	var f atlas.Filter
	var vertical, class, stage, role string
	c := &cobra.Command{
		Use: "list", Short: "List networks, chains and tools", Args: args(),
		Example: "grange atlas list\ngrange atlas list --vertical compute --stage leading\ngrange atlas list --screen emerging-markets --json\ngrange atlas list --search kubernetes",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			f.Vertical, f.Class, f.Stage, f.Role = atlas.Vertical(vertical), atlas.Class(strings.ToUpper(class)), atlas.Stage(stage), atlas.Role(role)
			entries, err := cat.List(f)
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
			}
			disputed := map[string][]string{}
			for _, d := range cat.Disagreements() {
				disputed[d.Subject] = append(disputed[d.Subject], d.Metric)
			}
			all := make([]listedEntry, 0, len(entries))
			for _, e := range entries {
				all = append(all, listedEntry{e, sizeClaim(e), atlas.Shown(e.Claims, "market-cap"), append([]string{}, disputed[e.ID]...)})
			}
			return g.out(c).Emit(all, func(w io.Writer) error { return writeEntries(w, all) })
		},
	}
	c.Flags().StringVar(&vertical, "vertical", "", "compute, storage, wireless, sensing, energy or bandwidth")
	c.Flags().StringVar(&class, "class", "", "PRN (location matters) or DRN")
	c.Flags().StringVar(&stage, "stage", "", "leading, emerging or infrastructure")
	c.Flags().StringVar(&role, "role", "", "network, chain or tool")
	c.Flags().StringVar(&f.Chain, "chain", "", "only what runs on this chain")
	c.Flags().StringVar(&f.Screen, "screen", "", "a selection: established, high-growth-compute, emerging-verticals, ai, iot, emerging-markets")
	c.Flags().StringVar(&f.Here, "here", "", "how much of what its users get this program gives them: works, part or none")
	c.Flags().StringVar(&f.Text, "search", "", "text in names, focus or services")
	return c
}

// size is the claim that says how large an entry is.
func sizeClaim(e *atlas.Entry) *atlas.Claim {
	for _, m := range []string{"gpus", "capacity", "stored", "hotspots", "stations", "nodes", "mapped", "device-share", "projects"} {
		if c := atlas.Shown(e.Claims, m); c != nil {
			return c
		}
	}
	return nil
}

func writeEntries(w io.Writer, all []listedEntry) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing fits")
		return err
	}
	slices.SortStableFunc(all, func(a, b listedEntry) int { return order(a) - order(b) })
	t := cliout.NewTable("ID", "VERTICAL", "CLASS", "STAGE", "TOKENS", "SIZE", "MARKET CAP", "FOCUS").Right(5, 6)
	marked := false
	for _, e := range all {
		var symbols []string
		for _, k := range e.Tokens {
			symbols = append(symbols, k.Symbol)
		}
		big := amountOf(e.Size)
		if e.Size != nil && slices.Contains(e.Disputed, e.Size.Metric) {
			big, marked = big+" !", true
		}
		t.Row(e.ID, fallback(string(e.Vertical), string(e.Role)), fallback(string(e.Class), "–"), e.Stage, fallback(strings.Join(symbols, " "), "–"), big, amountOf(e.MarketCap), e.Focus)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	note := fmt.Sprintf("%d entries. – is unknown, not zero.", len(all))
	if marked {
		note += " ! sources contradict each other: grange atlas disagreements"
	}
	_, err := fmt.Fprintf(w, "\n%s\n", cliout.ColorsFor(w).Dim(note))
	return err
}

// order is that of the verticals, leading ones first; chains and tools last.
func order(e listedEntry) int {
	place := 2 * slices.Index(append(slices.Clone(atlas.Verticals), ""), e.Vertical)
	if e.Stage != atlas.Leading {
		place++
	}
	return place
}

func fallback(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func newAtlasShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one entry with every claim about it", Args: args("the NAME of an entry"),
		Example: "grange atlas show filecoin\ngrange atlas show tao --json",
		RunE: func(c *cobra.Command, given []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			e, err := cat.Find(given[0])
			if err != nil {
				return atlasError(c, err)
			}
			return g.out(c).Emit(e, func(w io.Writer) error { return writeEntry(w, cat, e) })
		},
	}
}

func newAtlasCompare(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "compare NAME NAME...", Short: "Set entries side by side", Example: "grange atlas compare io-net akash render\ngrange atlas compare storj sia filecoin --json",
		Args: func(c *cobra.Command, given []string) error {
			if len(given) < 2 || len(given) > 6 {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" storj sia", "%s needs 2 to 6 names, not %d", c.CommandPath(), len(given))
			}
			return nil
		},
		RunE: func(c *cobra.Command, given []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			var entries []*atlas.Entry
			for _, name := range given {
				e, err := cat.Find(name)
				if err != nil {
					return atlasError(c, err)
				}
				entries = append(entries, e)
			}
			cmp, err := cat.Compare(entries)
			if err != nil {
				return err
			}
			return g.out(c).Emit(cmp, func(w io.Writer) error { return writeComparison(w, cmp) })
		},
	}
}

func newAtlasDisagreements(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "disagreements", Short: "List where sources contradict each other", Args: args(), Example: "grange atlas disagreements\ngrange atlas disagreements --json",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			all := cat.Disagreements()
			return g.out(c).Emit(all, func(w io.Writer) error { return writeDisagreements(w, cat, all) })
		},
	}
}

func newAtlasChecks(g *globals) *cobra.Command {
	from := "survey"
	c := &cobra.Command{
		Use: "checks", Short: "Do the arithmetic on a source's figures", Args: args(), Example: "grange atlas checks\ngrange atlas checks --source messari-press",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			if _, ok := cat.Source(from); !ok {
				return cliout.Failf(cliout.NotFound, "grange atlas checks --source survey", "source %q is not in the atlas", from)
			}
			all := cat.Checks(from)
			return g.out(c).Emit(all, func(w io.Writer) error {
				colors := cliout.ColorsFor(w)
				for _, k := range all {
					paint := map[atlas.Verdict]func(string) string{atlas.Agrees: colors.Green, atlas.Contradicts: colors.Red, atlas.UnitError: colors.Red}[k.Verdict]
					if paint == nil {
						paint = colors.Yellow
					}
					fmt.Fprintf(w, "%s\n  %s: %s\n", k.Question, paint(string(k.Verdict)), k.Answer)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&from, "source", from, "whose figures")
	return c
}

type marketTables struct {
	Verticals  []atlas.VerticalRow `json:"verticals"`
	Sector     atlas.Sector        `json:"sector"`
	Themes     atlas.Themes        `json:"themes"`
	Screens    []atlas.Screen      `json:"screens"`
	Incumbents []atlas.Incumbent   `json:"incumbents"`
	Sources    []atlas.Source      `json:"sources"`
}

func newAtlasMarket(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "market", Short: "Show the market tables, trends and challenges", Args: args(), Example: "grange atlas market\ngrange atlas market --json",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			m := marketTables{cat.Verticals, cat.Sector, cat.Themes, cat.Screens, cat.Incumbents, cat.Sources}
			return g.out(c).Emit(m, func(w io.Writer) error { return writeMarket(w, cat) })
		},
	}
}
