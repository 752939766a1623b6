package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
)

// The catalogue: one file that says which files there are and how much of the log
// is in them.
const (
	catalogueKey     = "catalogue.json.gz"
	catalogueVersion = 1
	maxCatalogue     = 1 << 30 // bytes
)

type catalogue struct {
	Version int        `json:"version"`
	Next    uint64     `json:"next"` // place in the log
	Files   []fileJSON `json:"files"`
	Streams []stream   `json:"streams"`
}

type fileJSON struct {
	Kind   string `json:"kind"`
	Parent string `json:"parent"`
	Day    string `json:"day"`
	Rows   uint64 `json:"rows"`
	Bytes  int64  `json:"bytes"`
	Root   string `json:"root"`
}

// stream is a Stream on disk.
type stream struct {
	Kind     string `json:"k"`
	Device   string `json:"d"`
	Variable string `json:"v"`
	Unit     string `json:"u"`
	First    int64  `json:"f"`
	Rows     uint64 `json:"n"`
	Time     int64  `json:"t"`
	Cell     string `json:"c"`
	Place    [3]num `json:"p"`
	Value    num    `json:"x"`
	QC       uint32 `json:"q,omitempty"`
	Counter  uint64 `json:"b"`
	Batch    string `json:"h"`
}

// num is a float that may be no number, which JSON lacks.
type num float64

func (n num) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatFloat(float64(n), 'g', -1, 64)), nil
}

func (n *num) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = num(f)
	return err
}

// catalogue is what is in files. s.mu is held, and nothing is in memory that came
// before next.
func (s *Store) catalogue(next uint64, files map[key][]evidence.Segment) catalogue {
	c := catalogue{Version: catalogueVersion, Next: next}
	for _, of := range files {
		for _, f := range of {
			c.Files = append(c.Files, fileJSON{f.Kind, f.Parent.String(), f.Day.String(), f.Rows, f.Bytes, f.Root.String()})
		}
	}
	slices.SortFunc(c.Files, func(a, b fileJSON) int {
		return strings.Compare(a.Day+a.Kind+a.Parent+a.Root, b.Day+b.Kind+b.Parent+b.Root)
	})
	for _, x := range s.streams {
		c.Streams = append(c.Streams, stream{
			Kind: x.Kind, Device: x.Device.String(), Variable: x.Variable, Unit: x.Unit, First: x.First, Rows: x.Rows, Time: x.Time,
			Cell: h3.Cell(x.Cell).String(), Place: [3]num{num(x.Lat), num(x.Lon), num(x.Alt)}, Value: num(x.Value), QC: x.QC,
			Counter: x.Counter, Batch: hex.EncodeToString(x.Batch[:]),
		})
	}
	return c
}

func (s *Store) save(ctx context.Context, c catalogue) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(c), z.Close()); err != nil {
		return err
	}
	return s.cfg.Files.Put(ctx, catalogueKey, bytes.NewReader(b.Bytes()))
}

// load reads the catalogue, if there is one.
func (s *Store) load(ctx context.Context) error {
	body, err := s.cfg.Files.Get(ctx, catalogueKey)
	if errors.Is(err, evidence.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	z, err := gzip.NewReader(body)
	if err != nil {
		return fmt.Errorf("read %s: %w", catalogueKey, err)
	}
	var c catalogue
	if err := json.NewDecoder(io.LimitReader(z, maxCatalogue)).Decode(&c); err != nil {
		return fmt.Errorf("read %s: %w", catalogueKey, err)
	}
	if c.Version != catalogueVersion {
		return fmt.Errorf("read %s: version %d, want %d", catalogueKey, c.Version, catalogueVersion)
	}
	s.next, s.flushed = c.Next, c.Next
	for _, f := range c.Files {
		k, seg, err := f.decode()
		if err != nil {
			return fmt.Errorf("read %s: file %s: %w", catalogueKey, f.Root, err)
		}
		s.files[k] = append(s.files[k], seg)
	}
	for i, x := range c.Streams {
		if err := s.recall(x); err != nil {
			return fmt.Errorf("read %s: stream %d: %w", catalogueKey, i+1, err)
		}
	}
	return nil
}

func (f fileJSON) decode() (k key, seg evidence.Segment, err error) {
	parent, err1 := strconv.ParseUint(f.Parent, 16, 64)
	day, err2 := time.Parse(time.DateOnly, f.Day)
	root, err3 := hex.DecodeString(f.Root)
	if err := errors.Join(err1, err2, err3); err != nil || len(root) != merkle.HashSize || !strings.HasPrefix(f.Kind, "obs-") {
		return k, seg, fmt.Errorf("%+v is not a file of observations: %w", f, err)
	}
	k = key{strings.TrimPrefix(f.Kind, "obs-"), h3.Cell(parent), segment.DayOf(day)}
	seg.Summary = segment.Summary{Name: segment.Name{Kind: f.Kind, Parent: segment.Cell(parent), Day: k.day}, Rows: f.Rows, Root: merkle.Hash(root), Bytes: f.Bytes}
	return k, seg, nil
}

func (s *Store) recall(x stream) error {
	id, err1 := device.ParseID(x.Device)
	cell, err2 := h3.Parse(x.Cell)
	batch, err3 := hex.DecodeString(x.Batch)
	if err := errors.Join(err1, err2, err3); err != nil || len(batch) != 32 {
		return fmt.Errorf("batch %q: %w", x.Batch, err)
	}
	s.enter(&Stream{Kind: x.Kind, Device: id, Variable: x.Variable, First: x.First, Rows: x.Rows, Row: Row{
		Device: id, Counter: x.Counter, Time: x.Time, Cell: uint64(cell), Lat: float64(x.Place[0]), Lon: float64(x.Place[1]), Alt: float64(x.Place[2]),
		Variable: x.Variable, Value: float64(x.Value), Unit: x.Unit, QC: x.QC, Batch: [32]byte(batch),
	}})
	return nil
}
