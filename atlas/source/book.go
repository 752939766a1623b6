package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/atlas"
)

// The rules of the book.
const (
	Jump          = 10             // a value this many times another is not believed at once
	Confirmations = 3              // times a value must be seen to leave quarantine
	MaxAge        = 48 * time.Hour // after which a value is stale
	MaxHistory    = 10_000         // values kept of one series
	MaxBook       = 64 << 20       // bytes of a book that is read
)

// Record is the last good value of one metric of one subject from one source.
type Record struct {
	Subject    string      `json:"subject"`
	Claim      atlas.Claim `json:"claim"`
	Fetched    time.Time   `json:"fetched"`
	Problem    string      `json:"problem,omitempty"` // why it is stale; empty when fresh
	Quarantine *Pending    `json:"quarantine,omitempty"`
	History    []Value     `json:"history"` // accepted values, oldest first, with this one
}

// Pending is a value that is not believed yet.
type Pending struct {
	Claim atlas.Claim `json:"claim"`
	Since time.Time   `json:"since"`
	Seen  int         `json:"seen"`
	Why   string      `json:"why"`
}

// Value is one accepted value.
type Value struct {
	At    time.Time     `json:"at"`
	AsOf  atlas.Date    `json:"as_of"`
	Value atlas.Decimal `json:"value"`
}

// Book holds what live sources said: the last good values, what is in
// quarantine, and the history. The zero Book is empty.
type Book struct {
	records map[string]*Record
}

func key(subject, metric, source string) string { return subject + "\x00" + metric + "\x00" + source }

// Prior gives the claims that are already known of a subject, for judging the
// first value of a source.
type Prior func(subject string) []atlas.Claim

// Apply takes the answer of one source at one time. Records of that source
// that the answer lacks become stale.
func (b *Book) Apply(source string, found []Observation, at time.Time, prior Prior) {
	if b.records == nil {
		b.records = map[string]*Record{}
	}
	seen := map[string]bool{}
	for _, o := range found {
		k := key(o.Subject, o.Claim.Metric, source)
		if seen[k] {
			continue // one value a metric; the first counts
		}
		seen[k] = true
		b.take(k, o, at, prior)
	}
	for k, r := range b.records {
		if r.Claim.Source == source && !seen[k] && !r.empty() {
			r.Problem = "no longer in the answer"
		}
	}
}

// Fail notes that a source did not answer: its values stay, stale.
func (b *Book) Fail(source string, err error) {
	for _, r := range b.records {
		if r.Claim.Source == source && !r.empty() {
			r.Problem = err.Error()
		}
	}
}

// empty reports whether nothing has been accepted yet.
func (r *Record) empty() bool { return len(r.History) == 0 }

func (b *Book) take(k string, o Observation, at time.Time, prior Prior) {
	r := b.records[k]
	if r == nil {
		r = &Record{Subject: o.Subject, Claim: atlas.Claim{Metric: o.Claim.Metric, Unit: o.Claim.Unit, Source: o.Claim.Source, Kind: o.Claim.Kind, Note: "no value has been accepted yet"}}
		b.records[k] = r
	}
	why := r.doubt(o, prior)
	if why == "" {
		r.accept(o.Claim, at)
		return
	}
	q := r.Quarantine
	if q == nil || jumps(q.Claim.Point(), o.Claim.Point(), big.NewRat(3, 2)) {
		q = &Pending{Since: at}
		r.Quarantine = q
	}
	q.Claim, q.Why, q.Seen = o.Claim, why, q.Seen+1
	if q.Seen >= Confirmations && o.Claim.Point() != nil && o.Claim.Point().Sign() > 0 {
		r.accept(o.Claim, at)
		return
	}
	if !r.empty() {
		r.Problem = "a newer value is in quarantine: " + why
	}
}

// doubt says why a value is not believed at once; "" when it is.
func (r *Record) doubt(o Observation, prior Prior) string {
	v := o.Claim.Point()
	if v == nil || v.Sign() <= 0 {
		return "a value of zero or less may be a missing one"
	}
	if !r.empty() {
		if last := r.Claim.Point(); jumps(last, v, big.NewRat(Jump, 1)) {
			return fmt.Sprintf("%s is %d times or more away from the last value %s", o.Claim.Value, Jump, r.Claim.Value)
		}
		return ""
	}
	return implausible(o, prior)
}

