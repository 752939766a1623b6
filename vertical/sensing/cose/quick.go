package cose

import "github.com/grange-network/grange/vertical/sensing/internal/strictcbor"

// mostLabels is how many labels of a header quick reads.
const mostLabels = 16

// quick reads a message as devices usually write it: with labels that are whole
// numbers, and values that are numbers, byte strings or texts. What it does not
// read parse decodes by reflection, which also says what is wrong; of what it reads
// both make the same. The message refers to raw.
func quick(raw []byte) (m *Message, ok bool) {
	if len(raw) > 0 && raw[0] == 6<<5|tagSign1 {
		raw = raw[1:]
	}
	r := strictcbor.NewReader(raw)
	if r.Array(4) != 4 {
		return nil, false
	}
	m = &Message{protected: r.Bytes(), Protected: Header{}}
	m.Unprotected, ok = quickHeader(r)
	m.Payload, m.Signature = r.Bytes(), r.Bytes()
	if !ok || !r.Whole() {
		return nil, false
	}
	if len(m.protected) == 0 {
		return m, true
	}
	r = strictcbor.NewReader(m.protected)
	m.Protected, ok = quickHeader(r)
	if len(m.Protected) == 0 {
		m.protected = nil // section 4.4: an empty header is signed as no bytes
	}
	return m, ok && r.Whole()
}

func quickHeader(r *strictcbor.Reader) (h Header, ok bool) {
	n := r.Map(mostLabels)
	h = make(Header, n)
	for range n {
		label := r.Int()
		h[label] = r.Value()
	}
	return h, len(h) == n && !r.Failed()
}
