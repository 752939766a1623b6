package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Answers of lookups.
var (
	ErrNoBucket     = errors.New("no such bucket")
	ErrNoKey        = errors.New("no such key")
	ErrNoUpload     = errors.New("no such upload")
	ErrBucketExists = errors.New("bucket exists")
	ErrNotEmpty     = errors.New("bucket is not empty")
	ErrVersionsLeft = errors.New("bucket has old versions")
)

// Bucket returns the named bucket's settings, or ErrNoBucket.
func (t *Tx) Bucket(name string) (*Bucket, error) {
	raw := t.tx.Bucket(bktBuckets).Get([]byte(name))
	if raw == nil {
		return nil, ErrNoBucket
	}
	v := new(Bucket)
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("decode bucket %s: %w", name, err)
	}
	return v, nil
}

// HasBucket returns ErrNoBucket unless the bucket exists.
func (t *Tx) HasBucket(name string) error {
	if t.tx.Bucket(bktBuckets).Get([]byte(name)) == nil {
		return ErrNoBucket
	}
	return nil
}

// SetBucket stores the settings of an existing bucket.
func (t *Tx) SetBucket(name string, v *Bucket) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode bucket %s: %w", name, err)
	}
	return t.put(t.tx.Bucket(bktBuckets), []byte(name), raw)
}

