// Package journal is an append-only, crash-safe log of small byte strings on
// local disk. Many concurrent appends share one write and one fsync. It knows
// nothing of what the strings mean or which are still needed; its user tells it
// which files to drop.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
)

const (
	// HeaderSize is the number of bytes in front of each record's data.
	HeaderSize = 16
	// MaxRecord is the largest data of one record in bytes.
	MaxRecord = 1 << 20

	magic     = 0x67726a31 // "grj1"
	maxQueued = 64 << 20   // bytes of one group commit
	prefix    = "journal-"
	extension = ".log"
	spareName = "spare" + extension
)

// ErrClosed is returned by appends after Close.
var ErrClosed = errors.New("journal is closed")

// ErrCorrupt is wrapped by errors about records that are not what was written.
var ErrCorrupt = errors.New("journal record is damaged")

var table = crc32.MakeTable(crc32.Castagnoli)

// Entry says where the data of one record is: Length bytes at Offset of File.
type Entry struct {
	File   uint64
	Offset int64
	Length int64
}

// Journal is a directory of log files. Its methods are safe for concurrent use.
type Journal struct {
	dir     string
	rotate  int64
	wake    chan struct{}
	done    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	queue  []*pending
	closed bool
	files  map[uint64]*file
	active *file // written by the flusher only; nil until the first append
	next   uint64
	spare  bool // there is a dropped file to write over
}

type file struct {
	number uint64
	f      *os.File
	size   int64 // bytes written, flusher only
	sealed bool
	users  int // appends not yet settled and readers
}

type pending struct {
	data  []byte
	entry Entry
	err   error
	done  chan struct{}
}

// Open opens the journal in dir, creating it if needed. Appends never touch
// files that were there before; a new file is started instead. A file is closed
// for appends when it has grown to rotate bytes.
func Open(dir string, rotate int64) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create journal directory: %w", err)
	}
	j := &Journal{
		dir: dir, rotate: rotate, files: map[uint64]*file{}, next: 1,
		wake: make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read journal directory: %w", err)
	}
	for _, e := range entries {
		j.spare = j.spare || e.Name() == spareName
		n, ok := parseName(e.Name())
		if !ok {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open journal file: %w", err), j.closeFiles())
		}
		j.files[n] = &file{number: n, f: f, sealed: true}
		j.next = max(j.next, n+1)
	}
	go j.flush()
	return j, nil
}

func name(n uint64) string { return fmt.Sprintf("%s%016x%s", prefix, n, extension) }

func parseName(s string) (uint64, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, extension)
	if !ok || len(s) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil
}

// Append writes data durably and says where. Until the caller calls Settle with
// the entry, its file is not dropped. data must not change while Append runs.
func (j *Journal) Append(data []byte) (Entry, error) {
	if len(data) == 0 || len(data) > MaxRecord {
		return Entry{}, fmt.Errorf("append %d bytes to journal: limit is 1 to %d", len(data), MaxRecord)
	}
	p := &pending{data: data, done: make(chan struct{})}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return Entry{}, ErrClosed
	}
	j.queue = append(j.queue, p)
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
	<-p.done
	return p.entry, p.err
}

// Settle says that the entry is either recorded by the caller or forgotten.
func (j *Journal) Settle(e Entry) { j.Unpin(e.File) }

// Pin keeps a file from being dropped while it is read. It reports whether the
// file is there.
func (j *Journal) Pin(n uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := j.files[n]
	if f == nil {
		return false
	}
	f.users++
	return true
}

// Unpin undoes one Pin.
func (j *Journal) Unpin(n uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f := j.files[n]; f != nil {
		f.users--
	}
}

// Check reads a whole record into p, which must be e.Length long, and verifies
// it against its header. A mismatch wraps ErrCorrupt. The file must be pinned or
// known to stay.
func (j *Journal) Check(p []byte, e Entry) error {
	f := j.file(e.File)
	if f == nil {
		return fmt.Errorf("read journal: file %s is gone", name(e.File))
	}
	var h [HeaderSize]byte
	if _, err := f.ReadAt(h[:], e.Offset-HeaderSize); err != nil {
		return fmt.Errorf("read journal file %s at %d: %w", name(e.File), e.Offset-HeaderSize, err)
	}
	if _, err := f.ReadAt(p, e.Offset); err != nil {
		return fmt.Errorf("read journal file %s at %d: %w", name(e.File), e.Offset, err)
	}
	if h != header(p) {
		return fmt.Errorf("check journal file %s at %d: %w", name(e.File), e.Offset, ErrCorrupt)
	}
	return nil
}

func (j *Journal) file(n uint64) *os.File {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f := j.files[n]; f != nil {
		return f.f
	}
	return nil
}

// header is magic, data length, CRC-32C of the data and a CRC-32C of the first
// three, all big endian.
func header(data []byte) (h [HeaderSize]byte) {
	binary.BigEndian.PutUint32(h[0:], magic)
	binary.BigEndian.PutUint32(h[4:], uint32(len(data)))
	binary.BigEndian.PutUint32(h[8:], crc32.Checksum(data, table))
	binary.BigEndian.PutUint32(h[12:], crc32.Checksum(h[:12], table))
	return h
}

