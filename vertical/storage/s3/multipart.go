package s3

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// minPart is the least size of all parts but the last.
const minPart int64 = 5 << 20

// CreateMultipartUpload begins an upload in parts.
func (d *door) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (out s3response.InitiateMultipartUploadResult, err error) {
	bucket, key := value(in.Bucket), value(in.Key)
	o, err := newObject(s3response.PutObjectInput{
		ContentType: in.ContentType, ContentEncoding: in.ContentEncoding, ContentDisposition: in.ContentDisposition,
		ContentLanguage: in.ContentLanguage, CacheControl: in.CacheControl, Expires: in.Expires,
		WebsiteRedirectLocation: in.WebsiteRedirectLocation, Tagging: in.Tagging, Metadata: in.Metadata,
		ObjectLockMode: in.ObjectLockMode, ObjectLockRetainUntilDate: in.ObjectLockRetainUntilDate,
		ObjectLockLegalHoldStatus: in.ObjectLockLegalHoldStatus,
	})
	if err != nil {
		return out, err
	}
	if err := checkKey(key); err != nil {
		return out, err
	}
	u := &catalog.Upload{
		Key: key, Initiated: d.now().UTC(), Headers: o.Headers, Metadata: o.Metadata, Tags: o.Tags,
		Checksum: catalog.Checksum{Algorithm: string(in.ChecksumAlgorithm), Type: string(in.ChecksumType)},
		Lock:     o.Lock,
	}
	id := newID()
	err = d.update(func(tx *catalog.Tx) error {
		if err := checkLockable(tx, bucket, u.Lock); err != nil {
			return err
		}
		return tx.CreateUpload(bucket, id, u)
	})
	if err != nil {
		return out, d.fault(ctx, "CreateMultipartUpload", bucket, key, err)
	}
	return s3response.InitiateMultipartUploadResult{Bucket: bucket, Key: key, UploadId: id}, nil
}

// upload returns an upload, or the S3 error if there is none.
func upload(tx *catalog.Tx, bucket, key, id string) (*catalog.Upload, error) {
	u, err := tx.Upload(bucket, key, id)
	if errors.Is(err, catalog.ErrNoUpload) {
		return nil, s3err.GetNoSuchUploadErr(id)
	}
	return u, err
}

func (d *door) upload(bucket, key, id string) (u *catalog.Upload, err error) {
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		u, err = upload(tx, bucket, key, id)
		return err
	})
	return u, err
}

// UploadPart stores one part.
func (d *door) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	out, err := d.uploadPart(ctx, in)
	return out, d.fault(ctx, "UploadPart", value(in.Bucket), value(in.Key), err)
}

func (d *door) uploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	u, err := d.upload(value(in.Bucket), value(in.Key), value(in.UploadId))
	if err != nil {
		return nil, err
	}
	body, size, done, err := d.measured(in.Body, in.ContentLength)
	if err != nil {
		return nil, err
	}
	defer done()
	algorithm, want := sums{
		in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumSHA1, in.ChecksumSHA256, in.ChecksumCRC64NVME,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128,
	}.given()
	asked := u.Checksum.Algorithm
	dig, shown, err := partDigest(body, u, algorithm, want)
	if err != nil {
		return nil, err
	}
	defer dig.stop()
	st, err := d.ingest(ctx, dig, size)
	if err != nil {
		return nil, err
	}
	defer st.drop()
	p := &catalog.Part{Size: size, ETag: dig.etag()}
	sum := catalog.Checksum{Algorithm: dig.algorithm, Value: dig.value()}
	if asked != "" {
		p.Checksum = sum
	} else {
		p.CRC64 = dig.crc64()
	}
	if err := d.enterPart(in.Bucket, in.Key, in.UploadId, *in.PartNumber, p, st.add); err != nil {
		return nil, err
	}
	st.settle()
	if !shown {
		sum = catalog.Checksum{}
	}
	s, etag := show(sum), quote(p.ETag)
	return &s3.UploadPartOutput{
		ETag: &etag, ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3],
		ChecksumCRC64NVME: s[4], ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7],
		ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
	}, nil
}

