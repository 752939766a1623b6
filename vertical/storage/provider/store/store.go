package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrFull is wrapped when the capacity or the disk has no room; nothing of the
	// write is left.
	ErrFull = errors.New("no room left")
	// ErrMismatch is wrapped when bytes do not have the root they were put under.
	ErrMismatch = errors.New("bytes have another root")
	// ErrMissing is wrapped when a piece is not stored, or not for that lease.
	ErrMissing = errors.New("piece is not stored")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store is closed")
)

// LeaseID names a lease.
type LeaseID = [32]byte

// Options of a store.
type Options struct {
	Dir      string           // made when missing
	Capacity int64            // most bytes of pieces, outboards (0.4 %) not counted
	Now      func() time.Time // for the age of pending pieces; time.Now when nil
	Log      *slog.Logger     // slog.Default when nil
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	opt  Options
	db   *bolt.DB
	lost []piece.Root

	changes chan *change
	done    chan struct{}
	stop    sync.Once
	stopped chan struct{}

	mu       sync.Mutex
	used     int64 // bytes of pieces in the index
	reserved int64 // bytes of uploads under way
	pieces   int
	sets     map[LeaseID]map[uint64]proof.Set // by revision, those used lately
}

// Open opens or makes the store in the directory, removes torn writes and finds
// lost pieces. It fails when another process has it open.
func Open(opt Options) (*Store, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	s := &Store{
		opt: opt, changes: make(chan *change), done: make(chan struct{}), stopped: make(chan struct{}),
		sets: map[LeaseID]map[uint64]proof.Set{},
	}
	for _, dir := range []string{s.path("tmp"), s.path("pieces")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	db, err := bolt.Open(s.path("index.db"), 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open store index %s (is another provider running on it?): %w", s.path("index.db"), err)
	}
	s.db = db
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opt.Dir, err), db.Close())
	}
	go s.commit()
	return s, nil
}

// Close waits for changes under way and closes the index.
func (s *Store) Close() error {
	s.stop.Do(func() { close(s.done) })
	<-s.stopped
	return s.db.Close()
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.opt.Dir}, elem...)...)
}

// Path returns the file that holds a piece: its bytes, then its outboard.
func (s *Store) Path(root piece.Root) string {
	name := root.String()
	return s.path("pieces", name[:2], name)
}

// Lost returns the pieces that the index names and that had no file of the right
// length when the store was opened.
func (s *Store) Lost() []piece.Root { return s.lost }

// Usage says how full the store is, in bytes of pieces.
type Usage struct {
	Capacity int64
	Used     int64 // stored
	Reserved int64 // of uploads under way
	Pieces   int
}

// Usage returns how full the store is.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Usage{s.opt.Capacity, s.used, s.reserved, s.pieces}
}

// reserve takes room for an upload; release gives it back.
func (s *Store) reserve(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free := s.opt.Capacity - s.used - s.reserved; size > free {
		return fmt.Errorf("store %d bytes: %d of %d free: %w", size, max(free, 0), s.opt.Capacity, ErrFull)
	}
	s.reserved += size
	return nil
}

func (s *Store) release(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved -= size
}

// Put stores size bytes of body as the piece root, pending for the lease. It
// returns after the piece is durable, and false when the lease had it already and
// undamaged, in which case body is not read. Errors wrap ErrMismatch, ErrFull (also for a full
// disk), io.ErrUnexpectedEOF for a short body, or are body's; nothing is left
// behind then.
func (s *Store) Put(lease LeaseID, root piece.Root, size int64, body io.Reader) (bool, error) {
	had, err := s.keep(lease, root)
	if had || err != nil {
		return false, err
	}
	if size < 1 || size > piece.MaxSize {
		return false, fmt.Errorf("store piece %v: size %d outside 1..%d", root, size, piece.MaxSize)
	}
	if err := s.reserve(size); err != nil {
		return false, err
	}
	defer s.release(size)
	tmp, err := s.receive(root, size, body)
	if err == nil {
		err = s.admit(lease, root, size, tmp)
	}
	if err != nil {
		os.Remove(tmp)
		return false, fmt.Errorf("store piece %v: %w", root, full(err))
	}
	return true, nil
}

// full maps a full disk to ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// receive writes the body and its outboard to a synced temporary file and returns
// its name, which the caller removes on error.
func (s *Store) receive(root piece.Root, size int64, body io.Reader) (name string, err error) {
	f, err := os.CreateTemp(s.path("tmp"), root.String()[:16]+"-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var h piece.Hasher
	if err := copyBody(io.MultiWriter(f, &h), body, size); err != nil {
		return f.Name(), err
	}
	got, outboard := h.Outboard()
	if got != root {
		return f.Name(), fmt.Errorf("received %d bytes of root %v: %w", size, got, ErrMismatch)
	}
	if _, err := f.Write(outboard); err != nil {
		return f.Name(), err
	}
	return f.Name(), f.Sync()
}

var copyBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

func copyBody(w io.Writer, body io.Reader, size int64) error {
	buf := copyBuffers.Get().(*[256 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(body, size), buf[:])
	if err == nil && n < size {
		err = fmt.Errorf("received %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return err
}

// File is a stored piece open for reading.
type File struct {
	f    *os.File
	size int64
}

// Open opens a stored piece. The error wraps ErrMissing when there is none.
func (s *Store) Open(root piece.Root) (*File, error) {
	size, ok := s.size(root)
	if !ok {
		return nil, fmt.Errorf("open piece %v: %w", root, ErrMissing)
	}
	f, err := os.Open(s.Path(root))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open piece %v: indexed, but its file is gone: %w", root, ErrMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("open piece %v: %w", root, err)
	}
	return &File{f, size}, nil
}

// Size returns the length of the piece in bytes.
func (f *File) Size() int64 { return f.size }

// Data reads the piece.
func (f *File) Data() io.ReaderAt { return io.NewSectionReader(f.f, 0, f.size) }

// Outboard reads the piece's outboard.
func (f *File) Outboard() io.ReaderAt {
	return io.NewSectionReader(f.f, f.size, piece.OutboardSize(f.size))
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Check reads a piece and reports whether its bytes still have its root; the error
// wraps ErrMismatch when they do not.
func (s *Store) Check(root piece.Root) error {
	f, err := s.Open(root)
	if err != nil {
		return err
	}
	defer f.Close()
	var h piece.Hasher
	if err := copyBody(&h, io.NewSectionReader(f.f, 0, f.size), f.size); err != nil {
		return fmt.Errorf("check piece %v: %w", root, err)
	}
	if got := h.Root(); got != root {
		return fmt.Errorf("check piece %v: its %d bytes hash to %v: %w", root, f.size, got, ErrMismatch)
	}
	return nil
}
