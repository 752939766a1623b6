package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// maxPut is the most bytes of one PUT, as S3 has it.
const maxPut int64 = 5 << 30

// maxKey is the most bytes of a key.
const maxKey = 1024

func value(p *string) string { return backend.GetStringFromPtr(p) }

func quote(etag string) string { return `"` + etag + `"` }

// PutObject stores a body as an object.
func (d *door) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.putObject(ctx, in)
	return out, d.fault(ctx, "PutObject", value(in.Bucket), value(in.Key), err)
}

func (d *door) putObject(ctx context.Context, in s3response.PutObjectInput) (out s3response.PutObjectOutput, err error) {
	bucket, key := value(in.Bucket), value(in.Key)
	o, err := newObject(in)
	if err != nil {
		return out, err
	}
	if err := checkKey(key); err != nil {
		return out, err
	}
	// Refuse early what cannot be stored, before the body is read; the same
	// check counts again when the object is entered.
	err = d.cat.View(func(tx *catalog.Tx) error {
		if err := checkPut(tx, bucket, key, in.IfMatch, in.IfNoneMatch); err != nil {
			return err
		}
		return checkLockable(tx, bucket, o.Lock)
	})
	if err != nil {
		return out, err
	}
	body, size, done, err := d.measured(in.Body, in.ContentLength)
	if err != nil {
		return out, err
	}
	defer done()
	algorithm, want := sums{
		in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumSHA1, in.ChecksumSHA256, in.ChecksumCRC64NVME,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128,
	}.given()
	if algorithm == "" {
		algorithm = string(in.ChecksumAlgorithm)
	}
	if algorithm == "" {
		algorithm = crc64 // as S3 does when the client names none
	}
	dig, err := newDigest(body, algorithm, want, false)
	if err != nil {
		return out, err
	}
	defer dig.stop()
	st, err := d.ingest(ctx, dig, size)
	if err != nil {
		return out, err
	}
	defer st.drop()
	o.Size = size
	o.ETag = dig.etag()
	o.Checksum = catalog.Checksum{Algorithm: dig.algorithm, Type: string(types.ChecksumTypeFullObject), Value: dig.value()}
	if err := d.enter(bucket, key, o, st, in.IfMatch, in.IfNoneMatch); err != nil {
		return out, err
	}
	return putOutput(o), nil
}

// enter makes the stored body the object's current version.
func (d *door) enter(bucket, key string, o *catalog.Object, st *stored, ifMatch, ifNoneMatch *string) error {
	err := d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		if err := checkPut(tx, bucket, key, ifMatch, ifNoneMatch); err != nil {
			return err
		}
		o.Modified = d.now().UTC()
		if o.Extents, err = st.add(tx); err != nil {
			return err
		}
		return putVersion(tx, b, bucket, key, o)
	})
	if err == nil {
		st.settle()
	}
	return err
}

// newObject takes over what a PUT says about its object.
func newObject(in s3response.PutObjectInput) (*catalog.Object, error) {
	lock, err := newLock(in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus)
	if err != nil {
		return nil, err
	}
	tags, err := backend.ParseObjectTags(value(in.Tagging))
	if err != nil {
		return nil, err
	}
	return &catalog.Object{
		Headers: catalog.Headers{
			ContentType: value(in.ContentType), ContentEncoding: value(in.ContentEncoding),
			ContentDisposition: value(in.ContentDisposition), ContentLanguage: value(in.ContentLanguage),
			CacheControl: value(in.CacheControl), Expires: value(in.Expires),
			WebsiteRedirect: value(in.WebsiteRedirectLocation),
		},
		Metadata: in.Metadata,
		Tags:     tags,
		Lock:     lock,
	}, nil
}

func checkKey(key string) error {
	if key == "" {
		return s3err.GetAPIError(s3err.ErrNoSuchKey)
	}
	if len(key) > maxKey {
		return s3err.GetKeyTooLongErr(int64(len(key)), maxKey)
	}
	return nil
}

