package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// shelf is the folder of one vertical's published epochs.
type shelf struct{ dir string }

func shelfOf(home, vertical string) shelf { return shelf{filepath.Join(home, "epochs", vertical)} }

func (s shelf) path(epoch uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(epoch, 10)+".json")
}

func (s shelf) put(p Published) error {
	raw, err := p.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return writeFile(s.path(p.Epoch), raw, 0o644)
}

// get returns a published epoch, or an error that is fs.ErrNotExist.
func (s shelf) get(epoch uint64) (Published, error) {
	raw, err := os.ReadFile(s.path(epoch))
	if err != nil {
		return Published{}, fmt.Errorf("read published epoch %d: %w", epoch, err)
	}
	return DecodePublished(raw)
}

// epochs lists what is on the shelf, ascending.
func (s shelf) epochs() ([]uint64, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list published epochs: %w", err)
	}
	var all []uint64
	for _, e := range entries {
		name, isJSON := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.ParseUint(name, 10, 64); isJSON && err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// newest is the highest epoch on the shelf, 0 for none.
func (s shelf) newest() (uint64, error) {
	all, err := s.epochs()
	if len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1], err
}

// remove takes the epochs from first to last off the shelf.
func (s shelf) remove(first, last uint64) error {
	all, err := s.epochs()
	for _, n := range all {
		if n >= first && n <= last {
			err = errors.Join(err, os.Remove(s.path(n)))
		}
	}
	return err
}
