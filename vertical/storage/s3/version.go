package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/oklog/ulid/v2"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// nullVersion is how S3 shows the version of objects written while versioning
// was not enabled.
const nullVersion = "null"

// marker is the answer to a request that met a delete marker.
type marker struct {
	o   *catalog.Object
	err error
}

func (m *marker) Error() string { return m.err.Error() }
func (m *marker) Unwrap() error { return m.err }

// markerOutput tells the front end about a delete marker; other errors pass.
func markerOutput(err error) (*s3.GetObjectOutput, error) {
	var m *marker
	if !errors.As(err, &m) {
		return nil, err
	}
	yes := true
	return &s3.GetObjectOutput{DeleteMarker: &yes, LastModified: &m.o.Modified}, m.err
}

// findVersion returns the version of an object that a request names, which is
// the current one if it names none.
func findVersion(tx *catalog.Tx, bucket, key, id string) (*catalog.Object, error) {
	if id == "" {
		o, err := tx.Object(bucket, key)
		if !errors.Is(err, catalog.ErrNoKey) {
			return o, err
		}
		if last, lerr := tx.Latest(bucket, key); lerr == nil && last.DeleteMarker {
			return nil, &marker{o: last, err: s3err.GetAPIError(s3err.ErrNoSuchKey)}
		}
		return nil, err
	}
	o, err := namedVersion(tx, bucket, key, id)
	if err != nil {
		return nil, err
	}
	if o.DeleteMarker {
		return nil, &marker{o: o, err: s3err.GetAPIError(s3err.ErrMethodNotAllowed)}
	}
	return o, nil
}

// namedVersion returns a version, or a delete marker, by the id clients use.
func namedVersion(tx *catalog.Tx, bucket, key, id string) (*catalog.Object, error) {
	if !validVersion(id) {
		if err := tx.HasBucket(bucket); err != nil {
			return nil, err
		}
		return nil, s3err.GetInvalidArgumentErr(s3err.InvalidArgVersionId, id)
	}
	o, err := tx.Version(bucket, key, storedVersion(id))
	if errors.Is(err, catalog.ErrNoVersion) || errors.Is(err, catalog.ErrNoKey) {
		return nil, s3err.GetNoSuchVersionErr(key, id)
	}
	return o, err
}

func storedVersion(id string) string {
	if id == nullVersion {
		return ""
	}
	return id
}

func shownVersion(id string) string {
	if id == "" {
		return nullVersion
	}
	return id
}

func validVersion(id string) bool {
	if id == nullVersion {
		return true
	}
	_, err := ulid.ParseStrict(id)
	return err == nil
}

// newID returns a new id that sorts after those made before it.
func newID() string { return ulid.Make().String() }

// putVersion makes o the current version as the bucket's versioning has it.
func putVersion(tx *catalog.Tx, b *catalog.Bucket, bucket, key string, o *catalog.Object) error {
	switch types.BucketVersioningStatus(b.Versioning) {
	case types.BucketVersioningStatusEnabled:
		o.Version = newID()
	case types.BucketVersioningStatusSuspended:
	default:
		return tx.ReplaceObject(bucket, key, o)
	}
	return tx.PushVersion(bucket, key, o)
}

// PutBucketVersioning turns versioning on or suspends it.
func (d *door) PutBucketVersioning(ctx context.Context, bucket string, status types.BucketVersioningStatus) error {
	err := d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		if status != types.BucketVersioningStatusEnabled && lockEnabled(b) {
			return s3err.GetAPIError(s3err.ErrSuspendedVersioningNotAllowed)
		}
		b.Versioning = string(status)
		return tx.SetBucket(bucket, b)
	})
	return d.fault(ctx, "PutBucketVersioning", bucket, "", err)
}

