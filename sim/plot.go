package sim

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// The plot is panels in two columns. All coordinates are whole pixels.
const (
	panelWidth  = 440
	panelHeight = 250
	plotLeft    = 70 // room for the labels of the axis, inside a panel
	plotTop     = 44
	plotWidth   = panelWidth - plotLeft - 20
	plotHeight  = panelHeight - plotTop - 36
	headHeight  = 64
)

// plotted are the names of the Lines that a plot shows.
var plotted = []string{"revenue a day", "emission of revenue", "provider income, TB and day", "providers",
	"collateral", "concentration (HHI)", "price of storage", "price of GRAIN"}

const plotStyle = `<style>
svg{font:12px system-ui,sans-serif;--back:#fff;--ink:#1d2329;--soft:#5b6670;--grid:#e3e7ea;--wide:#cfe3f5;--mid:#8fc0e8;--line:#0b5c9e}
@media(prefers-color-scheme:dark){svg{--back:#14181c;--ink:#e8ecef;--soft:#9aa5ae;--grid:#2b3238;--wide:#1d3a53;--mid:#2c6394;--line:#8cc8ff}}
.back{fill:var(--back)}.title{font-size:18px;font-weight:600;fill:var(--ink)}.about,.tick{fill:var(--soft)}.tick{font-size:11px}
.name{font-size:13px;font-weight:600;fill:var(--ink)}.grid{stroke:var(--grid)}.wide{fill:var(--wide)}.mid{fill:var(--mid)}
.line{fill:none;stroke:var(--line);stroke-width:2}
</style>`

// WriteSVG draws the runs as fan charts: the median of each day as a line, half
// of the runs in the dark band, nine of ten in the light one. The drawing
// follows the reader's light or dark scheme and has no scripts.
func WriteSVG(w io.Writer, s Scenario, results []Result) error {
	var panels []Line
	for _, name := range plotted {
		for _, l := range Lines {
			if l.Name == name {
				panels = append(panels, l)
			}
		}
	}
	width, height := 2*panelWidth, headHeight+(len(panels)+1)/2*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s\n",
		width, height, width, height, html.EscapeString("Simulation of scenario "+s.Name), plotStyle)
	fmt.Fprintf(&b, `<rect class="back" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text class="title" x="20" y="30">%s</text>`+"\n", html.EscapeString(s.Name))
	fmt.Fprintf(&b, `<text class="about" x="20" y="50">%s: %d runs of %d days; line: median, bands: 50 %% and 90 %% of the runs</text>`+"\n",
		html.EscapeString(s.About), len(results), s.Days)
	for i, l := range panels {
		drawPanel(&b, l, Fan(results, l), i%2*panelWidth, headHeight+i/2*panelHeight)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func drawPanel(b *strings.Builder, l Line, fan []Spread, x, y int) {
	low, high, step := axis(fan)
	last := max(len(fan)-1, 1)
	stride := len(fan)/plotWidth + 1 // no more points than pixels
	at := func(day int, v int64) (int, int) {
		px := x + plotLeft + day*plotWidth/last
		py := y + plotTop + plotHeight - int((v-low)*plotHeight/max(high-low, 1))
		return px, py
	}
	fmt.Fprintf(b, `<g><text class="name" x="%d" y="%d">%s</text>`+"\n", x+20, y+26, html.EscapeString(l.Name))
	for v := low; v <= high; v += step {
		_, py := at(0, v)
		fmt.Fprintf(b, `<path class="grid" d="M%d %dH%d"/><text class="tick" x="%d" y="%d" text-anchor="end">%s</text>`+"\n",
			x+plotLeft, py, x+plotLeft+plotWidth, x+plotLeft-6, py+4, html.EscapeString(Format(v, l.Unit)))
	}
	for i := range 4 {
		day := i * (len(fan) - 1) / 3
		px, _ := at(day, low)
		anchor := "middle"
		if i == 3 {
			anchor = "end"
		}
		fmt.Fprintf(b, `<text class="tick" x="%d" y="%d" text-anchor="%s">day %d</text>`+"\n", px, y+plotTop+plotHeight+18, anchor, day+1)
	}
	band := func(class string, under, over func(Spread) int64) {
		b.WriteString(`<path class="` + class + `" d="`)
		for day := 0; day < len(fan); day += stride {
			px, py := at(day, over(fan[day]))
			fmt.Fprintf(b, "%s%d %d", move(day), px, py)
		}
		for day := (len(fan) - 1) / stride * stride; day >= 0; day -= stride {
			px, py := at(day, under(fan[day]))
			fmt.Fprintf(b, "L%d %d", px, py)
		}
		b.WriteString("Z\"/>\n")
	}
	band("wide", func(s Spread) int64 { return s.P5 }, func(s Spread) int64 { return s.P95 })
	band("mid", func(s Spread) int64 { return s.P25 }, func(s Spread) int64 { return s.P75 })
	b.WriteString(`<path class="line" d="`)
	for day := 0; day < len(fan); day += stride {
		px, py := at(day, fan[day].P50)
		fmt.Fprintf(b, "%s%d %d", move(day), px, py)
	}
	b.WriteString("\"/></g>\n")
}

func move(i int) string {
	if i == 0 {
		return "M"
	}
	return "L"
}

// axis chooses round numbers around a fan, with three to six steps.
func axis(fan []Spread) (low, high, step int64) {
	low, high = 0, 1
	for _, s := range fan {
		low, high = min(low, s.P5), max(high, s.P95)
	}
	step = 1
	for round := []int64{2, 5, 10}; (high-low)/step > 5; {
		for _, r := range round {
			if (high-low)/(step*r) <= 5 || r == 10 {
				step *= r
				break
			}
		}
	}
	if low < 0 {
		low = -((-low + step - 1) / step) * step
	}
	return low, (high + step - 1) / step * step, step
}
