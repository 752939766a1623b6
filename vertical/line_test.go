package vertical

import (
	"strings"
	"testing"
)

func TestWeight(t *testing.T) {
	const most = ^uint64(0)
	part := func(terms ...Term) Part { return Part{Name: "p", Terms: terms} }
	for _, c := range []struct {
		name string
		line Line
		want uint64
		err  string
	}{
		{"nothing", Line{}, 0, ""},
		{"a part without terms", Line{Parts: []Part{part()}}, 0, ""},
		{"one term", Line{Parts: []Part{part(Term{"hours", 24, 0})}}, 24, ""},
		{"shares are rounded down once", Line{Parts: []Part{part(Term{"a", 1, 2}, Term{"b", 1, 2}, Term{"n", 7, 1})}}, 1, ""},
		{"the order of terms does not matter", Line{Parts: []Part{part(Term{"n", 7, 1}, Term{"a", 1, 2}, Term{"b", 1, 2})}}, 1, ""},
		{"parts add up", Line{Parts: []Part{part(Term{"a", 3, 2}), part(Term{"b", 3, 2})}}, 2, ""},
		{"a product beyond 64 bits that a share brings back", Line{Parts: []Part{part(Term{"a", most, 0}, Term{"b", most, most}, Term{"c", 1, most})}}, 1, ""},
		{"the largest", Line{Parts: []Part{part(Term{"a", MaxWeight, 1})}}, MaxWeight, ""},
		{"a part too large", Line{Parts: []Part{part(Term{"a", most, 1}, Term{"b", most, 1})}}, 0, "at most"},
		{"a sum too large", Line{Parts: []Part{part(Term{"a", MaxWeight, 1}), part(Term{"a", 1, 1})}}, 0, "more than"},
		{"too many parts", Line{Parts: make([]Part, MaxParts+1)}, 0, "257 parts"},
		{"too many terms", Line{Parts: []Part{part(make([]Term, MaxTerms+1)...)}}, 0, "33 terms"},
		{"a penalty of more than all", Line{Penalty: 10_001}, 0, "10001 bps"},
		{"a long name", Line{Parts: []Part{part(Term{strings.Repeat("x", MaxName+1), 1, 1})}}, 0, "65 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.line.Weight()
			if got != c.want || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("weight %d, %v, want %d and an error with %q", got, err, c.want, c.err)
			}
		})
	}
}