// CreateBucket makes a bucket, or returns ErrBucketExists.
func (t *Tx) CreateBucket(name string, v *Bucket) error {
	if t.HasBucket(name) == nil {
		return ErrBucketExists
	}
	for _, top := range [][]byte{bktObjects, bktVersions, bktUploads} {
		t.writes++
		if _, err := t.tx.Bucket(top).CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return t.SetBucket(name, v)
}

// DeleteBucket removes an empty bucket and aborts its uploads. It returns
// ErrNotEmpty or ErrVersionsLeft when there are objects or old versions.
func (t *Tx) DeleteBucket(name string) error {
	if err := t.HasBucket(name); err != nil {
		return err
	}
	if k, _ := t.in(bktVersions, name).Cursor().First(); k != nil {
		return ErrVersionsLeft
	}
	if k, _ := t.in(bktObjects, name).Cursor().First(); k != nil {
		return ErrNotEmpty
	}
	err := t.Uploads(name, func(id string, _ *Upload) (bool, error) { return true, t.dropParts(id) })
	if err != nil {
		return err
	}
	for _, top := range [][]byte{bktObjects, bktVersions, bktUploads} {
		t.writes++
		if err := t.tx.Bucket(top).DeleteBucket([]byte(name)); err != nil {
			return fmt.Errorf("delete bucket %s: %w", name, err)
		}
	}
	return t.delete(t.tx.Bucket(bktBuckets), []byte(name))
}

// Buckets calls yield for each bucket in the order of the names, beginning
// after the given one, until it returns false.
func (t *Tx) Buckets(after string, yield func(name string, v *Bucket) bool) error {
	c := t.tx.Bucket(bktBuckets).Cursor()
	for k := seekAfter(c, []byte(after)); k != nil; k, _ = c.Next() {
		v, err := t.Bucket(string(k))
		if err != nil {
			return err
		}
		if !yield(string(k), v) {
			break
		}
	}
	return nil
}

// in returns the part of a top-level index that belongs to an existing bucket.
func (t *Tx) in(top []byte, bucket string) *bolt.Bucket {
	return t.tx.Bucket(top).Bucket([]byte(bucket))
}

// Object returns the current version of an object, or ErrNoBucket or ErrNoKey.
func (t *Tx) Object(bucket, key string) (*Object, error) {
	b := t.in(bktObjects, bucket)
	if b == nil {
		return nil, ErrNoBucket
	}
	raw := b.Get([]byte(key))
	if raw == nil {
		return nil, ErrNoKey
	}
	return decodeObject(raw)
}

// SetObject stores the object's record as the current one. References are the
// caller's business.
func (t *Tx) SetObject(bucket, key string, v *Object) error {
	return t.put(t.in(bktObjects, bucket), []byte(key), encodeObject(v))
}

// ReplaceObject makes v, whose extents are already retained, the current
// version and releases the one it replaces.
func (t *Tx) ReplaceObject(bucket, key string, v *Object) error {
	old, err := t.Object(bucket, key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if err := t.SetObject(bucket, key, v); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	return t.Release(old.Extents)
}

// RemoveObject deletes the current version and releases its extents.
func (t *Tx) RemoveObject(bucket, key string, v *Object) error {
	if err := t.delete(t.in(bktObjects, bucket), []byte(key)); err != nil {
		return err
	}
	return t.Release(v.Extents)
}

// CreateUpload stores a new upload.
func (t *Tx) CreateUpload(bucket, id string, v *Upload) error {
	b := t.in(bktUploads, bucket)
	if b == nil {
		return ErrNoBucket
	}
	return t.put(b, append(escape(v.Key), id...), encodeUpload(v))
}

// Upload returns an upload, or ErrNoBucket or ErrNoUpload.
func (t *Tx) Upload(bucket, key, id string) (*Upload, error) {
	b := t.in(bktUploads, bucket)
	if b == nil {
		return nil, ErrNoBucket
	}
	raw := b.Get(append(escape(key), id...))
	if raw == nil {
		return nil, ErrNoUpload
	}
	return decodeUpload(raw)
}

// Uploads calls yield for each upload of a bucket, by key and then by id, until
// it returns false or an error.
func (t *Tx) Uploads(bucket string, yield func(id string, v *Upload) (bool, error)) error {
	b := t.in(bktUploads, bucket)
	if b == nil {
		return ErrNoBucket
	}
	c := b.Cursor()
	for k, raw := c.First(); k != nil; k, raw = c.Next() {
		v, err := decodeUpload(raw)
		if err != nil {
			return err
		}
		more, err := yield(string(k[len(escape(v.Key)):]), v)
		if !more || err != nil {
			return err
		}
	}
	return nil
}

// DropUpload removes the upload and releases the parts it still has.
func (t *Tx) DropUpload(bucket, key, id string) error {
	if err := t.delete(t.in(bktUploads, bucket), append(escape(key), id...)); err != nil {
		return err
	}
	return t.dropParts(id)
}

func (t *Tx) dropParts(id string) error {
	var numbers []int32
	var extents []Extent
	err := t.Parts(id, 0, func(n int32, v *Part) bool {
		numbers = append(numbers, n)
		extents = append(extents, v.Extents...)
		return true
	})
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := t.delete(t.tx.Bucket(bktParts), partKey(id, n)); err != nil {
			return err
		}
	}
	return t.Release(extents)
}

func partKey(id string, n int32) []byte {
	return append([]byte(id), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// SetPart stores a part, whose extents are already retained, and releases the
// part of the same number that it replaces.
func (t *Tx) SetPart(id string, n int32, v *Part) error {
	b := t.tx.Bucket(bktParts)
	raw := b.Get(partKey(id, n))
	if raw == nil {
		return t.put(b, partKey(id, n), encodePart(v))
	}
	old, err := decodePart(raw)
	if err != nil {
		return err
	}
	if err := t.put(b, partKey(id, n), encodePart(v)); err != nil {
		return err
	}
	return t.Release(old.Extents)
}

// Part returns an upload's part, or ErrNoKey.
func (t *Tx) Part(id string, n int32) (*Part, error) {
	raw := t.tx.Bucket(bktParts).Get(partKey(id, n))
	if raw == nil {
		return nil, ErrNoKey
	}
	return decodePart(raw)
}

// Parts calls yield for the parts of an upload with numbers above after, in
// order, until it returns false.
func (t *Tx) Parts(id string, after int32, yield func(n int32, v *Part) bool) error {
	c := t.tx.Bucket(bktParts).Cursor()
	prefix := []byte(id)
	for k, raw := c.Seek(partKey(id, after+1)); k != nil && bytes.HasPrefix(k, prefix); k, raw = c.Next() {
		v, err := decodePart(raw)
		if err != nil {
			return err
		}
		k = k[len(prefix):]
		n := int32(k[0])<<24 | int32(k[1])<<16 | int32(k[2])<<8 | int32(k[3])
		if !yield(n, v) {
			break
		}
	}
	return nil
}

// escape encodes a key so that encoded keys sort as the keys do, whatever
// follows them: a zero byte becomes 0 255, and 0 1 ends the key.
func escape(key string) []byte {
	out := make([]byte, 0, len(key)+24)
	for i := range len(key) {
		out = append(out, key[i])
		if key[i] == 0 {
			out = append(out, 255)
		}
	}
	return append(out, 0, 1)
}
