package qod

import (
	"math"
	"slices"
)

// What the air must be like for a standing sensor to count as broken.
const (
	fog      = 95 // percent: humidity and temperature may stand still
	calmDamp = 85 // percent: so may the wind
)

// standing finds sensors that stand still.
func (d *day) standing() {
	d.windows(Humidity, func(_ float64, w air) Code { return onlyIf(w.humidity() < fog, ShortConst) })
	d.windows(Temperature, func(_ float64, w air) Code { return onlyIf(w.humidity() < fog, ShortConst) })
	d.windows(Pressure, func(float64, air) Code { return ShortConst })
	d.windows(Illuminance, func(x float64, _ air) Code { return onlyIf(x != 0, ShortConst) })
	d.windows(WindDirection, func(_ float64, w air) Code { return w.wind() })
	d.windows(WindSpeed, func(x float64, w air) Code {
		if x != 0 {
			return ShortConst
		}
		return w.wind()
	})
	d.longWindows(Temperature, false)
	d.longWindows(WindDirection, true)
	d.longWindows(WindSpeed, true)
	if d.st.vaneCheck {
		d.askVane()
	}
}

func onlyIf(ok bool, c Code) Code {
	if ok {
		return c
	}
	return 0
}

// air tells what the air was like during the window that begins at a sample.
type air struct {
	t, rh *medians
	at    int
}

func (w air) temperature() float64 { return w.t.at(w.at) }
func (w air) humidity() float64    { return w.rh.at(w.at) }

// wind judges a wind sensor that stands still.
func (w air) wind() Code {
	if w.temperature() <= 0 {
		return Frozen
	}
	return onlyIf(w.humidity() < calmDamp, ShortConst)
}

// windows calls judge for each window in which the variable has one value, and
// behind which there is a sample, and marks the window's samples. Where windows
// disagree the latest decides.
func (d *day) windows(v Variable, judge func(value float64, w air) Code) {
	x := d.filled[v]
	n := int(still[v] / d.st.Step)
	t, rh := d.medians(Temperature, n), d.medians(Humidity, n)
	for from := 0; from < len(x); {
		to := from + 1
		for to < len(x) && x[to] == x[from] {
			to++
		}
		var latest Code
		until := from
		for i := from; i < to; i++ {
			if i+n <= min(to, len(x)-1) {
				if c := judge(x[from], air{t, rh, i}); c != 0 {
					latest, until = c, i+n
				}
			}
			if i < until {
				d.code[v][i] |= latest
			}
		}
		from = to
	}
}

// longWindows marks the windows of a day in which the variable has one value;
// of wind gaps do not count, and there must not have been frost.
func (d *day) longWindows(v Variable, wind bool) {
	x := d.filled[v]
	n := int(longStill / d.st.Step)
	t := d.medians(Temperature, n)
	from := 0   // of the run of one value that ends here
	known := -1 // newest present sample
	marked := 0
	for end := range len(x) - 1 { // a sample must follow
		switch {
		case math.IsNaN(x[end]):
			if !wind {
				from = end + 1
			}
		case known >= from && x[end] != x[known]:
			from, known = known+1, end
		default:
			known = end
		}
		i := end + 1 - n
		if i < from || known < i || wind && !(t.at(i) > 0) {
			continue
		}
		for j := max(i, marked); j <= end; j++ {
			d.code[v][j] |= LongConst
		}
		marked = end + 1
	}
}

// askVane takes the finding from an anemometer whose vane moves.
func (d *day) askVane() {
	const standing = ShortConst | LongConst | Frozen
	for i := range d.code[WindSpeed] {
		d.code[WindSpeed][i] &^= standing &^ d.code[WindDirection][i]
	}
}

// medians are moving medians of n filled samples, made when they are asked for.
type medians struct {
	x      []float64
	n      int
	from   int // of the window that sorted holds; -1: none
	sorted []float64
}

func (d *day) medians(v Variable, n int) *medians { return &medians{x: d.filled[v], n: n, from: -1} }

// at returns the median of the n samples from i; NaN if none is there.
func (m *medians) at(i int) float64 {
	switch {
	case m.from == i:
	case m.from >= 0 && i == m.from+1:
		m.remove(m.x[m.from])
		m.insert(m.x[i+m.n-1])
	default:
		m.sorted = m.sorted[:0]
		for _, v := range m.x[i : i+m.n] {
			if !math.IsNaN(v) {
				m.sorted = append(m.sorted, v)
			}
		}
		slices.Sort(m.sorted)
	}
	m.from = i
	if len(m.sorted) == 0 {
		return math.NaN()
	}
	return middle(m.sorted)
}

func (m *medians) remove(v float64) {
	if at, ok := slices.BinarySearch(m.sorted, v); ok {
		m.sorted = slices.Delete(m.sorted, at, at+1)
	}
}

func (m *medians) insert(v float64) {
	if math.IsNaN(v) {
		return
	}
	at, _ := slices.BinarySearch(m.sorted, v)
	m.sorted = slices.Insert(m.sorted, at, v)
}
