// Package copies finds series of readings that several devices signed, or one
// device twice: equal runs of samples. It knows nothing of what was measured, and
// finds no copy that was changed on the way.
package copies

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/grange-network/grange/vertical"
)

// Sample is one moment of a series.
type Sample struct {
	At     int64  // Unix seconds
	Digest uint64 // of what was measured
}

// Digest is of values to the hundredth; NaN for one that is missing.
func Digest(values ...float64) uint64 {
	b := make([]byte, 0, 64)
	for _, v := range values {
		if math.IsNaN(v) || math.Abs(v) > 1e12 {
			v = -1e12
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(int64(math.Round(v*100))))
	}
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

// Verdict is about one series.
type Verdict struct {
	Devices uint64 // that have the same samples, at any time, itself included
	Repeats bool   // it has a run of samples twice
}

// Term is a verdict as a factor of a weight: devices that sign one series share
// what it is worth, since nobody can tell who had it first; times can be made up.
// One that repeats itself is worth nothing.
func (v Verdict) Term() vertical.Term {
	if v.Repeats {
		return vertical.Term{Name: "series does not repeat itself", Value: 0, Of: 1}
	}
	return vertical.Term{Name: "one of the devices with this series", Value: 1, Of: v.Devices}
}

// Sets are disjoint sets of devices that count as one.
type Sets []int

// NewSets are n sets of one.
func NewSets(n int) Sets {
	s := make(Sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// Find names the set of i.
func (s Sets) Find(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

// Join makes one set of those of i and j.
func (s Sets) Join(i, j int) { s[s.Find(i)] = s.Find(j) }

// Sizes are the sizes of each member's set.
func (s Sets) Sizes() []uint64 {
	n := map[int]uint64{}
	for i := range s {
		n[s.Find(i)]++
	}
	out := make([]uint64, len(s))
	for i := range s {
		out[i] = n[s.Find(i)]
	}
	return out
}

// Rule says which runs are too long to be equal by chance.
type Rule struct {
	Run       int // samples in a row
	Different int // least different samples of a run; a constant proves nothing
}

// Find compares series, each in the order of time. alike holds what is already
// known to be one, and gets what is found; nil for nothing. It keeps about 50 bytes
// of each sample.
func Find(r Rule, series [][]Sample, alike Sets) []Verdict {
	if alike == nil {
		alike = NewSets(len(series))
	}
	out := make([]Verdict, len(series))
	samples := 0
	for _, s := range series {
		samples += len(s)
	}
	newest := make(map[hash]seen, samples)
	for i, s := range series {
		for at, run := range r.runs(s) {
			if was, again := newest[run]; again {
				alike.Join(i, was.by)
				out[i].Repeats = out[i].Repeats || was.by == i && was.at != at
			}
			newest[run] = seen{i, at}
		}
	}
	for i, n := range alike.Sizes() {
		out[i].Devices = n
	}
	return out
}

// seen is where a run was: in which series and when.
type seen struct {
	by int
	at int64
}

// hash is of a run. Half of SHA-256 is enough that nobody finds two of one hash.
type hash [sha256.Size / 2]byte

// runs yields the time of the first sample and the hash of each run.
func (r Rule) runs(s []Sample) func(yield func(int64, hash) bool) {
	return func(yield func(int64, hash) bool) {
		raw := make([]byte, 0, 8*len(s))
		changes := make([]int, len(s)) // from one sample to the next, up to each
		for k, x := range s {
			raw = binary.LittleEndian.AppendUint64(raw, x.Digest)
			if k > 0 {
				changes[k] = changes[k-1]
				if x.Digest != s[k-1].Digest {
					changes[k]++
				}
			}
		}
		for k := 0; k+r.Run <= len(s); k++ {
			if 1+changes[k+r.Run-1]-changes[k] < r.Different {
				continue
			}
			sum := sha256.Sum256(raw[8*k : 8*(k+r.Run)])
			if !yield(s[k].At, hash(sum[:len(hash{})])) {
				return
			}
		}
	}
}
