package atlas

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed data/*.yaml market/*.yaml
var files embed.FS

// MaxFile is the largest catalogue file that is read, in bytes.
const MaxFile = 64 << 10

// Embedded is the catalogue in this program. It is built once and shared:
// do not change what it points to.
var Embedded = sync.OnceValue(func() *Catalog {
	c, err := Load(files)
	if err != nil {
		panic(fmt.Sprintf("the embedded atlas is broken: %v", err)) // a test loads it
	}
	return c
})

// Load reads a catalogue from data/*.yaml, one entry a file, and market/*.yaml.
// It accepts no unknown key, no second document, and no reference to something
// that is not there; the error names every fault.
func Load(fsys fs.FS) (*Catalog, error) {
	c := &Catalog{entry: map[string]*Entry{}, metric: map[string]*Metric{}, source: map[string]*Source{}}
	names, err := fs.Glob(fsys, "data/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	for _, name := range names {
		var e Entry
		if err := decodeFile(fsys, name, &e); err != nil {
			return nil, err
		}
		if want := strings.TrimSuffix(path.Base(name), ".yaml"); e.ID != want {
			return nil, fmt.Errorf("read %s: the entry is called %q", name, e.ID)
		}
		c.Entries = append(c.Entries, e)
	}
	slices.SortFunc(c.Entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	if err := c.loadMarket(fsys); err != nil {
		return nil, err
	}
	c.index()
	if err := errors.Join(c.validate()...); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Catalog) loadMarket(fsys fs.FS) error {
	for _, f := range []struct {
		name string
		into any
	}{
		{"sources", &struct {
			To *[]Source `yaml:"sources"`
		}{&c.Sources}},
		{"metrics", &struct {
			To *[]Metric `yaml:"metrics"`
		}{&c.Metrics}},
		{"protocols", &struct {
			To *[]ProtocolInfo `yaml:"protocols"`
		}{&c.Protocols}},
		{"here", &struct {
			To *[]Here `yaml:"here"`
		}{&c.Here}},
		{"verticals", &struct {
			To *[]VerticalRow `yaml:"verticals"`
		}{&c.Verticals}},
		{"sector", &c.Sector},
		{"ours", &c.Ours},
		{"themes", &c.Themes},
		{"screens", &struct {
			To *[]Screen `yaml:"screens"`
		}{&c.Screens}},
		{"incumbents", &struct {
			To *[]Incumbent `yaml:"incumbents"`
		}{&c.Incumbents}},
	} {
		if err := decodeFile(fsys, "market/"+f.name+".yaml", f.into); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) index() {
	for i := range c.Entries {
		c.entry[c.Entries[i].ID] = &c.Entries[i]
	}
	for i := range c.Metrics {
		c.metric[c.Metrics[i].ID] = &c.Metrics[i]
	}
	for i := range c.Sources {
		c.source[c.Sources[i].ID] = &c.Sources[i]
	}
}

func decodeFile(fsys fs.FS, name string, into any) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("open catalogue: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := decodeStrict(b, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// decodeStrict reads exactly one YAML document with no unknown key.
func decodeStrict(b []byte, into any) error {
	if len(b) > MaxFile {
		return fmt.Errorf("longer than %d bytes", MaxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("empty document")
		}
		return err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// DecodeEntry reads one entry strictly, as Load does, without resolving what
// it refers to.
func DecodeEntry(b []byte) (Entry, error) {
	var e Entry
	err := decodeStrict(b, &e)
	return e, err
}