// checkPut refuses a write to a bucket that does not exist or whose conditions
// the current object does not meet.
func checkPut(tx *catalog.Tx, bucket, key string, ifMatch, ifNoneMatch *string) error {
	if ifMatch == nil && ifNoneMatch == nil {
		return tx.HasBucket(bucket)
	}
	o, err := tx.Object(bucket, key)
	if err != nil && !errors.Is(err, catalog.ErrNoKey) {
		return err
	}
	etag := ""
	if o != nil {
		etag = o.ETag
	}
	return backend.EvaluateObjectPutPreconditions(etag, ifMatch, ifNoneMatch, o != nil)
}

// measured returns the body and its exact length. The length of a form upload
// is known only after reading it, so that goes through a temporary file.
func (d *door) measured(r io.Reader, length *int64) (io.Reader, int64, func(), error) {
	if r == nil {
		r = strings.NewReader("")
	}
	var n int64
	if length != nil {
		n = *length
	}
	if n > maxPut {
		return nil, 0, nil, s3err.GetAPIError(s3err.ErrEntityTooLarge)
	}
	if _, form := r.(utils.MpFileReader); !form {
		return r, n, func() {}, nil
	}
	f, n, err := d.spool(r, maxPut)
	if err != nil {
		return nil, 0, nil, err
	}
	return f, n, func() { _ = f.Close() }, nil
}

func putOutput(o *catalog.Object) s3response.PutObjectOutput {
	s := show(o.Checksum)
	return s3response.PutObjectOutput{
		ETag: quote(o.ETag), VersionID: o.Version, Size: &o.Size, ChecksumType: types.ChecksumType(o.Checksum.Type),
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
	}
}

// reading is what a GET or HEAD has been resolved to.
type reading struct {
	o          *catalog.Object
	offset     int64
	length     int64
	rangeText  *string // Content-Range
	partsCount *int32
	version    string // as shown; empty if the bucket never had versions
}

// whole reports whether the request is for the whole object, which is when its
// checksum is shown.
func (r *reading) whole() bool { return r.offset == 0 && r.length == r.o.Size }

// resolve applies conditions, range and part number to the object.
func resolve(o *catalog.Object, cond backend.PreConditions, rangeHeader *string, part *int32) (*reading, error) {
	// Clients know whole seconds. The front end compares strictly; one
	// nanosecond less makes "unmodified since" true for the object's own time.
	modified := o.Modified.Truncate(time.Second).Add(-1)
	if err := backend.EvaluatePreconditions(o.ETag, modified, cond); err != nil {
		return nil, err
	}
	r := &reading{o: o}
	if part != nil {
		return r, r.selectPart(*part)
	}
	start, n, partial, err := backend.ParseObjectRange(o.Size, value(rangeHeader))
	if err != nil {
		return nil, err
	}
	r.offset, r.length = start, n
	if partial {
		r.setRange()
	}
	return r, nil
}

func (r *reading) setRange() {
	s := fmt.Sprintf("bytes %d-%d/%d", r.offset, r.offset+r.length-1, r.o.Size)
	r.rangeText = &s
}

func (r *reading) selectPart(n int32) error {
	parts := r.o.Parts
	if len(parts) == 0 {
		if n > 1 {
			return s3err.GetInvalidPartNumberRangeErr(1, n)
		}
		if r.length = r.o.Size; r.length > 0 {
			r.setRange()
		}
		return nil
	}
	count := int32(len(parts))
	if n > count {
		return s3err.GetInvalidPartNumberRangeErr(count, n)
	}
	for _, p := range parts[:n-1] {
		r.offset += p.Size
	}
	r.length = parts[n-1].Size
	r.partsCount = &count
	if r.length > 0 {
		r.setRange()
	}
	return nil
}

func (r *reading) checksum(mode types.ChecksumMode) catalog.Checksum {
	if mode != types.ChecksumModeEnabled || !r.whole() {
		return catalog.Checksum{}
	}
	return r.o.Checksum
}

func (r *reading) tagCount() *int32 {
	n := int32(len(r.o.Tags))
	if n == 0 {
		return nil
	}
	return &n
}

// GetObject returns an object or a part of it.
func (d *door) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	out, err := d.getObject(ctx, in)
	return out, d.fault(ctx, "GetObject", value(in.Bucket), value(in.Key), err)
}

