package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/trace"
)

// tracePrinter writes traces for people.
type tracePrinter struct {
	w     io.Writer
	c     cliout.Colors
	names map[string]string // of devices, by id
}

func newTracePrinter(w io.Writer, home string) *tracePrinter {
	p := &tracePrinter{w: w, c: cliout.ColorsFor(w), names: map[string]string{}}
	if plan, err := local.LoadPlan(home); err == nil {
		for _, pr := range plan.Providers {
			p.names[pr.Device] = pr.Name
		}
	}
	return p
}

// device is the name of a device of this home, or the beginning of its id.
func (p *tracePrinter) device(id string) string {
	if name := p.names[id]; name != "" {
		return name
	}
	return cliout.Short(id)
}

func (p *tracePrinter) tree(t trace.Tree) error {
	p.line("%s", p.c.Bold("trace "+t.Trace))
	if t.Why != "" {
		p.line("%s", p.c.Red("failed: "+t.Why))
	}
	for _, c := range t.Causes {
		p.line("  %s", p.cause(c))
	}
	for _, n := range t.Roots {
		p.line("")
		p.node(n, "", "")
	}
	for _, n := range t.Later {
		p.line("")
		p.line("%s", p.c.Dim("later, for this and other requests (trace "+n.Trace+"):"))
		p.node(n, "", "")
	}
	return nil
}

func (p *tracePrinter) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// roleWidth is the column of role names.
const roleWidth = 11

// node writes a span and what belongs to it. first leads its own line, rest the
// lines below.
func (p *tracePrinter) node(n *trace.Node, first, rest string) {
	p.line("%-*s %s%s  %s", roleWidth, n.Role, first, p.what(n.Span), p.c.Dim(took(n.Took())))
	below := rest
	if len(n.Children) > 0 {
		below += "│  "
	} else {
		below += "   "
	}
	note := func(text string) { p.line("%*s %s%s", roleWidth, "", below, text) }
	if n.Error != "" {
		note(p.c.Red("failed: " + headline(n)))
	}
	if n.Attr(trace.Given) != "" {
		note(p.c.Dim("given up: it was not needed any more"))
	}
	if r := n.Attr(trace.Refused); r != "" {
		note(p.c.Yellow("refused: " + r))
	}
	for _, e := range n.Events {
		if text := p.event(e); text != "" {
			note(p.c.Dim(text))
		}
	}
	if n.Payment != nil {
		for _, text := range p.payment(n) {
			note(text)
		}
	}
	for i, k := range n.Children {
		if i == len(n.Children)-1 {
			p.node(k, rest+"└─ ", rest+"   ")
		} else {
			p.node(k, rest+"├─ ", rest+"│  ")
		}
	}
}

// cause is a line about failures that are the same.
func (p *tracePrinter) cause(c trace.Cause) string {
	if c.Count == 1 && len(c.Devices) == 0 {
		return c.Error
	}
	var at []string
	for _, d := range c.Devices {
		at = append(at, p.device(d))
	}
	slices.Sort(at)
	return fmt.Sprintf("%d× at %s: %s", c.Count, strings.Join(at, ", "), oneLine(c.Error, 300))
}

// headline is the error of a span without those of its parts, which tell
// themselves.
func headline(n *trace.Node) string {
	text := n.Error
	for _, c := range n.Children {
		if c.Error != "" {
			text = trace.Headline(text, c.Error)
		}
	}
	return oneLine(text, 300)
}

// what says in a few words what a span did.
func (p *tracePrinter) what(s trace.Span) string {
	words := []string{s.Name}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch {
	case s.Attr(trace.Door) != "":
		add("%s: %s", s.Attrs["url.path"], s.Attr(trace.Status))
		if place := s.Attr(trace.Place); place != "" {
			add("(%s)", place)
		}
		return strings.Join(words, " ")
	case s.Name == "transaction":
		if m := s.Attrs["grange.message"]; m != "" {
			add("%s", strings.TrimPrefix(path.Ext(m), "."))
		}
		if tx := s.Attr(trace.Tx); tx != "" {
			add("%s in block %s", cliout.Short(tx), s.Attr(trace.Height))
		}
		return strings.Join(words, " ")
	}
	if shard := s.Attr(trace.Shard); shard != "" {
		add("%s", shard)
	}
	if d := s.Attr(trace.Device); d != "" && p.device(d) != s.Role {
		add("at %s", p.device(d))
	}
	if n, err := strconv.ParseInt(s.Attr(trace.Bytes), 10, 64); err == nil && n > 0 {
		add("%s", cliout.Bytes(uint64(n)))
	}
	if n := s.Attr(trace.Sold); n != "" {
		add("%s %ss", n, s.Attr(trace.Unit))
	}
	if code := s.Attrs["grange.code"]; code != "" {
		add("%s pieces", code)
	}
	if try := s.Attr(trace.Try); try != "" && try != "data" && try != "first" {
		add("(%s)", try)
	}
	if e := s.Attr(trace.Epoch); e != "" {
		add("epoch %s", e)
	}
	return strings.Join(words, " ")
}

