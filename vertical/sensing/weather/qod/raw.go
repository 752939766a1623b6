package qod

import (
	"math"
	"slices"
	"time"
)

// day is what is known of a station's day while it is checked.
type day struct {
	st     *Station
	x      [Variables][]float64 // samples on the grid, NaN if missing
	filled [Variables][]float64
	code   [Variables][]Code
	buf    []float64
}

func newDay(st *Station, x [Variables][]float64) *day {
	d := &day{st: st, x: x}
	codes := make([]Code, Variables*len(x[0]))
	for v := range x {
		d.filled[v] = fill(x[v], st.fill)
		d.code[v] = codes[v*len(x[0]) : (v+1)*len(x[0])]
	}
	return d
}

func (d *day) samples() int { return len(d.x[0]) }

// raw runs the checks of single samples and of pairs, windows of samples.
func (d *day) raw() {
	for v := range Variable(Variables) {
		for i, x := range d.x[v] {
			if math.IsNaN(x) {
				d.code[v][i] |= NoData
			}
		}
	}
	for v := range Precipitation {
		d.bounds(v)
		if limit := d.st.jump[v]; limit > 0 {
			p := pairs{x: d.filled[v], limit: limit, slots: ceil(d.st.window, d.st.Step),
				size: float64(d.st.window) / float64(d.st.Step), share: present(v), found: d.code[v], outlier: Spike, unknown: UnidentifiedSpike, buf: d.buf}
			p.run()
			p.plateaus()
			d.buf = p.buf
		}
	}
	d.rain()
	d.standing()
}

func ceil(a, b time.Duration) int { return int((a + b - 1) / b) }

func (d *day) bounds(v Variable) {
	b := d.st.bounds[v]
	for i, x := range d.x[v] {
		if x < b[0] || x > b[1] {
			d.code[v][i] |= OutOfBounds
		}
	}
}

// rain checks the counter. Behind k filled samples it may have risen for k+2
// steps, which is one more than the method's text allows.
func (d *day) rain() {
	x, code := d.filled[Precipitation], d.code[Precipitation]
	limit := tipRate * d.st.Step.Seconds()
	k := 0
	for i := 1; i < len(x); i++ {
		c := 0
		if code[i]&NoData != 0 {
			k++
		} else {
			if k > 0 {
				c = k + 1
			}
			k = 0
		}
		rise := x[i] - x[i-1]
		if rise < 0 || rise > limit*float64(1+c) {
			code[i] |= OutOfBounds
		}
	}
}

// pairs finds the outlier of each jump between neighbours.
type pairs struct {
	x                []float64
	limit            float64
	slots            int     // of the median's window
	size             float64 // of the window, in slots
	share            float64 // of it that must be present
	round            bool    // median and distance to 0.01
	found            []Code
	outlier, unknown Code
	buf              []float64
}

func (p *pairs) run() {
	for i := 1; i < len(p.x); i++ {
		// Missing values compare false.
		if !(math.Abs(p.x[i]-p.x[i-1]) > p.limit) {
			continue
		}
		before, here := p.distance(i-1), p.distance(i)
		switch {
		case before > here:
			p.found[i-1] |= p.outlier
		case here > before:
			p.found[i] |= p.outlier
		}
		if math.IsNaN(before) {
			p.found[i-1] |= p.unknown
		}
		if math.IsNaN(here) {
			p.found[i] |= p.unknown
		}
	}
}

// distance is how far the value is from the median of the window that ends with
// it; NaN when too little of the window is there.
func (p *pairs) distance(i int) float64 {
	p.buf = p.buf[:0]
	for _, v := range p.x[max(0, i+1-p.slots) : i+1] {
		if !math.IsNaN(v) {
			p.buf = append(p.buf, v)
		}
	}
	if float64(len(p.buf))/p.size < p.share {
		return math.NaN()
	}
	slices.Sort(p.buf)
	m := middle(p.buf)
	if p.round {
		return hundredth(math.Abs(p.x[i] - hundredth(m)))
	}
	return math.Abs(p.x[i] - m)
}

// plateaus extends a spike by the sample behind it when that has the same value:
// once, so that a sensor that has really moved is not marked for ever.
func (p *pairs) plateaus() {
	was := false
	for i := 1; i < len(p.x); i++ {
		spike := p.found[i-1]&p.outlier != 0 && !was
		was = spike && p.x[i] == p.x[i-1] && p.found[i]&p.outlier == 0
		if was {
			p.found[i] |= p.outlier
		}
	}
}

// middle is the median of sorted values.
func middle(s []float64) float64 {
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

func hundredth(x float64) float64 { return math.RoundToEven(x*100) / 100 }
