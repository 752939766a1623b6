package bounty

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// Limits of a bounty.
const (
	coarsest   = 5 // resolution of an area: about 250 km²
	leastEvery = time.Hour
	mostEvery  = 366 * 24 * time.Hour
	mostUnits  = 1_000_000_000 // for one object: 1000 USD
	mostBought = 1000          // a file is written anew with each
	longest    = 366 * 24 * time.Hour
	mostOpen   = 100 // bounties of a buyer
)

// Errors of a Book. What they are wrapped in says what is wrong.
var (
	ErrTerms   = errors.New("the bounty cannot be as it is")
	ErrUnknown = errors.New("there is no such bounty")
)

// Terms are what a buyer promises.
type Terms struct {
	Product string    `json:"product"`         // KIND/NAME: "images/coverage"
	Area    string    `json:"area"`            // H3 cell
	Units   uint64    `json:"units"`           // for an object, to its device
	Every   string    `json:"every,omitempty"` // a cell is paid again after; "168h"
	Most    int       `json:"most"`            // objects
	Until   time.Time `json:"until"`
}

// Bounty is terms that somebody put up, and what was bought by them.
type Bounty struct {
	ID string `json:"id"`
	Terms
	Buyer   string     `json:"buyer,omitempty"`
	Placed  time.Time  `json:"placed"`
	Ended   bool       `json:"ended,omitempty"` // by its buyer
	Bought  []Purchase `json:"bought"`
	Trouble string     `json:"trouble,omitempty"` // why something was not bought of late
}

// Purchase is an object that was bought.
type Purchase struct {
	Cell   string    `json:"cell"`
	Device string    `json:"device"`
	Taken  time.Time `json:"taken"`
	Bought time.Time `json:"bought"`
	Units  uint64    `json:"units"`
	Key    string    `json:"key"` // in the network's storage
	Size   uint32    `json:"size"`
	Record []byte    `json:"record"`
}

// Left is how many objects are paid yet.
func (b *Bounty) Left() int { return b.Most - len(b.Bought) }

// open reports whether anything is bought at a time.
func (b *Bounty) open(now time.Time) bool { return !b.Ended && b.Left() > 0 && now.Before(b.Until) }

// Config is what a Book needs.
type Config struct {
	Dir     string // of a file for each bounty
	Facts   query.Shelf
	Objects query.Objects // nil: no bounty can be put up
	Till    query.Till
	Logger  *slog.Logger
	Now     func() time.Time
}

// Book keeps bounties. It is safe for concurrent use.
type Book struct {
	cfg Config

	mu  sync.Mutex
	all map[string]*Bounty
}

// Open reads the bounties in cfg.Dir.
func Open(cfg Config) (*Book, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k := &Book{cfg: cfg, all: map[string]*Bounty{}}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open bounties: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("open bounties: %w", err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("open bounties: %w", err)
		}
		b := &Bounty{}
		if err := json.Unmarshal(raw, b); err != nil || b.ID+".json" != filepath.Base(path) {
			return nil, fmt.Errorf("open bounties: %s is none: %w", path, errors.Join(err, fs.ErrInvalid))
		}
		k.all[b.ID] = b
	}
	return k, nil
}

