package catalog

import (
	"bytes"
	"strings"
)

// Query asks for a page of a listing.
type Query struct {
	Prefix    string
	Delimiter string
	After     string // list keys greater than this one
	Past      string // list keys greater than all that begin with this one
	Limit     int    // most entries, at least 1
}

// Entry is one line of a listing: an object, or the common prefix of several.
type Entry struct {
	Prefix string // not empty: a common prefix
	Key    string
	Object *Object
}

// Page is a part of a listing in the order of keys and prefixes.
type Page struct {
	Entries   []Entry
	Truncated bool // more follows the last entry
}

// List returns the page of a bucket's current objects that q asks for, or
// ErrNoBucket. Keys that contain the delimiter after the prefix are rolled up
// into one entry each, up to and including the delimiter.
func (t *Tx) List(bucket string, q Query) (Page, error) {
	b := t.in(bktObjects, bucket)
	if b == nil {
		return Page{}, ErrNoBucket
	}
	c := b.Cursor()
	next := func(from []byte, ok bool) (k, v []byte) {
		if !ok {
			return nil, nil
		}
		return c.Seek(from)
	}
	var page Page
	k, v := next(start(q))
	for k != nil && bytes.HasPrefix(k, []byte(q.Prefix)) {
		if len(page.Entries) == q.Limit {
			page.Truncated = true
			break
		}
		if p := rollUp(string(k), q); p != "" {
			page.Entries = append(page.Entries, Entry{Prefix: p})
			k, v = next(successor(p))
			continue
		}
		o, err := decodeObject(v)
		if err != nil {
			return Page{}, err
		}
		page.Entries = append(page.Entries, Entry{Key: string(k), Object: o})
		k, v = c.Next()
	}
	return page, nil
}

// start is the least key the query can list; ok is false if there is none.
func start(q Query) (from []byte, ok bool) {
	from = []byte(q.Prefix)
	if q.After != "" {
		if least := append([]byte(q.After), 0); bytes.Compare(least, from) > 0 {
			from = least
		}
	}
	if q.Past != "" {
		least, ok := successor(q.Past)
		if !ok {
			return nil, false
		}
		if bytes.Compare(least, from) > 0 {
			from = least
		}
	}
	return from, true
}

func rollUp(key string, q Query) string {
	if q.Delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(q.Prefix):], q.Delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(q.Prefix)+i+len(q.Delimiter)]
}

// successor returns the least key greater than every key that begins with p; ok
// is false if there is none.
func successor(p string) (key []byte, ok bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] < 255 {
			key = append(key, p[:i]...)
			return append(key, p[i]+1), true
		}
	}
	return nil, false
}
