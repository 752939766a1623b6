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
			p := pairs{window: window{x: d.x[v], n: ceil(d.st.window, d.st.Step)}, limit: limit,
				size: float64(d.st.window) / float64(d.st.Step), share: present(v), found: d.code[v], outlier: Spike, unknown: UnidentifiedSpike}
			if p.run() {
				p.plateaus()
			}
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
	window
	limit            float64
	size             float64 // of the window, in slots
	share            float64 // of it that must be present
	round            bool    // median and distance to 0.01
	found            []Code
	outlier, unknown Code
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
	known := p.until(i)
	if float64(len(known))/p.size < p.share {
		return math.NaN()
	}
	m := middle(known)
	if p.round {
		return hundredth(math.Abs(p.x[i] - hundredth(m)))
	}
	return math.Abs(p.x[i] - m)
}

// window moves over values and holds those that are there in their order.
type window struct {
	x      []float64
	n      int
	to     int // behind its last value; it never moves back
	sorted []float64
}

// until returns the values of the n that end with i.
func (w *window) until(i int) []float64 {
	if i-w.to >= w.n/4 {
		w.sorted = w.sorted[:0]
		for _, v := range w.x[max(0, i+1-w.n) : i+1] {
			if !math.IsNaN(v) {
				w.sorted = append(w.sorted, v)
			}
		}
		slices.Sort(w.sorted)
		w.to = i + 1
	}
	for ; w.to <= i; w.to++ {
		if w.to >= w.n {
			w.remove(w.x[w.to-w.n])
		}
		w.insert(w.x[w.to])
	}
	return w.sorted
}

func (w *window) remove(v float64) {
	if at, ok := slices.BinarySearch(w.sorted, v); ok {
		w.sorted = slices.Delete(w.sorted, at, at+1)
	}
}

func (w *window) insert(v float64) {
	if !math.IsNaN(v) {
		at, _ := slices.BinarySearch(w.sorted, v)
		w.sorted = slices.Insert(w.sorted, at, v)
	}
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
