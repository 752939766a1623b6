package qod

import (
	"math"
	"slices"
	"sync"
	"time"
)

// day is what is known of a station's day while it is checked.
type day struct {
	st      *Station
	present int                  // slots with a sample
	x       [Variables][]float64 // by slot; without data the value before it or NaN
	code    [Variables][]Code
	all     []float64 // holds x
	buf     []float64
}

// days are used again: the grid of one is the most of what a check needs.
var days = sync.Pool{New: func() any { return new(day) }}

// newDay is a day of st without any finding. Its values are whatever they were.
func newDay(st *Station) *day {
	d := days.Get().(*day)
	d.st, d.present = st, 0
	n := int(length / st.Step)
	d.all = slices.Grow(d.all[:0], Variables*n)[:Variables*n]
	codes := make([]Code, Variables*n)
	for v := range d.x {
		d.x[v], d.code[v] = d.all[v*n:(v+1)*n], codes[v*n:(v+1)*n]
	}
	return d
}

func (d *day) samples() int { return len(d.x[0]) }

// raw runs the checks of single samples and of pairs, windows of samples.
func (d *day) raw() {
	for v := range Precipitation {
		d.bounds(v)
		if limit := d.st.jump[v]; limit > 0 {
			p := pairs{x: d.x[v], limit: limit, slots: ceil(d.st.window, d.st.Step),
				size: float64(d.st.window) / float64(d.st.Step), share: present(v), found: d.code[v], outlier: Spike, unknown: UnidentifiedSpike, buf: d.buf}
			if p.run() {
				p.plateaus()
			}
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
		if (x < b[0] || x > b[1]) && d.code[v][i]&NoData == 0 {
			d.code[v][i] |= OutOfBounds
		}
	}
}

// rain checks the counter. Behind k filled samples it may have risen for k+2
// steps, which is one more than the method's text allows.
func (d *day) rain() {
	x, code := d.x[Precipitation], d.code[Precipitation]
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

// pairs finds jumps between neighbours, and the outlier of each.
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

// run reports whether there is any.
func (p *pairs) run() (any bool) {
	for i := 1; i < len(p.x); i++ {
		// Missing values compare false.
		if !(math.Abs(p.x[i]-p.x[i-1]) > p.limit) {
			continue
		}
		any = true
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
	return any
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
