package sensing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/publish"
)

// maxLies bounds what is published of untrue images: one of a device, the newest.
// It bounds what devices of a liar can make verifiers do.
const maxLies = 64

// findings are what an audit found, in a directory: how far it came and which
// batches are withheld in audited.json, and images that show that records are not
// true in lies/DEVICE-TIME.jpg.
type findings struct {
	dir string

	mu       sync.Mutex
	next     uint64               // in the log
	withheld map[uint64]time.Time // batches, with the time of the last frame
	lies     map[device.ID]lie
	cuts     []evidence.Cut // of lies
	cut      bool           // cuts are of all lies
	counts   [outcomes]uint64
}

// lie is an image that is not as its record says.
type lie struct {
	at   time.Time // of its frame
	file string
}

// outcome of one audited image.
type outcome int

const (
	asRecorded outcome = iota
	notThere
	unlike
	unread
	outcomes
)

// String is the outcome as metrics tell it.
func (o outcome) String() string {
	return [...]string{"as_recorded", "not_there", "unlike", "unread"}[o]
}

var _ publish.Audit = (*findings)(nil)

type findingsJSON struct {
	Next     uint64           `json:"next"`
	Withheld map[uint64]int64 `json:"withheld"` // Unix ms
}

// openFindings reads what was found before.
func openFindings(dir string) (*findings, error) {
	f := &findings{dir: dir, withheld: map[uint64]time.Time{}, lies: map[device.ID]lie{}}
	if err := errors.Join(os.RemoveAll(f.path("segments")), os.MkdirAll(f.path("segments"), 0o700), os.MkdirAll(f.path("lies"), 0o700)); err != nil {
		return nil, fmt.Errorf("open findings of the audit: %w", err)
	}
	var j findingsJSON
	raw, err := os.ReadFile(f.path("audited.json"))
	if err == nil {
		err = json.Unmarshal(raw, &j)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s (remove it, and all is audited again): %w", f.path("audited.json"), err)
	}
	f.next = j.Next
	for seq, ms := range j.Withheld {
		f.withheld[seq] = time.UnixMilli(ms)
	}
	files, err := os.ReadDir(f.path("lies"))
	for _, x := range files {
		if id, at, ok := parseLie(x.Name()); ok {
			f.lies[id] = lie{at, f.path("lies", x.Name())}
		}
	}
	return f, err
}

func (f *findings) path(names ...string) string {
	return filepath.Join(append([]string{f.dir}, names...)...)
}

func parseLie(name string) (id device.ID, at time.Time, ok bool) {
	name, ok = strings.CutSuffix(name, ".jpg")
	device1, ms, cut := strings.Cut(name, "-")
	id, err := device.ParseID(device1)
	n, err2 := strconv.ParseInt(ms, 10, 64)
	return id, time.UnixMilli(n), ok && cut && err == nil && err2 == nil
}

func (f *findings) place() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *findings) count(o outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[o]++
}

// passed notes a batch that came in.
func (f *findings) passed(seq uint64, v verdict) error {
	f.mu.Lock()
	f.next = seq + 1
	if v.withheld != nil {
		f.withheld[seq] = v.last
	}
	f.mu.Unlock()
	if !v.audited {
		return nil
	}
	return f.save()
}

// seen notes a batch that was looked at again.
func (f *findings) seen(seq uint64, v verdict) error {
	if v.withheld != nil || v.unread {
		return nil
	}
	f.mu.Lock()
	delete(f.withheld, seq)
	f.mu.Unlock()
	return f.save()
}

// waiting are the batches that are withheld and can still be paid for.
func (f *findings) waiting(now time.Time) []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.withheld, func(_ uint64, last time.Time) bool { return last.Before(counted(now)) })
	return slices.Sorted(maps.Keys(f.withheld))
}

// counted is since when images are weighed by an epoch that ended then, and some
// hours more.
func counted(ended time.Time) time.Time {
	return images.Kind{}.Info().WindowAt(ended.Unix()).Began.Add(-24 * time.Hour)
}

// save writes how far the audit came. Were that lost, it would audit again.
func (f *findings) save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := findingsJSON{f.next, map[uint64]int64{}}
	for seq, last := range f.withheld {
		j.Withheld[seq] = last.UnixMilli()
	}
	raw, err := json.Marshal(j)
	if err == nil {
		err = replace(f.path("audited.json"), raw)
	}
	if err != nil {
		return fmt.Errorf("note what is audited: %w", err)
	}
	return nil
}

func replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// keep keeps an image as evidence, the newest of its device.
func (f *findings) keep(id device.ID, at time.Time, image []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, ok := f.lies[id]; ok && !before.at.Before(at) {
		return nil
	}
	l := lie{at, f.path("lies", fmt.Sprintf("%s-%d.jpg", id, at.UnixMilli()))}
	if err := replace(l.file, image); err != nil {
		return fmt.Errorf("keep an image as evidence: %w", err)
	}
	f.drop(id)
	f.lies[id] = l
	for len(f.lies) > maxLies {
		f.drop(slices.MinFunc(slices.Collect(maps.Keys(f.lies)), func(a, b device.ID) int { return f.lies[a].at.Compare(f.lies[b].at) }))
	}
	f.cut = false
	return nil
}

// drop forgets a device's image.
func (f *findings) drop(id device.ID) {
	if l, ok := f.lies[id]; ok {
		_ = os.Remove(l.file) // what is left is read again at the next start, and dropped again
		delete(f.lies, id)
		f.cut = false
	}
}

// Withheld implements publish.Audit.
func (f *findings) Withheld(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, yes := f.withheld[seq]
	return yes
}

// Cuts implements publish.Audit.
func (f *findings) Cuts(ended time.Time) ([]evidence.Cut, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Collect(maps.Keys(f.lies)) { // order does not matter: all that are over go
		if f.lies[id].at.Before(counted(ended)) {
			f.drop(id)
		}
	}
	if f.cut {
		return f.cuts, nil
	}
	c := evidence.Cutter[sensing.Part]{Dir: f.path("segments"), Kind: sensing.Files}
	defer c.Drop()
	for _, id := range slices.SortedFunc(maps.Keys(f.lies), func(a, b device.ID) int { return slices.Compare(a[:], b[:]) }) {
		l := f.lies[id]
		image, err := os.ReadFile(l.file)
		if err != nil {
			return nil, err
		}
		parts, err := sensing.PartsOf(image)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if err := c.Add(segment.Name{Day: segment.DayOf(l.at)}, p); err != nil {
				return nil, err
			}
		}
	}
	cuts, err := c.Finish()
	if err != nil {
		return nil, err
	}
	for _, old := range f.cuts {
		_ = os.Remove(old.File) // the folder is emptied at the next start
	}
	f.cuts, f.cut = cuts, true
	return cuts, nil
}