// GetBucketVersioning says whether versioning is on.
func (d *door) GetBucketVersioning(ctx context.Context, bucket string) (s3response.GetBucketVersioningOutput, error) {
	b, err := d.bucket(ctx, "GetBucketVersioning", bucket)
	if err != nil || b.Versioning == "" {
		return s3response.GetBucketVersioningOutput{}, err
	}
	status := types.BucketVersioningStatus(b.Versioning)
	return s3response.GetBucketVersioningOutput{Status: &status}, nil
}

// ListObjectVersions lists all versions and delete markers.
func (d *door) ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput) (s3response.ListVersionsResult, error) {
	q := catalog.VersionQuery{Query: catalog.Query{
		Prefix: value(in.Prefix), Delimiter: value(in.Delimiter), Limit: limit(in.MaxKeys),
	}}
	q.After, q.AfterVersion = value(in.KeyMarker), storedVersion(value(in.VersionIdMarker))
	q.Resume = value(in.VersionIdMarker) != ""
	rollsUp(&q.Query)
	var page catalog.VersionPage
	var owner string
	err := d.cat.View(func(tx *catalog.Tx) (err error) {
		if owner, err = ownerOf(tx, value(in.Bucket)); err != nil || q.Limit == 0 {
			return err
		}
		page, err = tx.ListVersions(value(in.Bucket), q)
		return err
	})
	if err != nil {
		return s3response.ListVersionsResult{}, d.fault(ctx, "ListObjectVersions", value(in.Bucket), value(in.Prefix), err)
	}
	enc := encodingOf(ctx)
	maxKeys := int32(q.Limit)
	out := s3response.ListVersionsResult{
		Name: in.Bucket, Prefix: enc.text(value(in.Prefix)), Delimiter: enc.option(in.Delimiter),
		KeyMarker: enc.text(value(in.KeyMarker)), VersionIdMarker: in.VersionIdMarker,
		MaxKeys: &maxKeys, IsTruncated: &page.Truncated, EncodingType: enc.kind(),
	}
	for _, e := range page.Entries {
		addVersion(&out, e, enc, owner)
	}
	if page.Truncated {
		last := page.Entries[len(page.Entries)-1]
		out.NextKeyMarker = enc.text(last.Key + last.Prefix)
		if last.Prefix == "" {
			v := shownVersion(last.Object.Version)
			out.NextVersionIdMarker = &v
		}
	}
	return out, nil
}

func addVersion(out *s3response.ListVersionsResult, e catalog.VersionEntry, enc encoding, owner string) {
	if e.Prefix != "" {
		out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: enc.text(e.Prefix)})
		return
	}
	v := shownVersion(e.Object.Version)
	who := &types.Owner{ID: &owner}
	if e.Object.DeleteMarker {
		out.DeleteMarkers = append(out.DeleteMarkers, types.DeleteMarkerEntry{
			Key: enc.text(e.Key), VersionId: &v, IsLatest: &e.Latest, LastModified: &e.Object.Modified, Owner: who,
		})
		return
	}
	etag := quote(e.Object.ETag)
	line := s3response.ObjectVersion{
		Key: enc.text(e.Key), VersionId: &v, IsLatest: &e.Latest, LastModified: &e.Object.Modified, Owner: who,
		ETag: &etag, Size: &e.Object.Size, StorageClass: types.ObjectVersionStorageClassStandard,
		ChecksumType: types.ChecksumType(e.Object.Checksum.Type),
	}
	if a := e.Object.Checksum.Algorithm; a != "" {
		line.ChecksumAlgorithm = []types.ChecksumAlgorithm{types.ChecksumAlgorithm(a)}
	}
	out.Versions = append(out.Versions, line)
}

// versionHeader returns the version id that responses about the object show:
// none if the bucket never had versions.
func versionHeader(tx *catalog.Tx, bucket string, o *catalog.Object) string {
	if o.Version != "" {
		return o.Version
	}
	if b, err := tx.Bucket(bucket); err != nil || b.Versioning == "" {
		return ""
	}
	return nullVersion
}
