package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// source is the object a copy reads, fixed to one version.
type source struct {
	bucket, key, version string
	o                    *catalog.Object
}

// findSource finds what x-amz-copy-source names and checks the conditions.
func (d *door) findSource(header, expectedOwner string, cond backend.PreConditions) (*source, error) {
	bucket, key, version, err := backend.ParseCopySource(header)
	if err != nil {
		return nil, err
	}
	s := &source{bucket: bucket, key: key, version: version}
	return s, d.cat.View(func(tx *catalog.Tx) error { return s.find(tx, expectedOwner, cond) })
}

func (s *source) find(tx *catalog.Tx, expectedOwner string, cond backend.PreConditions) error {
	b, err := tx.Bucket(s.bucket)
	if errors.Is(err, catalog.ErrNoBucket) {
		return s3err.GetBucketErr(s3err.ErrNoSuchBucket, s.bucket)
	}
	if err != nil {
		return err
	}
	if expectedOwner != "" && owner(b) != expectedOwner {
		return s3err.GetAPIError(s3err.ErrAccessDenied)
	}
	if s.o, err = findVersion(tx, s.bucket, s.key, s.version); err != nil {
		return err
	}
	if s.o.Size > maxPut {
		return s3err.GetCopySourceObjectTooLargeErr(maxPut)
	}
	_, err = resolve(s.o, cond, nil, nil)
	return err
}

// again finds the source once more in a change and checks that it is still the
// version that was found first.
func (s *source) again(tx *catalog.Tx) error {
	o, err := findVersion(tx, s.bucket, s.key, s.version)
	if err != nil {
		return err
	}
	if !o.Modified.Equal(s.o.Modified) || o.ETag != s.o.ETag || o.Version != s.o.Version {
		return s3err.APIError{
			Code: "OperationAborted", HTTPStatusCode: 409,
			Description: "the source changed while it was being copied; try again",
		}
	}
	s.o = o
	return nil
}

// CopyObject makes an object of another's data. The data is shared, not copied.
func (d *door) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	out, err := d.copyObject(ctx, in)
	return out, d.fault(ctx, "CopyObject", value(in.Bucket), value(in.Key), err)
}

func (d *door) copyObject(ctx context.Context, in s3response.CopyObjectInput) (out s3response.CopyObjectOutput, err error) {
	bucket, key := value(in.Bucket), value(in.Key)
	if err := checkKey(key); err != nil {
		return out, err
	}
	src, err := d.findSource(value(in.CopySource), value(in.ExpectedSourceBucketOwner), backend.PreConditions{
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch,
		IfModSince: in.CopySourceIfModifiedSince, IfUnmodeSince: in.CopySourceIfUnmodifiedSince,
	})
	if err != nil {
		return out, err
	}
	given, err := copyInput(in)
	if err != nil {
		return out, err
	}
	replace := in.MetadataDirective == types.MetadataDirectiveReplace
	if src.bucket == bucket && src.key == key && src.version == "" && !replace &&
		in.TaggingDirective != types.TaggingDirectiveReplace && in.ChecksumAlgorithm == "" && given.Headers.WebsiteRedirect == "" {
		return out, s3err.GetAPIError(s3err.ErrInvalidCopyDest)
	}
	sum, err := d.copyChecksum(ctx, src, string(in.ChecksumAlgorithm))
	if err != nil {
		return out, err
	}
	var o *catalog.Object
	err = d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		if err := src.again(tx); err != nil {
			return err
		}
		if err := checkLockable(tx, bucket, given.Lock); err != nil {
			return err
		}
		o = copyOf(src.o, given, replace, in.TaggingDirective == types.TaggingDirectiveReplace)
		o.Checksum, o.Modified = sum, d.now().UTC()
		if err := tx.Retain(o.Extents); err != nil {
			return err
		}
		return putVersion(tx, b, bucket, key, o)
	})
	if err != nil {
		return out, err
	}
	return copyOutput(o, src), nil
}

// copyInput takes over what a copy says about the new object.
func copyInput(in s3response.CopyObjectInput) (*catalog.Object, error) {
	return newObject(s3response.PutObjectInput{
		ContentType: in.ContentType, ContentEncoding: in.ContentEncoding, ContentDisposition: in.ContentDisposition,
		ContentLanguage: in.ContentLanguage, CacheControl: in.CacheControl, Expires: in.Expires,
		WebsiteRedirectLocation: in.WebsiteRedirectLocation, Tagging: in.Tagging, Metadata: in.Metadata,
		ObjectLockMode: in.ObjectLockMode, ObjectLockRetainUntilDate: in.ObjectLockRetainUntilDate,
		ObjectLockLegalHoldStatus: in.ObjectLockLegalHoldStatus,
	})
}