// implausible judges a first value by the claims already known: it must be
// within a factor of Jump of what they span.
func implausible(o Observation, prior Prior) string {
	if prior == nil {
		return ""
	}
	var low, high *big.Rat
	for _, c := range prior(o.Subject) {
		p := c.Point()
		if c.Metric != o.Claim.Metric || p == nil {
			continue
		}
		if low == nil || p.Cmp(low) < 0 {
			low = p
		}
		if high == nil || p.Cmp(high) > 0 {
			high = p
		}
	}
	v := o.Claim.Point()
	if low == nil || !jumps(low, v, big.NewRat(Jump, 1)) || !jumps(high, v, big.NewRat(Jump, 1)) || v.Cmp(low) > 0 && v.Cmp(high) < 0 {
		return ""
	}
	return fmt.Sprintf("%s %s is %d times or more away from everything known of it", o.Claim.Value, o.Claim.Unit, Jump)
}

// jumps reports whether a and b are a factor or more apart.
func jumps(a, b, factor *big.Rat) bool {
	if a == nil || b == nil || a.Sign() <= 0 || b.Sign() <= 0 {
		return true
	}
	return new(big.Rat).Mul(a, factor).Cmp(b) <= 0 || new(big.Rat).Mul(b, factor).Cmp(a) <= 0
}

func (r *Record) accept(c atlas.Claim, at time.Time) {
	r.Claim, r.Fetched, r.Problem, r.Quarantine = c, at, "", nil
	r.History = append(r.History, Value{at, c.AsOf, *c.Value})
	r.History = r.History[max(0, len(r.History)-MaxHistory):]
}

// Claims lists the accepted values by subject, for atlas.Catalog.With. Those
// with a problem, or older than MaxAge, are marked stale.
func (b *Book) Claims(now time.Time) map[string][]atlas.Claim {
	out := map[string][]atlas.Claim{}
	for _, r := range b.Records() {
		if r.empty() {
			continue
		}
		c := r.Claim
		c.Stale = r.Problem != "" || now.Sub(r.Fetched) > MaxAge
		switch {
		case r.Problem != "":
			c.Note = "last good value of " + r.Fetched.UTC().Format(time.DateOnly) + ": " + r.Problem
		case c.Stale:
			c.Note = "not asked again since " + r.Fetched.UTC().Format(time.DateOnly)
		}
		out[r.Subject] = append(out[r.Subject], c)
	}
	return out
}

// Records lists everything, in order of subject, metric and source.
func (b *Book) Records() []*Record {
	all := make([]*Record, 0, len(b.records))
	for _, r := range b.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, c *Record) int {
		return strings.Compare(key(a.Subject, a.Claim.Metric, a.Claim.Source), key(c.Subject, c.Claim.Metric, c.Claim.Source))
	})
	return all
}

// bookVersion is that of the format on disk.
const bookVersion = 1

type bookFile struct {
	Version int       `json:"version"`
	Records []*Record `json:"records"`
}

// ErrBook is returned for a book that cannot be read.
var ErrBook = errors.New("book of observations")

// Write writes the book as JSON, the same bytes for the same book.
func (b *Book) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(bookFile{bookVersion, b.Records()})
}

// ReadBook reads what Write wrote.
func ReadBook(r io.Reader) (*Book, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBook+1))
	if err != nil {
		return nil, fmt.Errorf("read book: %w", err)
	}
	if len(body) > MaxBook {
		return nil, fmt.Errorf("read book: longer than %d bytes: %w", MaxBook, ErrBook)
	}
	var f bookFile
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("read book: %w: %w", ErrBook, err)
	}
	if f.Version != bookVersion {
		return nil, fmt.Errorf("read book: version %d, want %d: %w", f.Version, bookVersion, ErrBook)
	}
	b := &Book{records: map[string]*Record{}}
	for _, rec := range f.Records {
		if rec == nil || rec.Subject == "" || rec.Claim.Metric == "" || rec.Claim.Source == "" || !rec.empty() && rec.Claim.Value == nil ||
			rec.Quarantine != nil && rec.Quarantine.Claim.Value == nil {
			return nil, fmt.Errorf("read book: a record without subject, metric, source or value: %w", ErrBook)
		}
		b.records[key(rec.Subject, rec.Claim.Metric, rec.Claim.Source)] = rec
	}
	return b, nil
}
