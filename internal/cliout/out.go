package cliout

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Colors paints text, or leaves it alone where colour is unwanted.
type Colors struct{ on bool }

// colorsFor says whether w is a terminal of a person who wants colour
// (https://no-color.org).
func colorsFor(w io.Writer) Colors {
	return Colors{on: IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ColorsFor returns the colours that suit w.
func ColorsFor(w io.Writer) Colors { return colorsFor(w) }

func (c Colors) paint(code, s string) string {
	if !c.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold paints s for headings.
func (c Colors) Bold(s string) string { return c.paint("1", s) }

// Dim paints s for what matters less.
func (c Colors) Dim(s string) string { return c.paint("2", s) }

// Red paints s for failures.
func (c Colors) Red(s string) string { return c.paint("31", s) }

// Green paints s for what went well.
func (c Colors) Green(s string) string { return c.paint("32", s) }

// Yellow paints s for what needs a look.
func (c Colors) Yellow(s string) string { return c.paint("33", s) }

// Cyan paints s for addresses.
func (c Colors) Cyan(s string) string { return c.paint("36", s) }

// Out writes the result of one command.
type Out struct {
	W    io.Writer
	JSON bool
}

// Emit writes v as indented JSON when asked for, and calls human otherwise.
func (o Out) Emit(v any, human func(w io.Writer) error) error {
	if !o.JSON {
		return human(o.W)
	}
	enc := json.NewEncoder(o.W)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Table is rows under a header, aligned when written. Cells that start with a
// digit column are the caller's business: use Right.
type Table struct {
	header []string
	right  map[int]bool
	rows   [][]string
}

// NewTable starts a table with the names of its columns.
func NewTable(header ...string) *Table { return &Table{header: header, right: map[int]bool{}} }

// Right aligns columns to the right.
func (t *Table) Right(columns ...int) *Table {
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// Write writes the table to w.
func (t *Table) Write(w io.Writer) error {
	width := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	c := colorsFor(w)
	if _, err := fmt.Fprintln(w, c.Dim(t.line(t.header, width))); err != nil {
		return err
	}
	for _, row := range t.rows {
		if _, err := fmt.Fprintln(w, t.line(row, width)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) line(row []string, width []int) string {
	var b strings.Builder
	for i, cell := range row {
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
		if t.right[i] {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
		b.WriteString("  ")
	}
	return strings.TrimRight(b.String(), " ")
}

// Pairs writes lines of "name  value" with the values aligned.
func Pairs(w io.Writer, pairs ...[2]string) error {
	width := 0
	for _, p := range pairs {
		width = max(width, utf8.RuneCountInString(p[0]))
	}
	c := colorsFor(w)
	for _, p := range pairs {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(p[0]))
		if _, err := fmt.Fprintf(w, "%s%s  %s\n", c.Dim(p[0]), pad, p[1]); err != nil {
			return err
		}
	}
	return nil
}
