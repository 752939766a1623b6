package qod

import (
	"math"
	"time"
)

// Mean is the average of one period.
type Mean struct {
	Value float64 // NaN: nothing was there
	Codes Code    // of its samples and its own
}

// Valid reports whether the average may be used.
func (m Mean) Valid() bool { return m.Codes&invalid == 0 }

// means averages every period of the day.
func (d *day) means(v Variable) []Mean {
	period := d.st.period[v]
	before := int(medianMeans / period) // periods that the first median needs
	out := make([]Mean, before+int((length-RunUp)/period))
	end := RunUp - time.Duration(before)*period
	from := d.slotAt(end)
	for s := range out {
		end += period
		to := d.slotAt(end)
		m := &out[s]
		good := 0
		for _, c := range d.code[v][from:to] {
			m.Codes |= c
			if c == 0 {
				good++
			}
		}
		if float64(good)/float64(to-from) < d.st.minGood {
			m.Codes |= TooFew
		}
		m.Value = hundredth(d.mean(v, from, to))
		from = to
	}
	if limit := d.st.jumpMean[v]; limit > 0 {
		d.meanJumps(v, out, limit)
	}
	return out[before:]
}

// slotAt returns the first slot that begins at or after t from the start.
func (d *day) slotAt(t time.Duration) int { return min(ceil(t, d.st.Step), d.samples()) }

func (d *day) mean(v Variable, from, to int) float64 {
	switch v {
	case WindSpeed, WindDirection:
		return d.wind(v, from, to)
	case Precipitation:
		return d.rise(from, to)
	}
	var sum float64
	n := 0
	for i, c := range d.code[v][from:to] {
		if c&NoData == 0 {
			sum += d.x[v][from+i]
			n++
		}
	}
	return sum / float64(n)
}

// compass holds sine and cosine of whole degrees, which is what vanes report.
var compass = func() (t [360][2]float64) {
	for deg := range t {
		t[deg][0], t[deg][1] = math.Sincos(float64(deg) * math.Pi / 180)
	}
	return t
}()

func sincos(deg float64) (sin, cos float64) {
	if i := int(deg); i >= 0 && i < len(compass) && float64(i) == deg {
		return compass[i][0], compass[i][1]
	}
	return math.Sincos(deg * math.Pi / 180)
}

// wind is the speed or direction of the vector mean; the direction of a calm is
// 180, as the reference has it.
func (d *day) wind(v Variable, from, to int) float64 {
	var east, north float64
	n := 0
	for i := from; i < to; i++ {
		if d.code[v][i]&NoData != 0 {
			continue
		}
		speed := d.x[WindSpeed][i]
		sin, cos := sincos(d.x[WindDirection][i])
		east -= float64(speed * sin)
		north -= float64(speed * cos)
		n++
	}
	east, north = east/float64(n), north/float64(n)
	if v == WindSpeed {
		return math.Sqrt(float64(east*east) + float64(north*north))
	}
	return math.Atan2(east, north)*180/math.Pi + 180
}

// rise is how much it rained; 0 when nothing was there, as the reference has it.
func (d *day) rise(from, to int) float64 {
	x := d.x[Precipitation]
	sum := 0.0
	for i := max(from, 1); i < to; i++ {
		if rise := x[i] - x[i-1]; rise > 0 {
			sum += rise
		}
	}
	return sum
}

func (d *day) meanJumps(v Variable, means []Mean, limit float64) {
	x, found := make([]float64, len(means)), make([]Code, len(means))
	for i, m := range means {
		x[i] = m.Value
	}
	n := int(medianMeans / d.st.period[v])
	p := pairs{window: window{x: x, n: n}, limit: limit, size: float64(n), share: present(v), round: true,
		found: found, outlier: Anomalous, unknown: Unidentified}
	p.run()
	for i, c := range found {
		means[i].Codes |= c
	}
}
