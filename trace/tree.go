package trace

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Tree is a trace with what was paid for it.
type Tree struct {
	Trace string `json:"trace"`
	Why   string `json:"why,omitempty"` // why the request failed
	// Causes are the failures that led to it, the same ones together.
	Causes []Cause `json:"causes,omitempty"`
	Roots  []*Node `json:"spans"`
	// Later is the work of other traces for this one, such as packing.
	Later []*Node `json:"later,omitempty"`
}

// Cause is a failure of a part of a request.
type Cause struct {
	Error   string   `json:"error"` // of the first; the others end with the same words
	Count   int      `json:"count"`
	Devices []string `json:"devices,omitempty"` // where, as far as the parts say
}

// Node is a span with its parts and, when it used a lane or stored a piece, the
// payment for that.
type Node struct {
	Span
	Payment  *Payment `json:"payment,omitempty"`
	Children []*Node  `json:"children,omitempty"`
}

// Payment is how far the payment of a span has come. Fields are zero as long as
// that has not happened, or is not in this store.
type Payment struct {
	Lease string `json:"lease"`
	Lane  string `json:"lane,omitempty"`  // of a read
	Units uint64 `json:"units,omitempty"` // of a read: the receipt must cover as many
	Unit  string `json:"unit,omitempty"`  // what they are, of a standing lease: a statement covers them

	Seq         uint64 `json:"seq,omitempty"`      // of the first receipt that covers them
	Revision    uint64 `json:"revision,omitempty"` // of the first commitment with the piece
	SignedUnits uint64 `json:"signed_units,omitempty"`
	Epoch       string `json:"epoch,omitempty"`
	SignedAt    int64  `json:"signed_ns,omitempty"`

	SettledSeq uint64 `json:"settled_seq,omitempty"` // may be newer than Seq: receipts are cumulative
	Paid       string `json:"paid_ucredit,omitempty"`
	Tx         string `json:"tx,omitempty"`
	Height     string `json:"height,omitempty"`
	SettledAt  int64  `json:"settled_ns,omitempty"`
	// Refusal is why the ledger refused the newest try, when none passed since.
	Refusal string `json:"refusal,omitempty"`
}

// Load makes the tree of a trace from the store below root. The error is
// ErrNotFound when there is no such trace.
func Load(root, id string) (Tree, error) {
	spans, err := Spans(root, id)
	if err != nil {
		return Tree{}, err
	}
	if spans, err = withLater(root, id, spans); err != nil {
		return Tree{}, err
	}
	payments, err := Payments(root, leasesOf(spans))
	if err != nil {
		return Tree{}, err
	}
	return Build(id, spans, payments), nil
}

// maxLater bounds the other traces that are shown with one.
const maxLater = 4

// withLater adds the rest of the traces that did work for id.
func withLater(root, id string, spans []Span) ([]Span, error) {
	seen := map[string]bool{id: true}
	out := slices.Clone(spans)
	for _, s := range spans {
		if seen[s.Trace] || len(seen) > maxLater {
			continue
		}
		seen[s.Trace] = true
		more, err := Spans(root, s.Trace)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		out = append(slices.DeleteFunc(out, func(o Span) bool { return o.Trace == s.Trace }), more...)
	}
	return out, nil
}

