package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// removal is one deletion and what came of it.
type removal struct {
	key     string
	version string // as clients name it; empty: the current one
	cond    backend.ObjectDeletePreconditions

	marker   bool   // a delete marker was made or removed
	affected string // version made or removed, as shown
	err      error
}

// remove carries out r. Its answer, also a refusal, is in r; an error is one of
// the catalog.
func (d *door) remove(tx *catalog.Tx, b *catalog.Bucket, bucket string, r *removal) error {
	r.marker, r.affected, r.err = false, "", nil
	if r.version != "" {
		return d.removeVersion(tx, bucket, r)
	}
	o, err := tx.Object(bucket, r.key)
	if err != nil && !errors.Is(err, catalog.ErrNoKey) {
		return err
	}
	if o != nil {
		if r.err = backend.EvaluateObjectDeletePreconditions(o.ETag, o.Modified, o.Size, r.cond); r.err != nil {
			return nil
		}
	}
	if b.Versioning == "" {
		if o == nil {
			return nil
		}
		return tx.RemoveObject(bucket, r.key, o)
	}
	m := &catalog.Object{Modified: d.now().UTC(), DeleteMarker: true}
	if b.Versioning == string(types.BucketVersioningStatusEnabled) {
		m.Version = newID()
	}
	r.marker, r.affected = true, shownVersion(m.Version)
	return tx.PushVersion(bucket, r.key, m)
}

func (d *door) removeVersion(tx *catalog.Tx, bucket string, r *removal) error {
	if !validVersion(r.version) {
		r.err = s3err.GetInvalidArgumentErr(s3err.InvalidArgVersionId, r.version)
		return nil
	}
	r.affected = r.version
	o, err := tx.Version(bucket, r.key, storedVersion(r.version))
	if errors.Is(err, catalog.ErrNoKey) || errors.Is(err, catalog.ErrNoVersion) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.err = backend.EvaluateObjectDeletePreconditions(o.ETag, o.Modified, o.Size, r.cond); r.err != nil {
		return nil
	}
	if d.locked(o) {
		r.err = s3err.GetAPIError(s3err.ErrObjectLocked)
		return nil
	}
	r.marker = o.DeleteMarker
	return tx.RemoveVersion(bucket, r.key, o.Version)
}

// removeAll carries out the removals in one change.
func (d *door) removeAll(bucket string, rs []removal) error {
	return d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		for i := range rs {
			if err := d.remove(tx, b, bucket, &rs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteObject deletes an object, or one version of it. Deleting what is not
// there succeeds.
func (d *door) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	bucket := value(in.Bucket)
	rs := []removal{{key: value(in.Key), version: value(in.VersionId), cond: backend.ObjectDeletePreconditions{
		IfMatch: in.IfMatch, IfMatchLastModTime: in.IfMatchLastModifiedTime, IfMatchSize: in.IfMatchSize,
	}}}
	err := d.removeAll(bucket, rs)
	if err == nil {
		err = rs[0].err
	}
	if err != nil {
		return nil, d.fault(ctx, "DeleteObject", bucket, value(in.Key), err)
	}
	out := &s3.DeleteObjectOutput{VersionId: backend.GetPtrFromString(rs[0].affected)}
	if rs[0].marker {
		out.DeleteMarker = &rs[0].marker
	}
	return out, nil
}

// DeleteObjects deletes many objects in one change.
func (d *door) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	bucket := value(in.Bucket)
	var rs []removal
	for _, o := range in.Delete.Objects {
		rs = append(rs, removal{key: value(o.Key), version: value(o.VersionId), cond: backend.ObjectDeletePreconditions{
			IfMatch: backend.TrimEtag(o.ETag), IfMatchLastModTime: o.LastModifiedTime, IfMatchSize: o.Size,
		}})
	}
	if err := d.removeAll(bucket, rs); err != nil {
		return s3response.DeleteResult{}, d.fault(ctx, "DeleteObjects", bucket, "", err)
	}
	var out s3response.DeleteResult
	for i := range rs {
		r := &rs[i]
		key, version := r.key, backend.GetPtrFromString(r.version)
		if r.err != nil {
			out.Error = append(out.Error, s3err.ObjectDeleteError(&key, version, r.err))
			continue
		}
		line := types.DeletedObject{Key: &key, VersionId: version}
		if r.marker {
			line.DeleteMarker = &r.marker
			line.DeleteMarkerVersionId = &r.affected
		}
		out.Deleted = append(out.Deleted, line)
	}
	return out, nil
}
