package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
)

// maxOpened is how many files are open at a time.
const maxOpened = 256

// opened are the files that were asked for of late. Those of a bucket are copied
// to a directory first.
type opened struct {
	from evidence.Store
	dir  string
	most int // at a time, but for those that are read

	mu   sync.Mutex
	byID map[merkle.Hash]*file
	tick uint64
}

func newOpened(from evidence.Store, dir string) *opened {
	return &opened{from: from, dir: dir, most: maxOpened, byID: map[merkle.Hash]*file{}}
}

// file is an open file and where the rows of each cell and variable are in it.
type file struct {
	evidence.Segment
	once    sync.Once
	err     error
	body    *os.File
	copied  bool // body is ours to remove
	parquet *parquet.File
	runs    []run
	sold    map[[32]byte]uint64 // rows of each device

	owner *opened
	used  uint64 // under owner.mu
	users int
	gone  bool
}

// run is where the rows of a variable in a cell are.
type run struct {
	cell     h3.Cell
	variable string
	span
}

type span struct{ from, to int64 } // rows

// file opens a file that the catalogue names; release it afterwards.
func (o *opened) file(ctx context.Context, kind string, s evidence.Segment) (*file, error) {
	o.mu.Lock()
	f := o.byID[s.Root]
	if f == nil {
		f = &file{Segment: s, owner: o}
		o.byID[s.Root] = f
	}
	o.tick++
	f.used = o.tick
	f.users++
	o.evict()
	o.mu.Unlock()
	f.once.Do(func() {
		// One who waits must not fail because the first one went away.
		if f.err = f.load(context.WithoutCancel(ctx)); f.err != nil {
			f.err = fmt.Errorf("open %s of %s: %w", fileKey(s), kind, f.err)
			o.forget(s.Root)
		}
	})
	if f.err != nil {
		f.release()
		return nil, f.err
	}
	return f, nil
}

// evict lets the files go that were not used for longest and that nobody reads.
// o.mu is held.
func (o *opened) evict() {
	for len(o.byID) > o.most {
		var oldest *file
		for _, f := range o.byID {
			if f.users == 0 && (oldest == nil || f.used < oldest.used) {
				oldest = f
			}
		}
		if oldest == nil {
			return
		}
		delete(o.byID, oldest.Root)
		oldest.close()
	}
}

// forget closes a file as soon as nobody reads it.
func (o *opened) forget(root merkle.Hash) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.byID[root]
	if f == nil {
		return
	}
	delete(o.byID, root)
	f.gone = true
	if f.users == 0 {
		f.close()
	}
}

func (o *opened) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for root, f := range o.byID {
		f.close()
		delete(o.byID, root)
	}
	return nil
}

func (f *file) release() {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.users--; f.users == 0 && f.gone {
		f.close()
	}
}

func (f *file) close() {
	if f.body == nil {
		return
	}
	_ = f.body.Close()
	if f.copied {
		_ = os.Remove(f.body.Name())
	}
	f.body = nil
}

// load opens the file and reads where what is.
func (f *file) load(ctx context.Context) error {
	body, err := f.owner.from.Get(ctx, fileKey(f.Segment))
	if err != nil {
		return err
	}
	if local, ok := body.(*os.File); ok {
		f.body = local
	} else if err := f.copy(body); err != nil {
		return err
	}
	f.parquet, err = parquet.OpenFile(f.body, f.Bytes)
	if err != nil {
		return err
	}
	return f.index()
}

func (f *file) copy(body io.ReadCloser) error {
	defer body.Close()
	to, err := os.CreateTemp(f.owner.dir, "read-*")
	if err != nil {
		return err
	}
	f.body, f.copied = to, true
	if n, err := io.Copy(to, io.LimitReader(body, f.Bytes+1)); err != nil || n != f.Bytes {
		return errors.Join(err, fmt.Errorf("%d bytes, want %d", n, f.Bytes))
	}
	return nil
}

// place is what the index reads of a row.
type placeRow struct {
	Device   [32]byte `parquet:"device"`
	Cell     uint64   `parquet:"cell"`
	Variable string   `parquet:"variable"`
}

// index finds the runs. It reads three columns that hardly take space.
func (f *file) index() error {
	r := parquet.NewGenericReader[placeRow](f.parquet)
	defer r.Close()
	f.sold = map[[32]byte]uint64{}
	rows := make([]placeRow, 1024)
	at := int64(0)
	for {
		n, err := r.Read(rows)
		for i := range rows[:n] {
			p := &rows[i]
			f.sold[p.Device]++
			last := len(f.runs) - 1
			if last < 0 || f.runs[last].cell != h3.Cell(p.Cell) || f.runs[last].variable != p.Variable {
				f.runs = append(f.runs, run{h3.Cell(p.Cell), p.Variable, span{at, at}})
				last++
			}
			at++
			f.runs[last].to = at
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if uint64(at) != f.Rows {
		return fmt.Errorf("%d rows, want %d", at, f.Rows)
	}
	return nil
}

// rows yields the rows of a span.
func (f *file) rows(s span, yield func(*Row) bool) error {
	r := parquet.NewGenericReader[Row](f.parquet)
	defer r.Close()
	if err := r.SeekToRow(s.from); err != nil {
		return fmt.Errorf("read %s: %w", fileKey(f.Segment), err)
	}
	rows := make([]Row, min(s.to-s.from, 1024))
	for left := s.to - s.from; left > 0; {
		n, err := r.Read(rows[:min(left, int64(len(rows)))])
		for i := range rows[:n] {
			if !yield(&rows[i]) {
				return nil
			}
		}
		if left -= int64(n); left > 0 && (n == 0 || err != nil) {
			return fmt.Errorf("read %s: %d rows are missing: %w", fileKey(f.Segment), left, errors.Join(err, io.ErrUnexpectedEOF))
		}
	}
	return nil
}