// copyOf returns the object that a copy makes. A redirect is never copied, as
// S3 has it.
func copyOf(src, given *catalog.Object, replaceMeta, replaceTags bool) *catalog.Object {
	o := &catalog.Object{
		Size: src.Size, ETag: src.ETag, Headers: src.Headers, Metadata: src.Metadata, Tags: src.Tags,
		Extents: src.Extents, Parts: src.Parts, Lock: given.Lock,
	}
	if replaceMeta {
		o.Headers, o.Metadata = given.Headers, given.Metadata
	}
	o.Headers.WebsiteRedirect = given.Headers.WebsiteRedirect
	if replaceTags {
		o.Tags = given.Tags
	}
	return o
}

// copyChecksum returns the checksum of the copy: the source's, or a new one of
// the whole data if another algorithm is asked for.
func (d *door) copyChecksum(ctx context.Context, src *source, algorithm string) (catalog.Checksum, error) {
	if algorithm == "" || algorithm == src.o.Checksum.Algorithm && src.o.Checksum.Type != string(types.ChecksumTypeComposite) {
		return src.o.Checksum, nil
	}
	h, err := utils.NewHashReader(nil, "", hashType(algorithm))
	if err != nil {
		return catalog.Checksum{}, fmt.Errorf("begin %s checksum: %w", algorithm, err)
	}
	r, err := d.openSource(ctx, src, 0, src.o.Size)
	if err != nil {
		return catalog.Checksum{}, err
	}
	defer r.Close()
	h.SetReader(r)
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{h}); err != nil {
		return catalog.Checksum{}, fmt.Errorf("read copy source: %w", err)
	}
	return catalog.Checksum{Algorithm: algorithm, Type: string(types.ChecksumTypeFullObject), Value: h.Sum()}, nil
}

// openSource returns a reader of part of the source.
func (d *door) openSource(ctx context.Context, src *source, offset, length int64) (io.ReadCloser, error) {
	var ps []piece
	d.pins.gate.RLock()
	err := d.cat.View(func(tx *catalog.Tx) error {
		if err := src.again(tx); err != nil {
			return err
		}
		var err error
		ps, err = d.locate(tx, src.o.Extents, offset, length)
		return err
	})
	d.pins.gate.RUnlock()
	if err != nil {
		return nil, err
	}
	return d.stream(ctx, ps, length)
}

func copyOutput(o *catalog.Object, src *source) s3response.CopyObjectOutput {
	s, etag := show(o.Checksum), quote(o.ETag)
	out := s3response.CopyObjectOutput{
		CopyObjectResult: &s3response.CopyObjectResult{
			ETag: &etag, LastModified: &o.Modified, ChecksumType: types.ChecksumType(o.Checksum.Type),
			ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
			ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
		},
		VersionId: &o.Version,
	}
	if src.o.Version != "" {
		out.CopySourceVersionId = &src.o.Version
	}
	return out
}

// UploadPartCopy makes a part of another object's data. The data is read once
// for the part's checksums but shared, not stored again.
func (d *door) UploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (s3response.CopyPartResult, error) {
	out, err := d.uploadPartCopy(ctx, in)
	return out, d.fault(ctx, "UploadPartCopy", value(in.Bucket), value(in.Key), err)
}

func (d *door) uploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (out s3response.CopyPartResult, err error) {
	u, err := d.upload(value(in.Bucket), value(in.Key), value(in.UploadId))
	if err != nil {
		return out, err
	}
	src, err := d.findSource(value(in.CopySource), value(in.ExpectedSourceBucketOwner), backend.PreConditions{
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch,
		IfModSince: in.CopySourceIfModifiedSince, IfUnmodeSince: in.CopySourceIfUnmodifiedSince,
	})
	if err != nil {
		return out, err
	}
	offset, length, err := backend.ParseCopySourceRange(src.o.Size, value(in.CopySourceRange))
	if err != nil {
		return out, err
	}
	length = min(length, src.o.Size-offset)
	p, err := d.copiedPart(ctx, src, u, offset, length)
	if err != nil {
		return out, err
	}
	err = d.enterPart(in.Bucket, in.Key, in.UploadId, *in.PartNumber, p, func(tx *catalog.Tx) ([]catalog.Extent, error) {
		if err := src.again(tx); err != nil {
			return nil, err
		}
		x := cut(src.o.Extents, offset, length)
		return x, tx.Retain(x)
	})
	if err != nil {
		return out, err
	}
	s, etag := show(p.Checksum), quote(p.ETag)
	return s3response.CopyPartResult{
		ETag: &etag, LastModified: p.Modified, CopySourceVersionId: src.o.Version,
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
	}, nil
}

