package gnss

import (
	"math"

	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// almanac holds the orbits that bases published, with the owners who did.
type almanac map[sat][]*published

// published is one orbit.
type published struct {
	rtcm.Ephemeris
	owners map[string]bool
}

// valid is how far from its reference time an orbit is used, seconds.
const valid = 2*3600 + 600

// mostOrbits is how many of a satellite an owner publishes in a day at most: Galileo
// makes one every ten minutes, which two messages tell.
const mostOrbits = 512

// add enters an orbit of an owner. Those beyond mostOrbits of one satellite, which
// nobody else has, are passed over: every look at the satellite goes through all.
func (a almanac) add(owner string, e rtcm.Ephemeris) {
	if e.SqrtA < 4000 || e.SqrtA > 7000 || e.Ecc > 0.1 || math.IsNaN(e.Toe) {
		return
	}
	e.Issue = 0 // two messages of Galileo number it alike, others differ
	k := sat{e.System, uint8(e.Satellite)}
	for _, p := range a[k] {
		if p.Ephemeris == e {
			p.owners[owner] = true
			return
		}
	}
	if a.said(k, owner) < mostOrbits {
		a[k] = append(a[k], &published{e, map[string]bool{owner: true}})
	}
}

// said is how many orbits of a satellite an owner published.
func (a almanac) said(k sat, owner string) (n int) {
	for _, p := range a[k] {
		if p.owners[owner] {
			n++
		}
	}
	return n
}

// of returns the orbit of a satellite that most owners besides one published. When
// as many published another, the one that this owner has too is taken: nobody
// alone can make a base look false.
func (a almanac) of(k sat, ofWeek float64, owner string) *rtcm.Ephemeris {
	var best *published
	for _, p := range a[k] {
		if math.Abs(orbit.Age(&p.Ephemeris, ofWeek)) <= valid && p.votes(owner) > 0 && (best == nil || p.before(best, ofWeek, owner)) {
			best = p
		}
	}
	if best == nil {
		return nil
	}
	return &best.Ephemeris
}

func (p *published) votes(owner string) int {
	if p.owners[owner] {
		return len(p.owners) - 1
	}
	return len(p.owners)
}

func (p *published) before(q *published, ofWeek float64, owner string) bool {
	if a, b := p.votes(owner), q.votes(owner); a != b {
		return a > b
	}
	if a, b := p.owners[owner], q.owners[owner]; a != b {
		return a
	}
	if a, b := math.Abs(orbit.Age(&p.Ephemeris, ofWeek)), math.Abs(orbit.Age(&q.Ephemeris, ofWeek)); a != b {
		return a < b
	}
	if p.M0 != q.M0 {
		return p.M0 < q.M0
	}
	return p.Af0 < q.Af0
}
