package senml

import "github.com/grange-network/grange/vertical/sensing/internal/strictcbor"

// Labels of CBOR (RFC 8428 section 6).
const (
	labelBaseName = -2
	labelBaseTime = -3
	labelBaseUnit = -4
	labelBaseVal  = -5
	labelName     = 0
	labelUnit     = 1
	labelValue    = 2
	labelTime     = 6

	lowest = labelBaseVal
)

// quick reads a pack of numbers as devices usually write it. What it does not read
// parseCBOR decodes by reflection, which also says what is wrong; of what it reads
// both make the same.
func quick(raw []byte) (out []Record, ok bool) {
	r := strictcbor.NewReader(raw)
	n := r.Array(MaxRecords)
	if n == 0 {
		return nil, false
	}
	res := resolver{out: make([]Record, 0, min(n, len(raw)))}
	in := record{Value: new(float64)}
	for range n {
		readQuick(r, &in, &res)
		if r.Failed() || res.add(&in) != nil {
			return nil, false
		}
	}
	return res.out, r.Whole()
}

// readQuick reads a record with a value. Behind one like it, names and units are
// not made again.
func readQuick(r *strictcbor.Reader, in *record, res *resolver) {
	value, name, unit := in.Value, in.Name, in.Unit
	*in = record{}
	var seen [labelTime - lowest + 1]bool
	for range r.Map(len(seen)) {
		label := r.Int()
		if label < lowest || label > labelTime || seen[label-lowest] {
			r.Fail()
			return
		}
		seen[label-lowest] = true
		switch label {
		case labelBaseName:
			in.BaseName = string(r.Text())
		case labelBaseTime:
			in.BaseTime = r.Number()
		case labelBaseUnit:
			in.BaseUnit = string(r.Text())
		case labelBaseVal:
			base := r.Number()
			in.BaseVal = &base
		case labelName:
			in.Name = same(name, r.Text())
		case labelUnit:
			in.Unit = same(unit, r.Text())
		case labelValue:
			*value = r.Number()
			in.Value = value
		case labelTime:
			in.Time = r.Number()
		default:
			r.Fail()
		}
	}
	if in.Value == nil {
		r.Fail()
	}
}

// same is b as a string, s itself if that is it.
func same(s string, b []byte) string {
	if s == string(b) {
		return s
	}
	return string(b)
}