// copiedPart reads the source and returns the part with its checksums.
func (d *door) copiedPart(ctx context.Context, src *source, u *catalog.Upload, offset, length int64) (*catalog.Part, error) {
	r, err := d.openSource(ctx, src, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	algorithm := u.Checksum.Algorithm
	if algorithm == "" {
		algorithm = crc64
	}
	h, err := newSummer(r, algorithm, "")
	if err != nil {
		return nil, err
	}
	sum := md5.New()
	n, err := io.Copy(sum, struct{ io.Reader }{h})
	if err == nil && n != length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read copy source: %w", err)
	}
	p := &catalog.Part{Size: length, ETag: hex.EncodeToString(sum.Sum(nil))}
	if u.Checksum.Algorithm != "" {
		p.Checksum = catalog.Checksum{Algorithm: algorithm, Value: h.Sum()}
	} else {
		p.CRC64 = h.Sum()
	}
	return p, nil
}

// cut returns the extents of length bytes from offset.
func cut(extents []catalog.Extent, offset, length int64) []catalog.Extent {
	var out []catalog.Extent
	for _, x := range extents {
		if offset >= x.Length {
			offset -= x.Length
			continue
		}
		if length == 0 {
			break
		}
		n := min(length, x.Length-offset)
		out = append(out, catalog.Extent{Blob: x.Blob, Offset: x.Offset + offset, Length: n})
		length -= n
		offset = 0
	}
	return out
}

// GetObjectAttributes returns an object's metadata without its data.
func (d *door) GetObjectAttributes(ctx context.Context, in *s3.GetObjectAttributesInput) (out s3response.GetObjectAttributesResponse, err error) {
	var o *catalog.Object
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		o, err = findVersion(tx, value(in.Bucket), value(in.Key), value(in.VersionId))
		return err
	})
	if err != nil {
		if m, _ := markerOutput(err); m != nil {
			out.DeleteMarker = m.DeleteMarker
		}
		return out, d.fault(ctx, "GetObjectAttributes", value(in.Bucket), value(in.Key), err)
	}
	s := show(o.Checksum)
	out = s3response.GetObjectAttributesResponse{
		ETag: &o.ETag, ObjectSize: &o.Size, StorageClass: types.StorageClassStandard,
		LastModified: &o.Modified, VersionId: &o.Version,
		Checksum: &types.Checksum{
			ChecksumType:  types.ChecksumType(o.Checksum.Type),
			ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
			ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
		},
	}
	out.ObjectParts, err = attributeParts(o, in)
	return out, err
}

// attributeParts returns the page of parts of a multipart object.
func attributeParts(o *catalog.Object, in *s3.GetObjectAttributesInput) (*s3response.ObjectParts, error) {
	if len(o.Parts) == 0 {
		return nil, nil
	}
	after, err := utils.ParseMaxLimiter(value(in.PartNumberMarker), utils.LimiterTypePartNumberMarker)
	if value(in.PartNumberMarker) == "" {
		after, err = 0, nil
	}
	if err != nil {
		return nil, err
	}
	out := &s3response.ObjectParts{PartNumberMarker: int(after), MaxParts: limit(in.MaxParts)}
	for i := range o.Parts {
		p := &o.Parts[i]
		if p.Number <= after {
			continue
		}
		if len(out.Parts) == out.MaxParts {
			out.IsTruncated = true
			break
		}
		s := show(catalog.Checksum{Algorithm: o.Checksum.Algorithm, Value: p.Checksum})
		out.Parts = append(out.Parts, types.ObjectPart{
			PartNumber: &p.Number, Size: &p.Size,
			ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
			ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
		})
		out.NextPartNumberMarker = int(p.Number)
	}
	return out, nil
}