// partDigest prepares a part's checksums: the one the upload asked for, or else
// the one the client sent with the part, and then CRC64NVME beside it, from
// which the object's checksum is put together. shown says whether the client
// gets to see the checksum.
func partDigest(body interface{ Read([]byte) (int, error) }, u *catalog.Upload, algorithm, want string) (dig *digest, shown bool, err error) {
	asked := u.Checksum.Algorithm
	use := algorithm
	switch {
	case use == "" && asked != "":
		use = asked
	case use == "":
		use = crc64
	}
	dig, err = newDigest(body, use, want, asked == "")
	if err != nil {
		return nil, false, err
	}
	sent := algorithm != "" || dig.trailer != nil
	if !sent && u.Checksum.Type == string(types.ChecksumTypeComposite) {
		return nil, false, s3err.GetChecksumTypeMismatchErr(types.ChecksumAlgorithm(asked), "null")
	}
	if asked != "" && dig.algorithm != asked {
		return nil, false, s3err.GetChecksumTypeMismatchErr(types.ChecksumAlgorithm(asked), types.ChecksumAlgorithm(dig.algorithm))
	}
	return dig, sent || asked != "", nil
}

// enterPart makes the part, with the extents that add returns, part of the
// upload.
func (d *door) enterPart(bucket, key, id *string, n int32, p *catalog.Part, add func(*catalog.Tx) ([]catalog.Extent, error)) error {
	return d.update(func(tx *catalog.Tx) error {
		if _, err := upload(tx, value(bucket), value(key), value(id)); err != nil {
			return err
		}
		var err error
		if p.Extents, err = add(tx); err != nil {
			return err
		}
		p.Modified = d.now().UTC()
		return tx.SetPart(value(id), n, p)
	})
}

// AbortMultipartUpload gives an upload up.
func (d *door) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput) error {
	bucket, key, id := value(in.Bucket), value(in.Key), value(in.UploadId)
	err := d.update(func(tx *catalog.Tx) error {
		u, err := upload(tx, bucket, key, id)
		if err != nil {
			return err
		}
		if t := in.IfMatchInitiatedTime; t != nil && t.Unix() != u.Initiated.Unix() {
			return s3err.GetPreconditionFailedErr(s3err.ConditionIfMatchInitiatedTime)
		}
		return tx.DropUpload(bucket, key, id)
	})
	return d.fault(ctx, "AbortMultipartUpload", bucket, key, err)
}