// save writes a bounty to its file; k.mu is held.
func (k *Book) save(b *Bounty) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return err
	}
	path := filepath.Join(k.cfg.Dir, b.ID+".json")
	f, err := os.CreateTemp(k.cfg.Dir, "new-*")
	if err != nil {
		return fmt.Errorf("save bounty %s: %w", b.ID, err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save bounty %s: %w", b.ID, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Place puts up a bounty.
func (k *Book) Place(buyer string, t Terms) (Bounty, error) {
	now := k.cfg.Now().UTC()
	t.Every = cmp.Or(t.Every, "168h")
	if err := k.check(t, now); err != nil {
		return Bounty{}, fmt.Errorf("%w: %w", ErrTerms, err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	b := &Bounty{ID: hex.EncodeToString(id[:]), Terms: t, Buyer: buyer, Placed: now, Bought: []Purchase{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	open := 0
	for _, other := range k.all {
		if other.Buyer == buyer && other.open(now) {
			open++
		}
	}
	if open >= mostOpen {
		return Bounty{}, fmt.Errorf("%w: %s has %d already; end one first", ErrTerms, buyer, open)
	}
	if err := k.save(b); err != nil {
		return Bounty{}, err
	}
	k.all[b.ID] = b
	return *b, nil
}

func (k *Book) check(t Terms, now time.Time) error {
	p, err := k.product(t.Product)
	if err != nil {
		return err
	}
	area, err := h3.Parse(t.Area)
	if err != nil {
		return err
	}
	every, err := time.ParseDuration(t.Every)
	if err != nil {
		return fmt.Errorf("every %q: want a duration as 168h", t.Every)
	}
	switch r := area.Resolution(); {
	case r < coarsest || r > p.Resolution:
		return fmt.Errorf("area %s has resolution %d, want %d (250 km²) to %d (one cell of %s)", area, r, coarsest, p.Resolution, t.Product)
	case t.Units < p.Cost || t.Units > mostUnits:
		return fmt.Errorf("%d units for one, want from %d, which everybody pays, to %d", t.Units, p.Cost, mostUnits)
	case every < leastEvery || every > mostEvery:
		return fmt.Errorf("a cell is paid again after %s, want from %s to %s", every, leastEvery, mostEvery)
	case t.Most < 1 || t.Most > mostBought:
		return fmt.Errorf("at most %d objects, want from 1 to %d", t.Most, mostBought)
	case !t.Until.After(now) || t.Until.After(now.Add(longest)):
		return fmt.Errorf("until %s, want a time within a year from now", t.Until.Format(time.RFC3339))
	}
	return nil
}

// product finds a product that has objects.
func (k *Book) product(text string) (facts.Listed, error) {
	kind, name, _ := strings.Cut(text, "/")
	p, err := k.cfg.Facts.Product(kind, name)
	if err == nil && (p.Release == nil || k.cfg.Objects == nil) {
		err = fmt.Errorf("product %s has nothing that could be bought here", text)
	}
	return p, err
}

// List returns the bounties of a buyer, or those that are open, without whose they
// are and what was bought, for an empty one. The newest are first.
func (k *Book) List(buyer string) []Bounty {
	now := k.cfg.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	out := []Bounty{}
	for _, b := range k.all {
		switch {
		case buyer != "" && b.Buyer == buyer:
			out = append(out, b.copy())
		case buyer == "" && b.open(now):
			shown := Bounty{ID: b.ID, Terms: b.Terms, Placed: b.Placed, Bought: []Purchase{}}
			shown.Most = b.Left()
			out = append(out, shown)
		}
	}
	slices.SortFunc(out, func(a, b Bounty) int { return cmp.Or(b.Placed.Compare(a.Placed), strings.Compare(a.ID, b.ID)) })
	return out
}

func (b *Bounty) copy() Bounty {
	out := *b
	out.Bought = slices.Clone(b.Bought)
	return out
}

// Get is a bounty of a buyer.
func (k *Book) Get(buyer, id string) (Bounty, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.all[id]; b != nil && b.Buyer == buyer {
		return b.copy(), nil
	}
	return Bounty{}, fmt.Errorf("%w: %.40q is none of yours", ErrUnknown, id)
}

// End ends a bounty: nothing more is bought. What was bought stays.
func (k *Book) End(buyer, id string) (Bounty, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.all[id]
	if b == nil || b.Buyer != buyer {
		return Bounty{}, fmt.Errorf("%w: %.40q is none of yours", ErrUnknown, id)
	}
	ended := b.copy()
	ended.Ended = true
	if err := k.save(&ended); err != nil {
		return Bounty{}, err
	}
	*b = ended
	return b.copy(), nil
}

// Object reads what was bought as number n of a bounty, from 0.
func (k *Book) Object(ctx context.Context, buyer, id string, n int) (data []byte, media string, err error) {
	b, err := k.Get(buyer, id)
	if err != nil {
		return nil, "", err
	}
	if n < 0 || n >= len(b.Bought) {
		return nil, "", fmt.Errorf("%w: number %d of %d that were bought", ErrUnknown, n, len(b.Bought))
	}
	return k.read(ctx, b.Product, b.Bought[n])
}

// read fetches an object and checks that it is what its device said.
func (k *Book) read(ctx context.Context, product string, x Purchase) (data []byte, media string, err error) {
	p, err := k.product(product)
	if err != nil {
		return nil, "", err
	}
	if data, err = k.cfg.Objects.Get(ctx, x.Key, int64(x.Size)); err == nil {
		media, err = p.Release(x.Record, data)
	}
	return data, media, err
}
