package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// CompleteMultipartUpload makes the parts one object. No data moves.
func (d *door) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	bucket, key, id := value(in.Bucket), value(in.Key), value(in.UploadId)
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return s3response.CompleteMultipartUploadResult{}, "", s3err.GetAPIError(s3err.ErrMalformedXML)
	}
	var o *catalog.Object
	err := d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		u, err := upload(tx, bucket, key, id)
		if err != nil {
			o = completed(tx, in)
			if o != nil {
				return nil // asked again for what has been done
			}
			return err
		}
		c := completion{tx: tx, in: in, u: u}
		if o, err = c.assemble(); err != nil {
			return err
		}
		if err := checkPut(tx, bucket, key, in.IfMatch, in.IfNoneMatch); err != nil {
			return err
		}
		o.Modified = d.now().UTC()
		if err := tx.Retain(o.Extents); err != nil {
			return err
		}
		if err := putVersion(tx, b, bucket, key, o); err != nil {
			return err
		}
		return tx.DropUpload(bucket, key, id)
	})
	if err != nil {
		return s3response.CompleteMultipartUploadResult{}, "", d.fault(ctx, "CompleteMultipartUpload", bucket, key, err)
	}
	s, etag, kind := show(o.Checksum), quote(o.ETag), types.ChecksumType(o.Checksum.Type)
	return s3response.CompleteMultipartUploadResult{
		Bucket: &bucket, Key: &key, ETag: &etag, ChecksumType: &kind,
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
	}, o.Version, nil
}

// completed returns the object that this very completion has made before: a
// client that lost the answer repeats the call.
func completed(tx *catalog.Tx, in *s3.CompleteMultipartUploadInput) *catalog.Object {
	o, err := tx.Object(value(in.Bucket), value(in.Key))
	if err != nil || o.UploadID == "" || o.UploadID != value(in.UploadId) {
		return nil
	}
	etag, err := backend.ComputeMultipartETagFromPartETags(in.MultipartUpload.Parts)
	if err != nil || strings.Trim(etag, `"`) != o.ETag {
		return nil
	}
	return o
}

// completion checks the parts a client names and puts the object together.
type completion struct {
	tx *catalog.Tx
	in *s3.CompleteMultipartUploadInput
	u  *catalog.Upload

	algorithm string
	kind      types.ChecksumType
	full      string // full-object checksum so far
	composite *utils.CompositeChecksumReader
}

func (c *completion) assemble() (*catalog.Object, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	o := &catalog.Object{
		Headers: c.u.Headers, Metadata: c.u.Metadata, Tags: c.u.Tags, UploadID: value(c.in.UploadId),
		Lock: c.u.Lock,
	}
	parts := c.in.MultipartUpload.Parts
	last := int32(0)
	for i := range parts {
		p, err := c.part(&parts[i], last, i == len(parts)-1)
		if err != nil {
			return nil, err
		}
		if err := c.addChecksum(i, p, &parts[i]); err != nil {
			return nil, err
		}
		last = *parts[i].PartNumber
		o.Size += p.Size
		o.Extents = append(o.Extents, p.Extents...)
		o.Parts = append(o.Parts, catalog.ObjectPart{Number: last, Size: p.Size, Checksum: p.Checksum.Value})
	}
	if n := c.in.MpuObjectSize; n != nil && *n != o.Size {
		return nil, s3err.GetIncorrectMpObjectSizeErr(o.Size, *n)
	}
	etag, err := backend.ComputeMultipartETagFromPartETags(parts)
	if err != nil {
		return nil, err
	}
	o.ETag = strings.Trim(etag, `"`)
	o.Checksum, err = c.checksum(len(parts))
	return o, err
}

func (c *completion) begin() error {
	c.algorithm, c.kind = c.u.Checksum.Algorithm, types.ChecksumType(c.u.Checksum.Type)
	if want := c.in.ChecksumType; want != "" && want != c.kind {
		return s3err.GetChecksumTypeMismatchOnMpErr(types.ChecksumType(orNull(string(c.kind))))
	}
	if c.algorithm == "" {
		c.algorithm, c.kind = crc64, types.ChecksumTypeFullObject
	}
	if c.kind != types.ChecksumTypeComposite {
		return nil
	}
	var err error
	if c.composite, err = utils.NewCompositeChecksumReader(hashType(c.algorithm)); err != nil {
		return fmt.Errorf("begin composite %s checksum: %w", c.algorithm, err)
	}
	return nil
}

