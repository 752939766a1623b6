package s3

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

const maxKeys = 1000

func limit(n *int32) int {
	if n == nil || *n > maxKeys {
		return maxKeys
	}
	return max(int(*n), 0)
}

// encoding is how keys are written in a listing: as they are, or so that any
// key fits into XML, if the client asks for that.
type encoding bool

func encodingOf(ctx context.Context) encoding {
	on, _ := ctx.Value(encodingKey{}).(bool)
	return encoding(on)
}

func (e encoding) kind() types.EncodingType {
	if e {
		return types.EncodingTypeUrl
	}
	return ""
}

func (e encoding) text(s string) *string {
	if e {
		s = strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%2F", "/")
	}
	return &s
}

// option is text for a field that is left out when empty.
func (e encoding) option(s *string) *string {
	if value(s) == "" {
		return nil
	}
	return e.text(*s)
}

// token is where a listing goes on: after a key, or past all keys that begin
// with a common prefix.
func token(e catalog.Entry) string {
	if e.Prefix != "" {
		return base64.RawURLEncoding.EncodeToString([]byte("p" + e.Prefix))
	}
	return base64.RawURLEncoding.EncodeToString([]byte("k" + e.Key))
}

func applyToken(q *catalog.Query, t string) error {
	b, err := base64.RawURLEncoding.DecodeString(t)
	if err != nil || len(b) < 2 || b[0] != 'k' && b[0] != 'p' {
		return s3err.APIError{
			Code: "InvalidArgument", Description: "The continuation token provided is incorrect", HTTPStatusCode: 400,
		}
	}
	if b[0] == 'p' {
		q.Past = string(b[1:])
	} else {
		q.After = string(b[1:])
	}
	return nil
}

// rollsUp makes a marker that is itself a common prefix, as the last entry of a
// page can be, stand for all keys below it.
func rollsUp(q *catalog.Query) {
	rest, ok := strings.CutPrefix(q.After, q.Prefix)
	if q.Delimiter == "" || !ok {
		return
	}
	if i := strings.Index(rest, q.Delimiter); i >= 0 && i+len(q.Delimiter) == len(rest) {
		q.Past = q.After
	}
}

func (d *door) list(bucket string, q catalog.Query) (page catalog.Page, owner string, err error) {
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		if owner, err = ownerOf(tx, bucket); err != nil || q.Limit == 0 {
			return err
		}
		page, err = tx.List(bucket, q)
		return err
	})
	return page, owner, err
}

// ListObjects lists objects, first version of the call.
func (d *door) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	q := catalog.Query{
		Prefix: value(in.Prefix), Delimiter: value(in.Delimiter), After: value(in.Marker), Limit: limit(in.MaxKeys),
	}
	rollsUp(&q)
	page, owner, err := d.list(value(in.Bucket), q)
	if err != nil {
		return s3response.ListObjectsResult{}, d.fault(ctx, "ListObjects", value(in.Bucket), q.Prefix, err)
	}
	enc := encodingOf(ctx)
	n := int32(q.Limit)
	out := s3response.ListObjectsResult{
		Name: in.Bucket, Prefix: enc.text(q.Prefix), Delimiter: enc.option(in.Delimiter), Marker: enc.text(q.After),
		MaxKeys: &n, IsTruncated: &page.Truncated, EncodingType: enc.kind(),
	}
	out.Contents, out.CommonPrefixes = lines(page, enc, &owner)
	if page.Truncated {
		last := page.Entries[len(page.Entries)-1]
		out.NextMarker = enc.text(last.Key + last.Prefix)
	}
	return out, nil
}

// ListObjectsV2 lists objects, second version of the call.
func (d *door) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input) (s3response.ListObjectsV2Result, error) {
	q := catalog.Query{Prefix: value(in.Prefix), Delimiter: value(in.Delimiter), Limit: limit(in.MaxKeys)}
	if t := value(in.ContinuationToken); t != "" {
		if err := applyToken(&q, t); err != nil {
			return s3response.ListObjectsV2Result{}, err
		}
	} else {
		q.After = value(in.StartAfter)
		rollsUp(&q)
	}
	page, owner, err := d.list(value(in.Bucket), q)
	if err != nil {
		return s3response.ListObjectsV2Result{}, d.fault(ctx, "ListObjectsV2", value(in.Bucket), q.Prefix, err)
	}
	enc := encodingOf(ctx)
	n, count := int32(q.Limit), int32(len(page.Entries))
	out := s3response.ListObjectsV2Result{
		Name: in.Bucket, Prefix: enc.text(q.Prefix), Delimiter: enc.option(in.Delimiter),
		StartAfter: enc.option(in.StartAfter), MaxKeys: &n, KeyCount: &count,
		IsTruncated: &page.Truncated, EncodingType: enc.kind(),
	}
	if value(in.ContinuationToken) != "" {
		out.ContinuationToken = in.ContinuationToken
	}
	shown := &owner
	if in.FetchOwner == nil || !*in.FetchOwner {
		shown = nil
	}
	out.Contents, out.CommonPrefixes = lines(page, enc, shown)
	if page.Truncated {
		t := token(page.Entries[len(page.Entries)-1])
		out.NextContinuationToken = &t
	}
	return out, nil
}

func lines(page catalog.Page, enc encoding, owner *string) (objects []s3response.Object, prefixes []types.CommonPrefix) {
	for _, e := range page.Entries {
		if e.Prefix != "" {
			prefixes = append(prefixes, types.CommonPrefix{Prefix: enc.text(e.Prefix)})
			continue
		}
		etag := quote(e.Object.ETag)
		o := s3response.Object{
			Key: enc.text(e.Key), ETag: &etag, Size: &e.Object.Size, LastModified: &e.Object.Modified,
			StorageClass: types.ObjectStorageClassStandard, ChecksumType: types.ChecksumType(e.Object.Checksum.Type),
		}
		if a := e.Object.Checksum.Algorithm; a != "" {
			o.ChecksumAlgorithm = []types.ChecksumAlgorithm{types.ChecksumAlgorithm(a)}
		}
		if owner != nil {
			o.Owner = &types.Owner{ID: owner}
		}
		objects = append(objects, o)
	}
	return objects, prefixes
}
