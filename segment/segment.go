package segment

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/grange-network/grange/core/merkle"
)

// Limits of a segment.
const (
	MaxRows   = 1 << 20  // rows
	MaxLeaf   = 64 << 10 // bytes of a row's canonical encoding
	MaxLeaves = 64 << 20 // bytes of all of them together
	MaxFile   = 96 << 20 // bytes of the file
)

// Errors a caller branches on.
var (
	// ErrFull is returned for a row that no longer fits; begin another segment.
	ErrFull = errors.New("segment is full")
	// ErrMalformed is returned for a file that is not a segment of its kind.
	ErrMalformed = errors.New("segment is malformed")
	// ErrRoot is returned for a file whose rows do not make its root.
	ErrRoot = errors.New("rows do not make the root")
)

// Kind is how rows of type T become leaves. T is a flat struct with parquet
// tags; Leaf appends the canonical encoding of a row, at most MaxLeaf bytes,
// different for different rows.
type Kind[T any] struct {
	Name string // lower-case letters, digits and '-', at most 32
	Leaf func(dst []byte, row *T) []byte
}

// encodings are those whose claims checkValues can check.
var encodings = []format.Encoding{format.Plain, format.RLEDictionary, format.DeltaBinaryPacked}

// schema is the Parquet schema of T. It refuses what a segment cannot hold.
func (k Kind[T]) schema() (*parquet.Schema, error) {
	s := parquet.SchemaOf(new(T))
	if !validKind(k.Name) || k.Leaf == nil {
		return nil, fmt.Errorf("segment kind %q: want a name of 1 to 32 letters, digits and '-', and a leaf encoding", k.Name)
	}
	for _, f := range s.Fields() {
		if !f.Leaf() || f.Optional() || f.Repeated() {
			return nil, fmt.Errorf("segment kind %s: field %s is nested, optional or repeated", k.Name, f.Name())
		}
		if e := f.Encoding(); e != nil && !slices.Contains(encodings, e.Encoding()) {
			return nil, fmt.Errorf("segment kind %s: field %s is encoded as %s, which segments do not use", k.Name, f.Name(), e)
		}
	}
	return s, nil
}

func validKind(s string) bool {
	return len(s) > 0 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Day counts days since 1970-01-01 UTC.
type Day uint32

// DayOf is the day that holds t.
func DayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

// String is the day as 2006-01-02.
func (d Day) String() string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }

// Cell is an H3 index; 0 is no place.
type Cell uint64

// String is the cell in lower hex, as H3 writes it.
func (c Cell) String() string { return strconv.FormatUint(uint64(c), 16) }

// Name says which rows a segment holds.
type Name struct {
	Kind   string
	Parent Cell
	Day    Day
}

// Path is where a segment with this name and root is kept:
// kind/parent/day/root.parquet.
func (n Name) Path(root merkle.Hash) string {
	return path.Join(n.Kind, n.Parent.String(), n.Day.String(), root.String()+".parquet")
}

// String is the name for messages.
func (n Name) String() string { return path.Join(n.Kind, n.Parent.String(), n.Day.String()) }

// Summary is what a finished segment commits to.
type Summary struct {
	Name
	Rows  uint64
	Root  merkle.Hash
	Bytes int64 // of the file
}

// Keys of the footer's metadata.
const (
	keyKind   = "grange.kind"
	keyParent = "grange.parent"
	keyDay    = "grange.day"
	keyRows   = "grange.rows"
	keyRoot   = "grange.root"
)

func (s Summary) metadata() [][2]string {
	return [][2]string{
		{keyDay, s.Day.String()}, {keyKind, s.Kind}, {keyParent, s.Parent.String()},
		{keyRoot, s.Root.String()}, {keyRows, strconv.FormatUint(s.Rows, 10)},
	}
}