// Files returns the numbers of all files that can be dropped as far as the
// journal knows: closed for appends, not read, nothing unsettled.
func (j *Journal) Files() []uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []uint64
	for n, f := range j.files {
		if f.sealed && f.users == 0 {
			out = append(out, n)
		}
	}
	sort.Slice(out, func(a, b int) bool { return out[a] < out[b] })
	return out
}

// Seal closes the current file for appends, so that it can be dropped.
func (j *Journal) Seal() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.active != nil && j.active.size > 0 {
		j.active.sealed = true
	}
}

// Drop removes a file unless it has become used again. One dropped file is kept
// to write over: its blocks are allocated, so that an fsync there costs the file
// system no bookkeeping.
func (j *Journal) Drop(n uint64) error {
	j.mu.Lock()
	f := j.files[n]
	if f == nil || !f.sealed || f.users > 0 {
		j.mu.Unlock()
		return nil
	}
	delete(j.files, n)
	if j.active == f {
		j.active = nil
	}
	_ = f.f.Close()
	defer j.mu.Unlock()
	path := filepath.Join(j.dir, name(n))
	if !j.spare && os.Rename(path, filepath.Join(j.dir, spareName)) == nil {
		j.spare = true
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("drop journal file: %w", err)
	}
	return nil
}

// Close waits for the appends under way and closes the files.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.done)
	<-j.stopped
	return j.closeFiles()
}

func (j *Journal) closeFiles() error {
	var first error
	for _, f := range j.files {
		if err := f.f.Close(); err != nil && first == nil {
			first = fmt.Errorf("close journal file: %w", err)
		}
	}
	return first
}

func (j *Journal) flush() {
	defer close(j.stopped)
	var buf []byte
	for {
		select {
		case <-j.wake:
		case <-j.done:
			j.finish(j.take(), ErrClosed)
			return
		}
		for group := j.take(); len(group) > 0; group = j.take() {
			buf = j.write(group, buf[:0])
		}
	}
}

// take returns what is queued, at most about maxQueued bytes.
func (j *Journal) take() []*pending {
	j.mu.Lock()
	defer j.mu.Unlock()
	var size int64
	n := 0
	for n < len(j.queue) && (n == 0 || size < maxQueued) {
		size += int64(len(j.queue[n].data))
		n++
	}
	group := j.queue[:n:n]
	j.queue = j.queue[n:]
	if len(j.queue) == 0 {
		j.queue = nil
	}
	return group
}

func (j *Journal) finish(group []*pending, err error) {
	for _, p := range group {
		p.err = err
		close(p.done)
	}
}

// write stores one group and answers it. After a failed write or fsync nothing
// is known about the file's tail, so the next group goes to a new file.
func (j *Journal) write(group []*pending, buf []byte) []byte {
	f, err := j.current()
	if err != nil {
		j.finish(group, err)
		return buf
	}
	for _, p := range group {
		h := header(p.data)
		buf = append(buf, h[:]...)
		p.entry = Entry{File: f.number, Offset: f.size + int64(len(buf)), Length: int64(len(p.data))}
		buf = append(buf, p.data...)
	}
	if _, err = f.f.WriteAt(buf, f.size); err == nil {
		err = syncData(f.f)
	}
	if err != nil {
		err = fmt.Errorf("write journal file %s: %w", name(f.number), err)
	}
	j.mu.Lock()
	f.users-- // taken by current
	f.size += int64(len(buf))
	f.sealed = f.sealed || err != nil || f.size >= j.rotate
	if err == nil {
		f.users += len(group)
	}
	j.mu.Unlock()
	j.finish(group, err)
	if cap(buf) > maxQueued/4 {
		return nil
	}
	return buf
}

// current returns the file to append to, in use, starting a new one when the
// last is sealed.
func (j *Journal) current() (*file, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.active != nil && !j.active.sealed {
		j.active.users++
		return j.active, nil
	}
	n := j.next
	f, err := j.create(filepath.Join(j.dir, name(n)))
	if err != nil {
		return nil, fmt.Errorf("start journal file: %w", err)
	}
	if err := syncDir(j.dir); err != nil {
		_ = f.Close()
		return nil, err
	}
	j.next++
	j.active = &file{number: n, f: f, users: 1}
	j.files[n] = j.active
	return j.active, nil
}

// create makes a file of the full size, out of the spare one if there is one.
func (j *Journal) create(path string) (*os.File, error) {
	if j.spare {
		j.spare = false
		if err := os.Rename(filepath.Join(j.dir, spareName), path); err == nil {
			return os.OpenFile(path, os.O_RDWR, 0o600)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		allocate(f, j.rotate)
	}
	return f, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync journal directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync journal directory: %w", err)
	}
	return nil
}
