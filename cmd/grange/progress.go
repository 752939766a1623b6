package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
)

// progress tells a person how the start goes: one line that rewrites itself on
// a terminal, one line per role elsewhere.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	c     cliout.Colors
	tty   bool
	began time.Time
	total int
	ready int
	busy  []string
	live  bool // the last line is ours to rewrite
	up    bool // everything started: from now on only changes are told
	over  bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, c: cliout.ColorsFor(w), tty: cliout.IsTerminal(w), began: time.Now()}
}

func (p *progress) expect(roles int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = roles
}

// say writes a line of its own.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(fmt.Sprintf(format, args...))
}

// line writes text on a line of its own. The caller holds p.mu.
func (p *progress) line(text string) {
	p.wipe()
	fmt.Fprintf(p.w, "%s %s\n", p.c.Dim(p.clock()), text)
}

func (p *progress) wipe() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.live = false
	}
}

func (p *progress) clock() string { return fmt.Sprintf("%5.1fs", time.Since(p.began).Seconds()) }

// event is told every change of a role's state.
func (p *progress) event(e node.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.State {
	case node.Starting:
		p.busy = append(p.busy, e.Name)
	case node.Ready:
		p.drop(e.Name)
		p.ready++
		if !p.tty || p.up {
			p.line(fmt.Sprintf("%s ready", e.Name))
		}
	case node.Failed:
		p.drop(e.Name)
		p.line(p.c.Red(fmt.Sprintf("%s failed: %v", e.Name, e.Err)))
	case node.Killed:
		p.drop(e.Name)
		p.line(p.c.Yellow(e.Name + " killed"))
	case node.Stopped:
		p.drop(e.Name)
		if !p.tty {
			p.line(e.Name + " stopped")
		}
	}
	if p.tty && !p.up && !p.over && len(p.busy) > 0 {
		p.wipe()
		fmt.Fprintf(p.w, "%s starting %d/%d: %s", p.c.Dim(p.clock()), p.ready, p.total, shorten(p.busy))
		p.live = true
	}
}

func (p *progress) drop(name string) {
	for i, b := range p.busy {
		if b == name {
			p.busy = append(p.busy[:i], p.busy[i+1:]...)
			return
		}
	}
}

func shorten(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}

// done ends the start.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
	p.line(p.c.Green(fmt.Sprintf("%d of %d roles ready", p.ready, p.total)))
}

// end leaves the terminal's last line clean.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.wipe()
}
