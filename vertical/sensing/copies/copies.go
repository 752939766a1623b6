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
	Devices uint64 // as old as this one that signed the same, itself included
	Repeats bool   // it has a run of samples twice
	Runs    uint64 // by which it was compared
	Second  uint64 // of them, those that an older device signed too
	Copy    bool   // an older device signed the same but for a little noise
}

// Term is a verdict as a factor of a weight. What several devices signed is worth
// something to the one that was registered first: nobody can tell who measured it,
// since times can be made up, but whoever would live on the readings of others has
// to be there before them. Devices of one age share. One that repeats itself is
// worth nothing.
func (v Verdict) Term() vertical.Term {
	switch {
	case v.Repeats:
		return vertical.Term{Name: "series does not repeat itself", Value: 0, Of: 1}
	case v.Copy:
		return vertical.Term{Name: "series that no older device signed", Value: 0, Of: 1}
	case v.Second > 0:
		return vertical.Term{Name: "samples that no older device signed", Value: v.Runs - v.Second, Of: v.Runs * v.Devices}
	default:
		return vertical.Term{Name: "one of the devices with this series", Value: 1, Of: v.Devices}
	}
}

// Copied reports whether what was signed was not measured by whoever signed it, as
// far as it can be told: by itself before or by an older device.
func (v Verdict) Copied() bool { return v.Repeats || v.Copy || v.Second > 0 }

// Likeness is which of some devices signed the same.
type Likeness struct {
	One   Sets    // that signed the same, be they of one age or not
	ages  []int64 // the less the older
	equal Sets    // of one age that signed the same
	copy  []bool  // an older one signed what is the same but for noise
}

// NewLikeness is that of devices with nothing in common, of which the ages are the
// heights at which they were registered.
func NewLikeness(ages []int64) *Likeness {
	return &Likeness{NewSets(len(ages)), ages, NewSets(len(ages)), make([]bool, len(ages))}
}

// Join says that the series of i and j are the same but for noise.
func (l *Likeness) Join(i, j int) {
	l.One.Join(i, j)
	switch {
	case l.ages[i] == l.ages[j]:
		l.equal.Join(i, j)
	case l.ages[i] < l.ages[j]:
		l.copy[j] = true
	default:
		l.copy[i] = true
	}
}

// Told reports whether Join of i and j would tell nothing new.
func (l *Likeness) Told(i, j int) bool {
	if l.ages[i] == l.ages[j] {
		return l.equal.Find(i) == l.equal.Find(j)
	}
	return l.copy[i] && l.ages[i] > l.ages[j] || l.copy[j] && l.ages[j] > l.ages[i]
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
	// Among is of how many runs in a row one is looked at, 1 for all: what two series
	// have in common is found for sure from Run+Among-1 samples on, and may be from
	// Run.
	Among int
}

// Run is a part of a series that no other has by chance.
type Run struct {
	At   int64 // Unix seconds of its first sample
	hash hash
}

// hash is of a run. Half of SHA-256 is enough that nobody finds two of one hash.
type hash [sha256.Size / 2]byte

// Find compares series by their runs. l holds what is already known to be the same,
// and gets what is found.
func Find(series [][]Run, l *Likeness) []Verdict {
	out := make([]Verdict, len(series))
	n := 0
	for _, s := range series {
		n += len(s)
	}
	met := make(map[hash]seen, n)
	for i, s := range series {
		for _, run := range s {
			was, again := met[run.hash]
			if again {
				out[i].Repeats = out[i].Repeats || was.by == i && was.at != run.At
				l.One.Join(i, was.by)
			}
			oldest := was.oldest
			if !again || l.ages[i] < l.ages[oldest] {
				oldest = i
			}
			met[run.hash] = seen{i, run.At, oldest}
		}
	}
	for i, s := range series {
		out[i].Runs, out[i].Copy = uint64(len(s)), l.copy[i]
		for _, run := range s {
			if oldest := met[run.hash].oldest; l.ages[oldest] < l.ages[i] {
				out[i].Second++
			} else {
				l.equal.Join(i, oldest)
			}
		}
	}
	for i, n := range l.equal.Sizes() {
		out[i].Devices = n
	}
	return out
}

// seen is where a run was last, in which series and when, and the oldest device
// that has it.
type seen struct {
	by     int
	at     int64
	oldest int
}

// Runs are those of a series, in the order of time, by which it is compared. Of
// Among runs in a row it is the one with the least sum, which is the same one
// wherever the samples are: winnowing, by Schleimer, Wilkerson and Aiken, SIGMOD
// 2003.
func (r Rule) Runs(s []Sample) []Run {
	if len(s) < r.Run {
		return nil
	}
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
	sums := r.sums(s)
	var out []Run
	last := -1
	for first := 0; first == 0 || first+r.Among <= len(sums); first++ {
		least := -1
		for k := first; k < min(first+r.Among, len(sums)); k++ {
			lively := 1+changes[k+r.Run-1]-changes[k] >= r.Different
			if lively && (least < 0 || sums[k] <= sums[least]) {
				least = k
			}
		}
		if least > last {
			last = least
			sum := sha256.Sum256(raw[8*least : 8*(least+r.Run)])
			out = append(out, Run{s[least].At, hash(sum[:len(hash{})])})
		}
	}
	return out
}

// sums are of the digests of each run, as a polynomial of a number, so that each
// follows from the one before.
func (r Rule) sums(s []Sample) []uint64 {
	const x = 0x9e3779b97f4a7c15
	var sum uint64
	top := uint64(1) // x to the power of Run
	for _, one := range s[:r.Run] {
		sum, top = sum*x+one.Digest, top*x
	}
	out := []uint64{sum}
	for k, one := range s[r.Run:] {
		sum = sum*x + one.Digest - top*s[k].Digest
		out = append(out, sum)
	}
	return out
}
