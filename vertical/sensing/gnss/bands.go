package gnss

import "github.com/grange-network/grange/vertical/sensing/rtcm"

// band is a part of the spectrum in which systems send.
type band uint8

// The bands, by frequency: 1559-1610, 1164-1189, 1197-1219, 1215-1254 and
// 1260-1300 MHz.
const (
	noBand band = iota
	l1
	l5
	e5b
	l2
	e6
	bands = iota
)

// bandRanges says in which band the signals of a system are, by their ids in MSM
// (RTCM 10403.3, tables 3.5-91, -96, -99, -105 and -108).
var bandRanges = map[rtcm.System][]struct {
	from, to int
	band     band
}{
	rtcm.GPS:     {{2, 7, l1}, {8, 17, l2}, {22, 24, l5}, {30, 32, l1}},
	rtcm.GLONASS: {{2, 3, l1}, {8, 9, l2}},
	rtcm.Galileo: {{2, 6, l1}, {8, 12, e6}, {14, 20, e5b}, {22, 24, l5}},
	rtcm.QZSS:    {{2, 4, l1}, {9, 13, e6}, {15, 17, l2}, {22, 24, l5}, {30, 32, l1}},
	rtcm.BeiDou:  {{2, 4, l1}, {8, 10, e6}, {14, 16, e5b}, {22, 24, l5}, {25, 25, e5b}, {30, 32, l1}},
	rtcm.SBAS:    {{2, 2, l1}, {22, 24, l5}},
}

func bandOf(s rtcm.System, signal int) band {
	for _, r := range bandRanges[s] {
		if signal >= r.from && signal <= r.to {
			return r.band
		}
	}
	return noBand
}

// second is the band that cancels the ionosphere together with L1 (BeiDou: B1I),
// and the squared ratio of the two frequencies.
func second(s rtcm.System, b band) (ratio float64, ok bool) {
	switch {
	case s == rtcm.GPS && b == l2:
		return square(1575.42 / 1227.60), true
	case s == rtcm.Galileo && b == l5:
		return square(1575.42 / 1176.45), true
	case s == rtcm.BeiDou && b == e6:
		return square(1561.098 / 1268.52), true
	}
	return 0, false
}

func square(x float64) float64 { return x * x }