func (d *door) getObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	var r *reading
	var ps []piece
	d.pins.gate.RLock()
	err := d.cat.View(func(tx *catalog.Tx) error {
		o, err := findVersion(tx, value(in.Bucket), value(in.Key), value(in.VersionId))
		if err != nil {
			return err
		}
		r, err = resolve(o, backend.PreConditions{
			IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
			IfModSince: in.IfModifiedSince, IfUnmodeSince: in.IfUnmodifiedSince,
		}, in.Range, in.PartNumber)
		if err != nil {
			return err
		}
		r.version = versionHeader(tx, value(in.Bucket), o)
		ps, err = d.locate(tx, o.Extents, r.offset, r.length)
		return err
	})
	d.pins.gate.RUnlock()
	if err != nil {
		return markerOutput(err)
	}
	body, err := d.stream(ctx, ps, r.length)
	if err != nil {
		return nil, err
	}
	h, c := r.o.Headers, r.checksum(in.ChecksumMode)
	s, etag := show(c), quote(r.o.ETag)
	mode, until, hold := shownLock(r.o.Lock)
	return &s3.GetObjectOutput{
		Body: body, ContentLength: &r.length, ContentRange: r.rangeText, PartsCount: r.partsCount,
		AcceptRanges: backend.GetPtrFromString("bytes"), ETag: &etag, LastModified: &r.o.Modified,
		ContentType: &h.ContentType, ContentEncoding: &h.ContentEncoding, ContentDisposition: &h.ContentDisposition,
		ContentLanguage: &h.ContentLanguage, CacheControl: &h.CacheControl, ExpiresString: &h.Expires,
		WebsiteRedirectLocation: &h.WebsiteRedirect, Metadata: r.o.Metadata, TagCount: r.tagCount(),
		StorageClass: types.StorageClassStandard, VersionId: &r.version, ChecksumType: types.ChecksumType(c.Type),
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
		ObjectLockMode: mode, ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus: hold,
	}, nil
}

// HeadObject returns what GetObject would, without the body.
func (d *door) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	out, err := d.headObject(in)
	return out, d.fault(ctx, "HeadObject", value(in.Bucket), value(in.Key), err)
}

func (d *door) headObject(in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	var r *reading
	err := d.cat.View(func(tx *catalog.Tx) error {
		o, err := findVersion(tx, value(in.Bucket), value(in.Key), value(in.VersionId))
		if err != nil {
			return err
		}
		r, err = resolve(o, backend.PreConditions{
			IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
			IfModSince: in.IfModifiedSince, IfUnmodeSince: in.IfUnmodifiedSince,
		}, in.Range, in.PartNumber)
		if err == nil {
			r.version = versionHeader(tx, value(in.Bucket), o)
		}
		return err
	})
	if err != nil {
		m, err := markerOutput(err)
		if m == nil {
			return nil, err
		}
		return &s3.HeadObjectOutput{DeleteMarker: m.DeleteMarker, LastModified: m.LastModified}, err
	}
	h, c := r.o.Headers, r.checksum(in.ChecksumMode)
	s, etag := show(c), quote(r.o.ETag)
	mode, until, hold := shownLock(r.o.Lock)
	return &s3.HeadObjectOutput{
		ContentLength: &r.length, ContentRange: r.rangeText, PartsCount: r.partsCount,
		AcceptRanges: backend.GetPtrFromString("bytes"), ETag: &etag, LastModified: &r.o.Modified,
		ContentType: &h.ContentType, ContentEncoding: &h.ContentEncoding, ContentDisposition: &h.ContentDisposition,
		ContentLanguage: &h.ContentLanguage, CacheControl: &h.CacheControl, ExpiresString: &h.Expires,
		WebsiteRedirectLocation: &h.WebsiteRedirect, Metadata: r.o.Metadata, TagCount: r.tagCount(),
		StorageClass: types.StorageClassStandard, VersionId: &r.version, ChecksumType: types.ChecksumType(c.Type),
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
		ObjectLockMode: mode, ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus: hold,
	}, nil
}
