package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// recover reads the folder, checks the newest file and opens it for writing.
func (l *Log) recover() error {
	if err := l.list(); err != nil {
		return err
	}
	if err := l.dropEmpty(); err != nil {
		return err
	}
	if len(l.files) == 0 {
		l.next = 1
		return l.rotate(1)
	}
	first := l.files[len(l.files)-1]
	path := l.path(first)
	end, next, s, marks, err := checkTail(path, first)
	if err != nil {
		return err
	}
	l.marks = marks
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > end {
		err = f.Truncate(end)
	}
	if err == nil {
		err = osFile{f}.Sync()
	}
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.salt, l.size, l.next = osFile{f}, s, end, next
	return nil
}

// list finds the files of the log.
func (l *Log) list() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name(), ".wal")
		if !isLog {
			continue
		}
		first, err := strconv.ParseUint(name, 16, 64)
		if err != nil || len(name) != 16 || first == 0 {
			return fmt.Errorf("file %s is not named as one of a log: %w", e.Name(), ErrCorrupt)
		}
		l.files = append(l.files, first)
	}
	slices.Sort(l.files)
	return nil
}

// dropEmpty removes a newest file whose header was never finished: a crash in
// rotate, before anything was written to it.
func (l *Log) dropEmpty() error {
	if len(l.files) == 0 {
		return nil
	}
	path := l.path(l.files[len(l.files)-1])
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > fileHead {
		return err
	}
	if _, _, err := readFileHead(f); err == nil {
		return nil
	}
	l.files = l.files[:len(l.files)-1]
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(l.dir)
}

// checkTail reads the newest file to its end, and returns where its last whole
// batch ends, which record comes next, and where some batches begin.
func checkTail(path string, first uint64) (end int64, next uint64, s salt, marks []mark, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, s, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, s, nil, err
	}
	named, s, err := readFileHead(f)
	if err != nil || named != first {
		return 0, 0, s, nil, fmt.Errorf("%s: first record %d, want %d: %w (%w)", path, named, first, ErrCorrupt, errOr(err))
	}
	r := bufio.NewReaderSize(f, 1<<18)
	end, next = fileHead, first
	for {
		h, _, err := readBatch(r, s, next, info.Size()-end)
		if errors.Is(err, io.EOF) {
			return end, next, s, marks, nil
		}
		if errors.Is(err, errTorn) {
			return end, next, s, marks, checkTorn(f, path, end, info.Size(), s, next)
		}
		if err != nil {
			return 0, 0, s, nil, err
		}
		marks = marked(marks, mark{first, next, end})
		end += batchHead + int64(h.body)
		next += uint64(h.count)
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("the name does not fit")
	}
	return err
}

// maxTear is how much can follow the last acknowledged batch: one more batch.
// A damaged header hides how long its batch was, so no more is read than this.
const maxTear = 2 * (batchHead + maxBody)

// checkTorn refuses to cut off acknowledged batches.
func checkTorn(f *os.File, path string, end, size int64, s salt, next uint64) error {
	data := make([]byte, min(size-end, maxTear))
	if _, err := f.ReadAt(data, end); err != nil {
		return err
	}
	if size-end > maxTear || laterBatch(data, s, next) {
		return fmt.Errorf("%s: the batch at byte %d with record %d is bad and others follow: %w", path, end, next, ErrCorrupt)
	}
	return nil
}

// Record is one entry of a log. Data is the caller's to keep.
type Record struct {
	Seq  uint64
	Data []byte
}

// Records yields the durable records from sequence number from on, 0 for the
// oldest kept, up to the newest at the time of the call. A position before the
// oldest kept is ErrGone, and so is one whose file is truncated away meanwhile.
// The iteration ends with the first error.
func (l *Log) Records(from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.mu.Lock()
		files, next, closed, near := slices.Clone(l.files), l.next, l.closed, nearest(l.marks, from)
		l.mu.Unlock()
		if closed {
			yield(Record{}, fmt.Errorf("read log: %w", ErrClosed))
			return
		}
		if from == 0 {
			from = files[0]
		}
		if from < files[0] {
			yield(Record{}, fmt.Errorf("read log from record %d, the oldest kept is %d: %w", from, files[0], ErrGone))
			return
		}
		for i, first := range files {
			last := next
			if i+1 < len(files) {
				last = files[i+1]
			}
			if last <= from {
				continue
			}
			start := mark{first, first, fileHead}
			if near.file == first {
				start = near
			}
			if !l.readFile(start, from, last, yield) {
				return
			}
		}
	}
}

// mark is where the batch that begins with a record is.
type mark struct {
	file, seq uint64 // the file by its first record
	offset    int64
}

// markEvery is how many bytes lie between marks of a file, about: who reads on from
// a record reads so many that he does not want.
const markEvery = 256 << 10

// marked appends a mark that is far enough behind the last one.
func marked(marks []mark, m mark) []mark {
	if n := len(marks); n > 0 && marks[n-1].file == m.file && m.offset-marks[n-1].offset < markEvery {
		return marks
	}
	return append(marks, m)
}

// nearest is the last mark that is not behind a record, zero without one.
func nearest(marks []mark, seq uint64) mark {
	if i := sort.Search(len(marks), func(i int) bool { return marks[i].seq > seq }); i > 0 {
		return marks[i-1]
	}
	return mark{}
}

// readFile yields the records of one file from from to before last, which it looks
// for from start on. It returns false when the iteration is over.
func (l *Log) readFile(start mark, from, last uint64, yield func(Record, error) bool) bool {
	first := start.file
	stop := func(err error) bool {
		if errors.Is(err, os.ErrNotExist) {
			err = ErrGone
		}
		yield(Record{}, fmt.Errorf("read log file %s: %w", l.path(first), err))
		return false
	}
	f, err := os.Open(l.path(first))
	if err != nil {
		return stop(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return stop(err)
	}
	r := bufio.NewReaderSize(f, 1<<18)
	_, s, err := readFileHead(r)
	if err != nil {
		return stop(fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	if start.offset != fileHead {
		if _, err := f.Seek(start.offset, io.SeekStart); err != nil {
			return stop(err)
		}
		r.Reset(f)
	}
	left := info.Size() - start.offset
	for seq := start.seq; seq < last; {
		h, body, err := readBatch(r, s, seq, left)
		if err != nil {
			return stop(fmt.Errorf("record %d: %w: %w", seq, ErrCorrupt, err))
		}
		left -= batchHead + int64(h.body)
		for ; len(body) > 0; seq++ {
			n := binary.BigEndian.Uint32(body)
			data := body[recordHead : recordHead+n : recordHead+n]
			body = body[recordHead+n:]
			if seq >= from && !yield(Record{seq, data}, nil) {
				return false
			}
		}
	}
	return true
}
