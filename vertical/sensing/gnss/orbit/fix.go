package orbit

import (
	"math"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Sight is a pseudorange to a satellite with a known orbit, corrected for the
// delays between its bands.
type Sight struct {
	Orbit *rtcm.Ephemeris
	Range float64 // metres
}

// Parameters of a position.
const (
	mask     = 10.0 // degrees; lower satellites are left out
	spare    = 2    // sights more than unknowns
	outlier  = 30.0 // metres of residual at which a sight is left out
	dropped  = 3    // sights that may be left out
	rounds   = 8
	settled  = 0.01 // metres
	unknowns = 6    // place, receiver clock, offsets of Galileo and BeiDou
)

// Fix is a computed position.
type Fix struct {
	Place [3]float64 // earth-centred metres
	RMS   float64    // of the residuals, metres
	Used  int        // sights
}

// Solve computes a receiver's position by least squares. ok is false with too few
// sights or when they do not agree on a place. near is where to begin.
func Solve(sights []Sight, near [3]float64, ofWeek float64) (f Fix, ok bool) {
	used := append([]Sight(nil), sights...)
	for range dropped + 1 {
		f, worst, solved := solve(used, near, ofWeek)
		if !solved {
			return f, false
		}
		if math.Abs(worst.residual) <= outlier {
			return f, true
		}
		used = append(used[:worst.index:worst.index], used[worst.index+1:]...)
	}
	return f, false
}

// residual is what a sight differs from the solution.
type residual struct {
	index    int
	residual float64
}

func column(s rtcm.System) int {
	switch s {
	case rtcm.Galileo:
		return 4
	case rtcm.BeiDou:
		return 5
	}
	return 3
}

func solve(sights []Sight, place [3]float64, ofWeek float64) (f Fix, worst residual, ok bool) {
	var clocks [unknowns]float64 // metres; the first three are unused
	for round := range rounds {
		var n normal
		up := Up(place)
		worst = residual{}
		var sum float64
		used := 0
		for i, s := range sights {
			length, unit, ahead := Seen(s.Orbit, place, ofWeek-clocks[3]/C)
			el := Elevation(up, unit)
			if el < mask && round > 1 {
				continue
			}
			c := column(s.Orbit.System)
			sin := math.Sin(max(el, 5) * math.Pi / 180)
			v := s.Range - length - clocks[3] + float64(C*ahead) - 2.4/sin
			row := [unknowns]float64{-unit[0], -unit[1], -unit[2], 1}
			if c != 3 {
				row[c] = 1
				v -= clocks[c]
			}
			n.add(row, v, sin*sin)
			sum += float64(v * v)
			used++
			if math.Abs(v) > math.Abs(worst.residual) {
				worst = residual{i, v}
			}
		}
		x, rank, solved := n.solve()
		if !solved || used < rank+spare {
			return f, worst, false
		}
		for k := range place {
			place[k] += x[k]
		}
		for k := 3; k < unknowns; k++ {
			clocks[k] += x[k]
		}
		f = Fix{place, math.Sqrt(sum / float64(used)), used}
		if round > 2 && math.Abs(x[0])+math.Abs(x[1])+math.Abs(x[2]) < settled {
			return f, worst, true
		}
	}
	return f, worst, false
}

// normal are the normal equations of least squares.
type normal struct {
	a    [unknowns][unknowns]float64
	b    [unknowns]float64
	seen [unknowns]bool
}

func (n *normal) add(row [unknowns]float64, v, weight float64) {
	for i, x := range row {
		if x == 0 {
			continue
		}
		n.seen[i] = true
		n.b[i] += float64(weight * x * v)
		for j, y := range row {
			n.a[i][j] += float64(weight * x * y)
		}
	}
}

// solve eliminates by Gauss with pivots. Unknowns that no row has are 0.
func (n *normal) solve() (x [unknowns]float64, rank int, ok bool) {
	for i := range n.a {
		if !n.seen[i] {
			n.a[i][i] = 1
			continue
		}
		rank++
	}
	for c := range n.a {
		p := c
		for r := c + 1; r < unknowns; r++ {
			if math.Abs(n.a[r][c]) > math.Abs(n.a[p][c]) {
				p = r
			}
		}
		if math.Abs(n.a[p][c]) < 1e-9 {
			return x, rank, false
		}
		n.a[c], n.a[p], n.b[c], n.b[p] = n.a[p], n.a[c], n.b[p], n.b[c]
		for r := c + 1; r < unknowns; r++ {
			k := n.a[r][c] / n.a[c][c]
			for j := c; j < unknowns; j++ {
				n.a[r][j] -= float64(k * n.a[c][j])
			}
			n.b[r] -= float64(k * n.b[c])
		}
	}
	for r := unknowns - 1; r >= 0; r-- {
		v := n.b[r]
		for j := r + 1; j < unknowns; j++ {
			v -= float64(n.a[r][j] * x[j])
		}
		x[r] = v / n.a[r][r]
	}
	return x, rank, true
}
