package qod

import "math/bits"

// Code is a set of findings about a sample or an average.
type Code uint16

// The findings, in the order of the reports.
const (
	OutOfBounds       Code = 1 << iota // outside what the sensor can measure; rain: counter fell or rose too fast
	Spike                              // the outlier of a jump between samples
	UnidentifiedSpike                  // a jump whose outlier cannot be told
	NoData                             // no sample
	ShortConst                         // stands still for hours
	LongConst                          // stands still for a day
	Frozen                             // wind sensor stands still in frost
	Anomalous                          // the outlier of a jump between averages
	Unidentified                       // a jump between averages whose outlier cannot be told
	TooFew                             // too few good samples for an average
)

var codeNames = [...]string{
	"OBC", "SPIKE_INST", "UNIDENTIFIED_SPIKE", "NO_DATA", "SHORT_CONST", "LONG_CONST", "FROZEN_SENSOR",
	"ANOMALOUS_INCREASE", "UNIDENTIFIED_ANOMALOUS_INCREASE", "NO_DATA_MIN",
}

// invalid are the findings that spoil an average.
const invalid = Anomalous | Unidentified | TooFew

// Names returns the published names of the findings.
func (c Code) Names() []string {
	out := make([]string, 0, bits.OnesCount16(uint16(c)))
	for c != 0 {
		i := bits.TrailingZeros16(uint16(c))
		out = append(out, codeNames[i])
		c &^= 1 << i
	}
	return out
}

const kinds = len(codeNames)

// count adds the findings to their counts.
func (c Code) count(n *[kinds]int) {
	for c != 0 {
		i := bits.TrailingZeros16(uint16(c))
		n[i]++
		c &^= 1 << i
	}
}
