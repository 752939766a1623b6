package wal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// Errors a caller branches on.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("log is closed")
	// ErrTooLarge is returned for a record above Options.MaxRecord.
	ErrTooLarge = errors.New("record is too large")
	// ErrGone is returned for a position before the oldest record kept.
	ErrGone = errors.New("record is no longer kept")
	// ErrFailed is returned by every append after the disk failed to make an
	// earlier one durable: what is on the disk is unknown until the log is
	// opened again.
	ErrFailed = errors.New("log has failed, open it again")
	// ErrLocked is returned when another process has the log open.
	ErrLocked = errors.New("log is open elsewhere")
)

// Options bound a log. The zero value is ready to use.
type Options struct {
	MaxRecord int   // largest record in bytes; default 1 MiB, at most MaxRecord
	FileBytes int64 // size at which a new file is begun; default 64 MiB
	BatchSize int   // bytes that wait for one fdatasync before appends block; default 4 MiB
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxRecord == 0 {
		o.MaxRecord = 1 << 20
	}
	if o.FileBytes == 0 {
		o.FileBytes = 64 << 20
	}
	if o.BatchSize == 0 {
		o.BatchSize = 4 << 20
	}
	if o.MaxRecord < 1 || o.MaxRecord > MaxRecord || o.BatchSize < 1 || o.BatchSize > maxBody || o.FileBytes < 1 {
		return o, fmt.Errorf("open log: record limit %d (1 to %d), batch %d (1 to %d), file %d: out of range", o.MaxRecord, MaxRecord, o.BatchSize, maxBody, o.FileBytes)
	}
	return o, nil
}

// disk is the file that batches are written to.
type disk interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error // of data and size
}

type osFile struct{ *os.File }

