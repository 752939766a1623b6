package qod

import "math"

// What the air must be like for a standing sensor to count as broken.
const (
	fog      = 95                          // percent: humidity and temperature may stand still
	calmDamp = 85                          // percent: so may the wind
	thaw     = math.SmallestNonzeroFloat64 // degrees: all below is frost
)

// standing finds sensors that stand still.
func (d *day) standing() {
	short := func(float64, *air) Code { return ShortConst }
	clear := func(_ float64, a *air) Code { return onlyIf(a.humidity.below(a.at), ShortConst) }
	d.windows(Humidity, fog, clear)
	d.windows(Temperature, fog, clear)
	d.windows(Pressure, 0, short)
	d.windows(Illuminance, 0, func(x float64, _ *air) Code { return onlyIf(x != 0, ShortConst) })
	d.windows(WindDirection, calmDamp, func(_ float64, a *air) Code { return a.wind() })
	d.windows(WindSpeed, calmDamp, func(x float64, a *air) Code {
		if x != 0 {
			return ShortConst
		}
		return a.wind()
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
	temperature, humidity median
	at                    int
}

// wind judges a wind sensor that stands still.
func (a *air) wind() Code {
	if a.temperature.below(a.at) {
		return Frozen
	}
	return onlyIf(a.humidity.below(a.at), ShortConst)
}

// windows calls judge for each window in which the variable has one value, and
// behind which there is a sample, and marks the window's samples. Where windows
// disagree the latest decides. The air is dry where its humidity is below damp.
func (d *day) windows(v Variable, damp float64, judge func(value float64, a *air) Code) {
	x := d.x[v]
	n := int(still[v] / d.st.Step)
	a := air{temperature: d.median(Temperature, n, thaw), humidity: d.median(Humidity, n, damp)}
	for from := 0; from < len(x); {
		to := from + 1
		for to < len(x) && x[to] == x[from] {
			to++
		}
		if from+n > min(to, len(x)-1) {
			from = to // too short
			continue
		}
		var latest Code
		until := from
		for i := from; i < to; i++ {
			if i+n <= min(to, len(x)-1) {
				a.at = i
				if c := judge(x[from], &a); c != 0 {
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
	x := d.x[v]
	n := int(longStill / d.st.Step)
	if several(x[len(x)-1-n : n]) { // these are part of every window
		return
	}
	t := d.median(Temperature, n, thaw)
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
		if i < from || known < i || wind && !t.above(i) {
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

// several reports whether there are two different values.
func several(x []float64) bool {
	value := math.NaN()
	for _, v := range x {
		if v < value || v > value { // false for NaN
			return true
		}
		if !math.IsNaN(v) {
			value = v
		}
	}
	return false
}

// median tells on which side of a limit the moving median of n filled samples is.
// It counts instead of sorting.
type median struct {
	x         []float64
	n         int
	limit     float64
	from      int  // of the window that was counted; -1: none
	low, high side // samples below the limit, and the others that are there
}

func (d *day) median(v Variable, n int, limit float64) median {
	return median{x: d.x[v], n: n, limit: limit, from: -1}
}

// below reports whether the median of the n samples from i is below the limit.
func (m *median) below(i int) bool {
	m.move(i)
	if m.low.n == m.high.n && m.low.n > 0 { // the middle is between the two
		return (m.low.first[0].key-m.high.first[0].key)/2 < m.limit
	}
	return m.low.n > m.high.n
}

// above reports whether that median is not below the limit; false too if no
// sample is there.
func (m *median) above(i int) bool { return !m.below(i) && m.low.n+m.high.n > 0 }

// move counts the window from i.
func (m *median) move(i int) {
	switch {
	case m.from == i:
	case m.from >= 0 && i == m.from+1:
		m.leave(m.from)
		m.enter(i + m.n - 1)
	default:
		m.low.clear()
		m.high.clear()
		for k := i; k < i+m.n; k++ {
			m.enter(k)
		}
	}
	m.from = i
}

func (m *median) enter(i int) {
	switch v := m.x[i]; {
	case v < m.limit:
		m.low.enter(i, v)
	case v >= m.limit:
		m.high.enter(i, -v)
	}
}

func (m *median) leave(i int) {
	switch v := m.x[i]; {
	case v < m.limit:
		m.low.leave(i)
	case v >= m.limit:
		m.high.leave(i)
	}
}

// side counts the samples of a moving window on one side of a limit, and knows the
// one nearest to it, whose key is the greatest.
type side struct {
	n     int
	first []keyed // those with a greater key than all behind them
}

type keyed struct {
	at  int
	key float64
}

func (s *side) clear() { s.n, s.first = 0, s.first[:0] }

func (s *side) enter(at int, key float64) {
	s.n++
	for len(s.first) > 0 && s.first[len(s.first)-1].key <= key {
		s.first = s.first[:len(s.first)-1]
	}
	s.first = append(s.first, keyed{at, key})
}

func (s *side) leave(at int) {
	s.n--
	if s.first[0].at == at {
		s.first = s.first[1:]
	}
}