// ListParts lists the parts of an upload.
func (d *door) ListParts(ctx context.Context, in *s3.ListPartsInput) (out s3response.ListPartsResult, err error) {
	bucket, key, id := value(in.Bucket), value(in.Key), value(in.UploadId)
	after := 0
	if m := value(in.PartNumberMarker); m != "" {
		if after, err = strconv.Atoi(m); err != nil || after < 0 || after > maxParts {
			return out, s3err.GetInvalidArgMaxLimiter("part-number-marker", m)
		}
	}
	most := limit(in.MaxParts)
	out = s3response.ListPartsResult{
		Bucket: bucket, Key: key, UploadID: id, PartNumberMarker: after, MaxParts: most,
		StorageClass: types.StorageClassStandard,
	}
	err = d.cat.View(func(tx *catalog.Tx) error {
		u, err := upload(tx, bucket, key, id)
		if err != nil {
			return err
		}
		out.ChecksumAlgorithm = types.ChecksumAlgorithm(orNull(u.Checksum.Algorithm))
		out.ChecksumType = types.ChecksumType(orNull(u.Checksum.Type))
		who, err := ownerOf(tx, bucket)
		if err != nil {
			return err
		}
		out.Owner.ID, out.Initiator.ID = who, who
		return tx.Parts(id, int32(after), func(n int32, p *catalog.Part) bool {
			if len(out.Parts) == most {
				out.IsTruncated = true
				return false
			}
			out.Parts = append(out.Parts, partLine(n, p))
			out.NextPartNumberMarker = int(n)
			return true
		})
	})
	if err != nil {
		return s3response.ListPartsResult{}, d.fault(ctx, "ListParts", bucket, key, err)
	}
	return out, nil
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

func partLine(n int32, p *catalog.Part) s3response.Part {
	s := show(p.Checksum)
	return s3response.Part{
		PartNumber: int(n), LastModified: p.Modified, ETag: quote(p.ETag), Size: p.Size,
		ChecksumCRC32: s[0], ChecksumCRC32C: s[1], ChecksumSHA1: s[2], ChecksumSHA256: s[3], ChecksumCRC64NVME: s[4],
		ChecksumSHA512: s[5], ChecksumMD5: s[6], ChecksumXXHASH64: s[7], ChecksumXXHASH3: s[8], ChecksumXXHASH128: s[9],
	}
}

// ListMultipartUploads lists the uploads in progress, by key and then by age.
func (d *door) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput) (out s3response.ListMultipartUploadsResult, err error) {
	bucket := value(in.Bucket)
	l := uploadLister{
		q:     catalog.Query{Prefix: value(in.Prefix), Delimiter: value(in.Delimiter), After: value(in.KeyMarker), Limit: limit(in.MaxUploads)},
		after: value(in.UploadIdMarker), enc: encodingOf(ctx),
	}
	if l.after != "" && l.q.After != "" && !validVersion(l.after) {
		return out, s3err.GetInvalidArgumentErr(s3err.InvalidArgUploadIdMarker, l.after)
	}
	rollsUp(&l.q)
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		if l.owner, err = ownerOf(tx, bucket); err != nil {
			return err
		}
		return tx.Uploads(bucket, l.add)
	})
	if err != nil {
		return out, d.fault(ctx, "ListMultipartUploads", bucket, "", err)
	}
	out = l.out
	out.Bucket, out.MaxUploads, out.EncodingType = bucket, l.q.Limit, string(l.enc.kind())
	out.KeyMarker, out.UploadIDMarker = *l.enc.text(value(in.KeyMarker)), l.after
	out.Prefix, out.Delimiter = *l.enc.text(l.q.Prefix), *l.enc.text(l.q.Delimiter)
	if out.IsTruncated {
		out.NextKeyMarker, out.NextUploadIDMarker = *l.enc.text(l.lastKey), l.lastID
	}
	return out, nil
}

// expireLoop aborts uploads that nobody has completed for long.
func (d *door) expireLoop() {
	every := time.NewTicker(max(min(d.cfg.UploadExpiry/4, time.Hour), time.Second))
	defer every.Stop()
	for {
		select {
		case <-d.base.Done():
			return
		case <-every.C:
			if err := d.expire(d.now().Add(-d.cfg.UploadExpiry)); err != nil {
				d.log.Error("abandoned uploads are not aborted", "err", err)
			}
		}
	}
}

// expire aborts all uploads begun before limit.
func (d *door) expire(limit time.Time) error {
	type upload struct{ bucket, key, id string }
	var old []upload
	err := d.cat.View(func(tx *catalog.Tx) (err error) {
		berr := tx.Buckets("", func(bucket string, _ *catalog.Bucket) bool {
			err = tx.Uploads(bucket, func(id string, u *catalog.Upload) (bool, error) {
				if u.Initiated.Before(limit) {
					old = append(old, upload{bucket, u.Key, id})
				}
				return true, nil
			})
			return err == nil
		})
		return errors.Join(err, berr)
	})
	if err != nil {
		return err
	}
	for _, u := range old {
		err := d.update(func(tx *catalog.Tx) error {
			if _, err := tx.Upload(u.bucket, u.key, u.id); err != nil {
				return nil // completed or aborted meanwhile
			}
			return tx.DropUpload(u.bucket, u.key, u.id)
		})
		if err != nil {
			return err
		}
		d.log.Info("abandoned upload aborted", "bucket", u.bucket, "key", u.key, "upload", u.id)
	}
	return nil
}