// Sync makes data and size durable; times may be lost.
func (f osFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func createFile(path string) (disk, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	return osFile{f}, err
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	dir    string
	opts   Options
	create func(path string) (disk, error)
	lock   *os.File

	mu     sync.Mutex
	files  []uint64 // first record of each file, ascending; the last is written to
	marks  []mark   // ascending
	next   uint64   // first record that is not durable yet
	open   *group   // appends that wait for the next batch
	failed error
	closed bool

	wake chan struct{} // 1: the open group has records, or the log is closed
	done chan struct{} // closed when the committer has ended

	// The committer's own.
	file  disk
	salt  salt
	size  int64
	spare []byte
}

// group is the appends that one batch makes durable. first and err are set
// before done is closed.
type group struct {
	buf   []byte // header, then body
	count uint32
	taken chan struct{} // closed when no more records can join
	done  chan struct{}
	first uint64
	err   error
}

func newGroup(buf []byte) *group {
	return &group{buf: append(buf[:0], make([]byte, batchHead)...), taken: make(chan struct{}), done: make(chan struct{})}
}

// Open opens the log in dir, which it makes if needed, and cuts off a last batch
// that was never acknowledged. Only one Log may have a dir open (ErrLocked).
func Open(dir string, opts Options) (*Log, error) { return open(dir, opts, createFile) }

func open(dir string, opts Options, create func(string) (disk, error)) (*Log, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, opts: opts, create: create, wake: make(chan struct{}, 1), done: make(chan struct{}), open: newGroup(nil)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if l.lock, err = lockDir(dir); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := l.recover(); err != nil {
		l.lock.Close()
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	go l.commitAll()
	return l, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, err
	}
	return f, nil
}

// Append adds a record and returns its sequence number when it is durable.
// Numbers begin with 1 and have no gaps. The log keeps no reference to record.
//
// When ctx ends first the record may or may not become durable. When the disk
// is full the error is the system's (syscall.ENOSPC), the record is not in the
// log, and a later append may succeed.
func (l *Log) Append(ctx context.Context, record []byte) (uint64, error) {
	p, err := l.Begin(ctx, record)
	if err != nil {
		return 0, err
	}
	return p.Wait(ctx)
}

// Pending is an append under way.
type Pending struct {
	group *group
	index uint32
}

// Begin puts a record behind those begun before it and returns without waiting
// for the disk, so that one goroutine can have many appends share an fdatasync.
// It waits, or fails when ctx ends, while the group that is open is full.
func (l *Log) Begin(ctx context.Context, record []byte) (Pending, error) {
	if len(record) > l.opts.MaxRecord {
		return Pending{}, fmt.Errorf("append record of %d bytes, at most %d are allowed: %w", len(record), l.opts.MaxRecord, ErrTooLarge)
	}
	g, index, err := l.join(ctx, record)
	if err != nil {
		return Pending{}, fmt.Errorf("append record: %w", err)
	}
	return Pending{g, index}, nil
}

// Wait returns what Append returns. It may be called many times.
func (p Pending) Wait(ctx context.Context) (uint64, error) {
	select {
	case <-p.group.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("append record: %w", ctx.Err())
	}
	if p.group.err != nil {
		return 0, fmt.Errorf("append record: %w", p.group.err)
	}
	return p.group.first + uint64(p.index), nil
}

// join puts a record into the open group as its index-th.
func (l *Log) join(ctx context.Context, record []byte) (g *group, index uint32, err error) {
	for {
		l.mu.Lock()
		if l.closed || l.failed != nil {
			err := l.failed
			if l.closed {
				err = ErrClosed
			}
			l.mu.Unlock()
			return nil, 0, err
		}
		g = l.open
		if g.count == 0 || len(g.buf)+recordHead+len(record) <= l.opts.BatchSize {
			break
		}
		l.mu.Unlock()
		select {
		case <-g.taken:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	defer l.mu.Unlock()
	g.buf = binary.BigEndian.AppendUint32(g.buf, uint32(len(record)))
	g.buf = append(g.buf, record...)
	g.count++
	if g.count == 1 {
		l.signal()
	}
	return g, g.count - 1, nil
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commitAll writes groups until the log is closed and nothing waits.
func (l *Log) commitAll() {
	defer close(l.done)
	for range l.wake {
		for {
			g, closed := l.take()
			if g == nil {
				if closed {
					return
				}
				break
			}
			l.commit(g)
		}
	}
}

// take closes the open group to further records and starts another.
func (l *Log) take() (g *group, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open.count == 0 {
		return nil, l.closed
	}
	g, l.open = l.open, newGroup(l.spare)
	l.spare = nil
	g.first = l.next
	close(g.taken)
	return g, l.closed
}

func (l *Log) commit(g *group) {
	g.err = l.failure()
	if g.err == nil {
		g.err = l.write(g)
	}
	if g.err == nil {
		l.mu.Lock()
		l.next += uint64(g.count)
		l.mu.Unlock()
	}
	l.spare, g.buf = g.buf, nil
	close(g.done)
}

// write makes a group durable as one batch, in a new file when the old is full.
func (l *Log) write(g *group) error {
	body := g.buf[batchHead:]
	if l.size > fileHead && l.size+int64(len(g.buf)) > l.opts.FileBytes {
		if err := l.rotate(g.first); err != nil {
			return fmt.Errorf("begin a new file: %w", err)
		}
	}
	putHead(g.buf, head{uint32(len(body)), g.count, g.first, crc32.Checksum(body, castagnoli)}, l.salt)
	if _, err := l.file.Write(g.buf); err != nil {
		if undo := l.file.Truncate(l.size); undo != nil {
			return l.fail(errors.Join(err, undo))
		}
		return err
	}
	if err := l.file.Sync(); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	l.marks = marked(l.marks, mark{l.files[len(l.files)-1], g.first, l.size})
	l.mu.Unlock()
	l.size += int64(len(g.buf))
	return nil
}

// rotate begins a file whose first record will be first. When that fails the
// old file goes on.
func (l *Log) rotate(first uint64) error {
	var s salt
	_, _ = rand.Read(s[:]) // never fails
	path := l.path(first)
	f, err := l.create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(appendFileHead(nil, first, s)); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		f.Close()
		if undo := os.Remove(path); undo != nil {
			return l.fail(errors.Join(err, undo))
		}
		return err
	}
	old := l.file
	l.file, l.salt, l.size = f, s, fileHead
	l.mu.Lock()
	l.files = append(l.files, first)
	l.mu.Unlock()
	if old != nil {
		old.Close() // every batch in it is durable already
	}
	return nil
}

func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *Log) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	l.mu.Lock()
	l.failed = err
	l.mu.Unlock()
	return err
}

// First is the oldest record kept, Next the one that will be written next;
// equal numbers mean that there is none.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files[0]
}

// Next is one more than the newest durable record.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// TruncateBefore deletes whole files of records before seq. Some older records
// may stay: those that share a file with a record that must.
func (l *Log) TruncateBefore(seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("truncate log: %w", ErrClosed)
	}
	removed := false
	for len(l.files) > 1 && l.files[1] <= seq {
		if err := os.Remove(l.path(l.files[0])); err != nil {
			return fmt.Errorf("truncate log before %d: %w", seq, err)
		}
		l.files, removed = l.files[1:], true
	}
	l.marks = slices.DeleteFunc(l.marks, func(m mark) bool { return m.file < l.files[0] })
	if !removed {
		return nil
	}
	return syncDir(l.dir)
}

// Close waits for the appends under way and closes the files.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.signal()
	<-l.done
	return errors.Join(l.file.Close(), l.lock.Close())
}

func (l *Log) path(first uint64) string { return filepath.Join(l.dir, fmt.Sprintf("%016x.wal", first)) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