// event says what happened during a span, empty for what is told elsewhere.
func (p *tracePrinter) event(e trace.Event) string {
	n := func(k trace.Key) uint64 { v, _ := strconv.ParseUint(e.Attr(k), 10, 64); return v }
	switch e.Name {
	case "metered":
		return fmt.Sprintf("metered %s: %s served, %s paid, window %s", cliout.Bytes(n(trace.Bytes)), cliout.Bytes(n(trace.Units)),
			cliout.Bytes(n("grange.units_paid")), cliout.Bytes(n("grange.window")))
	case trace.EventReceipt:
		return fmt.Sprintf("receipt %s of lease %s, lane %s signed: %s in all", e.Attr(trace.Seq), cliout.Short(e.Attr(trace.Lease)), e.Attr(trace.Lane), cliout.Bytes(n(trace.Units)))
	case trace.EventCommitment:
		return fmt.Sprintf("commitment %s of lease %s signed: %s in all", e.Attr(trace.Revision), cliout.Short(e.Attr(trace.Lease)), cliout.Bytes(n(trace.Units)))
	case trace.EventStated:
		return fmt.Sprintf("lease %s owes %d units in all, stated for epoch %s", cliout.Short(e.Attr(trace.Lease)), n(trace.Units), e.Attr(trace.Epoch))
	case trace.EventSettled, trace.EventCommitted:
		return ""
	}
	return e.Name + ": " + e.Attr(trace.Refused)
}

// payment says how a span is paid for.
func (p *tracePrinter) payment(n *trace.Node) []string {
	y := n.Payment
	lease := cliout.Short(y.Lease)
	later := func(at int64) string { return took(time.Duration(max(at-n.End, 0))) + " later" }
	var signed, settled string
	switch {
	case y.Unit != "" && y.Tx == "" && y.Refusal == "":
		return []string{p.c.Yellow(fmt.Sprintf("statement: none yet for lease %s up to %d %ss: the gateway states what it sold once an epoch", lease, y.Units, y.Unit))}
	case y.Unit != "" && y.Tx == "":
		return []string{p.c.Red("not stated, the ledger refused: " + y.Refusal)}
	case y.Unit != "":
		return []string{p.c.Green(fmt.Sprintf("stated in block %s, transaction %s: lease %s owes for %d %ss in all, epoch %s, %s", y.Height, y.Tx, lease, y.SignedUnits, y.Unit, y.Epoch, later(y.SettledAt)))}
	case y.Units > 0 && y.Seq == 0:
		return []string{p.c.Yellow(fmt.Sprintf("receipt: none yet for lease %s, lane %s up to %s: the gateway signs at the latest when the epoch ends", lease, y.Lane, cliout.Bytes(y.Units)))}
	case y.Units > 0:
		signed = fmt.Sprintf("receipt %d of lease %s, lane %s covers it: %s in all, epoch %s, %s", y.Seq, lease, y.Lane, cliout.Bytes(y.SignedUnits), y.Epoch, later(y.SignedAt))
	case y.Revision == 0:
		return []string{p.c.Yellow(fmt.Sprintf("commitment: none yet of lease %s names this piece: both sides sign one within seconds", lease))}
	default:
		signed = fmt.Sprintf("commitment %d of lease %s holds it: %s in all, %s", y.Revision, lease, cliout.Bytes(y.SignedUnits), later(y.SignedAt))
	}
	paid := ""
	if v, err := strconv.ParseUint(y.Paid, 10, 64); err == nil {
		paid = fmt.Sprintf(": %s paid for all up to receipt %d", cliout.Credits(v), y.SettledSeq)
	}
	switch {
	case y.Tx != "":
		settled = fmt.Sprintf("settled in block %s, transaction %s%s, %s", y.Height, y.Tx, paid, later(y.SettledAt))
	case y.Refusal != "":
		settled = p.c.Red("not settled, the ledger refused: " + y.Refusal)
	default:
		settled = p.c.Yellow("not settled yet: the provider hands it in late in the epoch")
	}
	return []string{p.c.Green(signed), settled}
}

// took is a duration with three digits.
func took(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// oneLine cuts a text to n characters of one line.
func oneLine(s string, n int) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