// part finds the part a client names and checks that it is the one meant.
func (c *completion) part(named *types.CompletedPart, last int32, final bool) (*catalog.Part, error) {
	if named.PartNumber == nil || named.ETag == nil {
		return nil, s3err.GetAPIError(s3err.ErrMalformedXML)
	}
	n := *named.PartNumber
	if n < 1 {
		return nil, s3err.GetInvalidArgumentErr(s3err.InvalidArgCompleteMpPartNumber, fmt.Sprint(n))
	}
	if n <= last {
		return nil, s3err.GetAPIError(s3err.ErrInvalidPartOrder)
	}
	id := value(c.in.UploadId)
	p, err := c.tx.Part(id, n)
	if errors.Is(err, catalog.ErrNoKey) {
		return nil, s3err.GetInvalidPartErr(id, n, value(named.ETag))
	}
	if err != nil {
		return nil, err
	}
	if !final && p.Size < minPart {
		return nil, s3err.GetEntityTooSmallErr(p.Size, minPart)
	}
	if !backend.AreEtagsSame(p.ETag, *named.ETag) {
		return nil, s3err.GetInvalidPartErr(id, n, *named.ETag)
	}
	return p, c.checkPart(p, named)
}

// checkPart compares the checksum a client names for a part with the part's.
func (c *completion) checkPart(p *catalog.Part, named *types.CompletedPart) error {
	id, n := value(c.in.UploadId), *named.PartNumber
	s := partSums(named)
	if s.count() > 1 {
		return s3err.GetInvalidArgumentErr(s3err.InvalidArgChecksumPart, fmt.Sprint(n))
	}
	algorithm, got := s.given()
	asked := c.u.Checksum.Algorithm
	if asked == "" {
		if got != "" {
			return s3err.GetInvalidPartErr(id, n, *named.ETag)
		}
		return nil
	}
	if got == "" {
		return s3err.APIError{
			Code: "InvalidRequest", HTTPStatusCode: http.StatusBadRequest,
			Description: fmt.Sprintf("the upload was created with a %s checksum, so the request must name one for each part; part %d has none", strings.ToLower(asked), n),
		}
	}
	if !utils.IsValidChecksum(got, types.ChecksumAlgorithm(algorithm)) {
		return s3err.GetInvalidArgumentErr(s3err.InvalidArgChecksumPart, got)
	}
	if algorithm != asked {
		return s3err.APIError{
			Code: "BadDigest", HTTPStatusCode: http.StatusBadRequest,
			Description: fmt.Sprintf("the %s named for part %d is not what was received", strings.ToLower(algorithm), n),
		}
	}
	if got != p.Checksum.Value {
		return s3err.GetInvalidPartErr(id, n, *named.ETag)
	}
	return nil
}

func partSums(p *types.CompletedPart) sums {
	return sums{p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumSHA1, p.ChecksumSHA256, p.ChecksumCRC64NVME,
		p.ChecksumSHA512, p.ChecksumMD5, p.ChecksumXXHASH64, p.ChecksumXXHASH3, p.ChecksumXXHASH128}
}

func (c *completion) addChecksum(i int, p *catalog.Part, named *types.CompletedPart) error {
	sum := p.Checksum.Value
	if c.u.Checksum.Algorithm == "" {
		sum = p.CRC64
	}
	var err error
	switch {
	case c.composite != nil:
		err = c.composite.Process(sum)
	case i == 0:
		c.full = sum
	default:
		c.full, err = utils.AddCRCChecksum(types.ChecksumAlgorithm(c.algorithm), c.full, sum, p.Size)
	}
	if err != nil {
		return fmt.Errorf("add checksum of part %d: %w", *named.PartNumber, err)
	}
	return nil
}

// checksum returns the object's checksum, compared with what the client says it
// must be.
func (c *completion) checksum(parts int) (catalog.Checksum, error) {
	out := catalog.Checksum{Algorithm: c.algorithm, Type: string(c.kind), Value: c.full}
	if c.composite != nil {
		out.Value = fmt.Sprintf("%s-%d", c.composite.Sum(), parts)
	}
	in := c.in
	want := sums{
		in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumSHA1, in.ChecksumSHA256, in.ChecksumCRC64NVME,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128,
	}.get(c.algorithm)
	if want == "" || c.u.Checksum.Algorithm == "" {
		return out, nil
	}
	if c.composite != nil && !strings.Contains(want, "-") {
		want = fmt.Sprintf("%s-%d", want, parts)
	}
	if want != out.Value {
		return out, s3err.GetChecksumBadDigestErr(types.ChecksumAlgorithm(c.algorithm))
	}
	return out, nil
}
