package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// The current version of an object, if it is not a delete marker, is in the
// objects index; everything older and all delete markers are in the versions
// index, newest first. So a key without a current version whose newest version
// is no delete marker does not occur, and plain listings need not look at
// versions.

// ErrNoVersion says that the key exists but not in this version.
var ErrNoVersion = errors.New("no such version")

func versionKey(key string, v *Object) []byte {
	k := append(escape(key), u64(^uint64(v.Modified.UnixNano()))...)
	return append(k, v.Version...)
}

// versions calls yield for the versions of a key in the versions index, newest
// first, until it returns false.
func (t *Tx) versions(bucket, key string, yield func(*Object) bool) error {
	prefix := escape(key)
	c := t.in(bktVersions, bucket).Cursor()
	for k, raw := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, raw = c.Next() {
		v, err := decodeObject(raw)
		if err != nil {
			return err
		}
		if !yield(v) {
			break
		}
	}
	return nil
}

func (t *Tx) newestVersion(bucket, key string) (*Object, error) {
	var out *Object
	err := t.versions(bucket, key, func(v *Object) bool { out = v; return false })
	return out, err
}

func (t *Tx) addVersion(bucket, key string, v *Object) error {
	return t.put(t.in(bktVersions, bucket), versionKey(key, v), encodeObject(v))
}

func (t *Tx) dropVersion(bucket, key string, v *Object) error {
	return t.delete(t.in(bktVersions, bucket), versionKey(key, v))
}

// Version returns the version of an object with the given id, empty for the
// null version, or ErrNoBucket, ErrNoKey or ErrNoVersion. It may be a delete
// marker.
func (t *Tx) Version(bucket, key, id string) (*Object, error) {
	cur, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return nil, err
	}
	if cur != nil && cur.Version == id {
		return cur, nil
	}
	var found *Object
	any := cur != nil
	err = t.versions(bucket, key, func(v *Object) bool {
		any = true
		if v.Version == id {
			found = v
		}
		return found == nil
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return found, nil
	case any:
		return nil, ErrNoVersion
	default:
		return nil, ErrNoKey
	}
}

// Latest returns the newest version of an object, which may be a delete marker,
// or ErrNoBucket or ErrNoKey.
func (t *Tx) Latest(bucket, key string) (*Object, error) {
	cur, err := t.Object(bucket, key)
	if !errors.Is(err, ErrNoKey) {
		return cur, err
	}
	v, err := t.newestVersion(bucket, key)
	if err == nil && v == nil {
		err = ErrNoKey
	}
	return v, err
}