func leasesOf(spans []Span) []string {
	var out []string
	for _, s := range spans {
		if l := s.Attr(Lease); l != "" && paysFor(s) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// paysFor reports whether a span is something that is paid for.
func paysFor(s Span) bool { return s.Attr(Units) != "" || s.Attr(Roots) != "" }

// Build makes the tree of the trace id from its spans and the spans that carry
// payments.
func Build(id string, spans, payments []Span) Tree {
	t := Tree{Trace: id}
	nodes := map[string]*Node{}
	for _, s := range spans {
		n := &Node{Span: s}
		if paysFor(s) && s.Error == "" && s.Attr(Lease) != "" {
			n.Payment = paymentOf(s, payments)
		}
		nodes[s.ID] = n
	}
	for _, s := range spans {
		n := nodes[s.ID]
		switch parent := nodes[s.Parent]; {
		case parent != nil && parent != n:
			parent.Children = append(parent.Children, n)
		case s.Trace == id:
			t.Roots = append(t.Roots, n)
		default:
			t.Later = append(t.Later, n)
		}
	}
	for _, r := range t.Roots {
		if t.Why == "" {
			t.Why, t.Causes = why(r)
		}
	}
	return t
}

// why says why a root failed and what led to it. A request whose answer broke off
// has failed although its root has not.
func why(root *Node) (string, []Cause) {
	broken := root.Attr(Door) != "" && slices.ContainsFunc(root.Children, func(c *Node) bool { return c.Error != "" })
	if root.Error == "" && !broken {
		return "", nil
	}
	text := root.Error
	for _, c := range root.Children {
		if text == "" {
			text = c.Error
		}
	}
	var causes []Cause
	leaves(root, "", func(device string, n *Node) {
		if n == root {
			return
		}
		text = Headline(text, n.Error)
		i := slices.IndexFunc(causes, func(c Cause) bool { return end(c.Error) == end(n.Error) })
		if i < 0 {
			i = len(causes)
			causes = append(causes, Cause{Error: n.Error})
		}
		c := &causes[i]
		c.Count++
		if device != "" && !slices.Contains(c.Devices, device) {
			c.Devices = append(c.Devices, device)
		}
	})
	return text, causes
}

// leaves calls f for the failed parts of n that have no failed parts, with the
// device that they deal with.
func leaves(n *Node, device string, f func(string, *Node)) {
	device = cmp.Or(n.Attr(Device), device)
	leaf := true
	for _, c := range n.Children {
		if c.Error != "" {
			leaf = false
			leaves(c, device, f)
		}
	}
	if leaf {
		f(device, n)
	}
}

// Headline is what an error says before it repeats the error of a part.
func Headline(text, part string) string {
	before, _, found := strings.Cut(text, part)
	if !found || before == "" {
		return text
	}
	before = strings.TrimSuffix(before, ": ")
	if i := strings.LastIndex(before, ": piece "); i >= 0 {
		before = before[:i]
	}
	return before
}

// end is the last part of an error's text, which is its cause.
func end(text string) string { return text[strings.LastIndex(text, ": ")+1:] }

// paymentOf joins a span to the first receipt or commitment that covers it, and
// to the first transaction that settled that.
func paymentOf(s Span, carriers []Span) *Payment {
	p := &Payment{Lease: s.Attr(Lease), Lane: s.Attr(Lane), Units: number(s.Attr(Units)), Unit: s.Attr(Unit)}
	read := s.Attr(Units) != ""
	each(carriers, p.Lease, func(_ Span, e Event) {
		switch {
		case read && e.Name == EventReceipt && e.Attr(Lane) == p.Lane && number(e.Attr(Units)) >= p.Units:
			if seq := number(e.Attr(Seq)); p.Seq == 0 || seq < p.Seq || seq == p.Seq && e.Time < p.SignedAt {
				p.Seq, p.SignedUnits, p.Epoch, p.SignedAt = seq, number(e.Attr(Units)), e.Attr(Epoch), e.Time
			}
		case !read && e.Name == EventCommitment && covers(e, s):
			if rev := number(e.Attr(Revision)); p.Revision == 0 || rev < p.Revision || rev == p.Revision && e.Time < p.SignedAt {
				p.Revision, p.SignedUnits, p.SignedAt = rev, number(e.Attr(Units)), e.Time
			}
		}
	})
	each(carriers, p.Lease, func(c Span, e Event) {
		switch {
		case p.Unit != "" && e.Name == EventStated && number(e.Attr(Units)) >= p.Units:
			if c.Error == "" && (p.SignedAt == 0 || e.Time < p.SignedAt) {
				p.SignedUnits, p.Epoch, p.SignedAt = number(e.Attr(Units)), e.Attr(Epoch), e.Time
			}
		case read && e.Name == EventSettled && e.Attr(Lane) == p.Lane && number(e.Attr(Units)) >= p.Units,
			!read && e.Name == EventCommitted && p.Revision > 0 && number(e.Attr(Revision)) >= p.Revision:
		default:
			return
		}
		if c.Error != "" {
			if p.Tx == "" {
				p.Refusal = c.Error
			}
			return
		}
		if p.Tx == "" || e.Time < p.SettledAt {
			p.SettledSeq, p.Paid, p.Tx, p.Height, p.SettledAt = number(e.Attr(Seq)), e.Attr(Paid), c.Attr(Tx), c.Attr(Height), e.Time
			p.Refusal = ""
		}
	})
	return p
}

// covers reports whether a commitment holds the piece that a span stored. One of
// more pieces than it names is taken to when it was signed afterwards.
func covers(e Event, s Span) bool {
	roots := e.Attr(Roots)
	return strings.Contains(roots, s.Attr(Roots)) || strings.HasSuffix(roots, more) && e.Time >= s.End
}

// more ends a list of roots that is not whole.
const more = "+"

// maxRoots is how many roots an event names.
const maxRoots = 100

// RootList is the value of Roots for pieces: the first 16 hex digits of each.
func RootList[T interface{ String() string }](roots []T) string {
	var b strings.Builder
	for i, r := range roots {
		if i == maxRoots {
			b.WriteString(more)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		text := r.String()
		b.WriteString(text[:min(16, len(text))])
	}
	return b.String()
}

func each(carriers []Span, lease string, f func(Span, Event)) {
	for _, c := range carriers {
		for _, e := range c.Events {
			if e.Attr(Lease) == lease {
				f(c, e)
			}
		}
	}
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}
