package trace

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// fileParts is in how many files a store is cut: the oldest goes when the whole
// is too large.
const fileParts = 8

const suffix = ".spans"

// store appends spans to files of a folder and deletes old ones. One goroutine
// uses it.
type store struct {
	dir      string
	maxBytes int64
	maxAge   time.Duration

	file  *os.File
	size  int64
	began time.Time
	next  uint64
}

// openStore begins a new file: the end of the newest may be torn.
func openStore(dir string, maxBytes int64, maxAge time.Duration) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open trace store: %w", err)
	}
	s := &store{dir: dir, maxBytes: maxBytes, maxAge: maxAge}
	files, err := listFiles(dir)
	if err != nil {
		return nil, err
	}
	if n := len(files); n > 0 {
		s.next = files[n-1].number + 1
	}
	return s, s.rotate()
}

// storeFile is one file of a store, in the order of number.
type storeFile struct {
	path   string
	number uint64
	size   int64
	mod    time.Time
}

func listFiles(dir string) ([]storeFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read trace store: %w", err)
	}
	var out []storeFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		n, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // deleted meanwhile
		}
		out = append(out, storeFile{filepath.Join(dir, e.Name()), n, info.Size(), info.ModTime()})
	}
	slices.SortFunc(out, func(a, b storeFile) int { return int(int64(a.number) - int64(b.number)) })
	return out, nil
}

// rotate begins the next file and deletes what is too much or too old.
func (s *store) rotate() error {
	if err := s.close(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("%012d%s", s.next, suffix)), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("rotate trace store: %w", err)
	}
	s.next++
	s.file, s.size, s.began = f, 0, time.Now()
	return s.prune()
}

func (s *store) prune() error {
	files, err := listFiles(s.dir)
	if err != nil {
		return err
	}
	total := s.maxBytes / fileParts // the current file may grow to that
	for i, f := range slices.Backward(files) {
		total += f.size
		if i < len(files)-1 && (total > s.maxBytes || time.Since(f.mod) > s.maxAge || f.size == 0) {
			err = errors.Join(err, os.Remove(f.path))
		}
	}
	return err
}

// add appends spans in one write.
func (s *store) add(spans []sdktrace.ReadOnlySpan) error {
	var b bytes.Buffer
	var errs []error
	for _, sp := range spans {
		line, err := spanOf(sp).encode()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if s.size+int64(b.Len()+len(line)) > s.maxBytes/fileParts {
			errs = append(errs, s.append(&b), s.rotate())
		}
		b.Write(line)
	}
	errs = append(errs, s.append(&b))
	if time.Since(s.began) > s.maxAge/fileParts {
		errs = append(errs, s.rotate())
	}
	return errors.Join(errs...)
}

func (s *store) append(b *bytes.Buffer) error {
	if s.file == nil {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	n, err := s.file.Write(b.Bytes())
	s.size += int64(n)
	b.Reset()
	if err != nil {
		return fmt.Errorf("write trace store: %w", err)
	}
	return nil
}

func (s *store) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