// PushVersion makes v the newest version and keeps the others, except that a
// null version takes the place of the null version before it. v is made newer
// than the others if the clock says otherwise.
func (t *Tx) PushVersion(bucket, key string, v *Object) error {
	last, err := t.Latest(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if last != nil && !v.Modified.After(last.Modified) {
		v.Modified = last.Modified.Add(time.Nanosecond)
	}
	if v.Version == "" {
		if err := t.removeVersion(bucket, key, ""); err != nil {
			return err
		}
	}
	cur, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if cur != nil {
		if err := t.addVersion(bucket, key, cur); err != nil {
			return err
		}
	}
	if !v.DeleteMarker {
		return t.SetObject(bucket, key, v)
	}
	if cur != nil {
		if err := t.delete(t.in(bktObjects, bucket), []byte(key)); err != nil {
			return err
		}
	}
	return t.addVersion(bucket, key, v)
}

// removeVersion deletes a version without promoting another.
func (t *Tx) removeVersion(bucket, key, id string) error {
	v, err := t.Version(bucket, key, id)
	if errors.Is(err, ErrNoKey) || errors.Is(err, ErrNoVersion) {
		return nil
	}
	if err != nil {
		return err
	}
	cur, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if cur != nil && cur.Version == id {
		return t.RemoveObject(bucket, key, cur)
	}
	if err := t.dropVersion(bucket, key, v); err != nil {
		return err
	}
	return t.Release(v.Extents)
}

// RemoveVersion deletes one version for good. If it was the newest, the one
// before it becomes current.
func (t *Tx) RemoveVersion(bucket, key, id string) error {
	if err := t.removeVersion(bucket, key, id); err != nil {
		return err
	}
	_, err := t.Object(bucket, key)
	if !errors.Is(err, ErrNoKey) {
		return err
	}
	v, err := t.newestVersion(bucket, key)
	if err != nil || v == nil || v.DeleteMarker {
		return err
	}
	if err := t.dropVersion(bucket, key, v); err != nil {
		return err
	}
	return t.SetObject(bucket, key, v)
}

// SetVersion stores a changed record of an existing version, whose Modified and
// Version have not changed.
func (t *Tx) SetVersion(bucket, key string, v *Object) error {
	cur, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if cur != nil && cur.Version == v.Version {
		return t.SetObject(bucket, key, v)
	}
	return t.addVersion(bucket, key, v)
}

// VersionEntry is one line of a listing of versions.
type VersionEntry struct {
	Prefix string // not empty: a common prefix
	Key    string
	Object *Object
	Latest bool
}

// VersionQuery asks for a page of versions: Query, and with AfterVersion set
// also the versions of the key After that follow that one.
type VersionQuery struct {
	Query
	Resume       bool // AfterVersion counts
	AfterVersion string
}

// VersionPage is a part of a listing of versions.
type VersionPage struct {
	Entries   []VersionEntry
	Truncated bool
}

// ListVersions returns the page of all versions of a bucket's objects that q
// asks for, by key and then newest first, or ErrNoBucket.
func (t *Tx) ListVersions(bucket string, q VersionQuery) (VersionPage, error) {
	if t.in(bktObjects, bucket) == nil {
		return VersionPage{}, ErrNoBucket
	}
	var page VersionPage
	if q.Resume && bytes.HasPrefix([]byte(q.After), []byte(q.Prefix)) && rollUp(q.After, q.Query) == "" {
		if err := t.versionsOf(bucket, q.After, &q, &page); err != nil || page.Truncated {
			return page, err
		}
	}
	q.Resume = false
	from, ok := start(q.Query)
	for ok {
		key, found, err := t.nextKey(bucket, from)
		if err != nil || !found || !bytes.HasPrefix([]byte(key), []byte(q.Prefix)) {
			return page, err
		}
		if len(page.Entries) == q.Limit {
			page.Truncated = true
			return page, nil
		}
		if p := rollUp(key, q.Query); p != "" {
			page.Entries = append(page.Entries, VersionEntry{Prefix: p})
			from, ok = successor(p)
			continue
		}
		if err := t.versionsOf(bucket, key, &q, &page); err != nil || page.Truncated {
			return page, err
		}
		from = append([]byte(key), 0)
	}
	return page, nil
}

// versionsOf appends a key's versions to the page.
func (t *Tx) versionsOf(bucket, key string, q *VersionQuery, page *VersionPage) error {
	skip := q.Resume
	latest := true
	add := func(v *Object) bool {
		if skip {
			skip = v.Version != q.AfterVersion
			latest = false
			return true
		}
		if len(page.Entries) == q.Limit {
			page.Truncated = true
			return false
		}
		page.Entries = append(page.Entries, VersionEntry{Key: key, Object: v, Latest: latest})
		latest = false
		return true
	}
	cur, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if cur != nil && !add(cur) {
		return nil
	}
	return t.versions(bucket, key, add)
}

// nextKey returns the least key, not below from, that has any version.
func (t *Tx) nextKey(bucket string, from []byte) (key string, found bool, err error) {
	if k, _ := t.in(bktObjects, bucket).Cursor().Seek(from); k != nil {
		key, found = string(k), true
	}
	seek := escape(string(from))
	k, _ := t.in(bktVersions, bucket).Cursor().Seek(seek[:len(seek)-2])
	if k == nil {
		return key, found, nil
	}
	old, err := unescape(k)
	if err != nil {
		return "", false, err
	}
	if !found || old < key {
		key, found = old, true
	}
	return key, found, nil
}

// unescape returns the key at the beginning of b.
func unescape(b []byte) (string, error) {
	var key []byte
	for i := 0; i < len(b); i++ {
		if b[i] != 0 {
			key = append(key, b[i])
			continue
		}
		if i+1 < len(b) && b[i+1] == 1 {
			return string(key), nil
		}
		if i+1 == len(b) || b[i+1] != 255 {
			break
		}
		key = append(key, 0)
		i++
	}
	return "", fmt.Errorf("read version index: %w", errRecord)
}
