package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/grange-network/grange/vertical/storage/s3"
)

func TestObjectsOfAllSizes(t *testing.T) {
	f := begin(t)
	sizes := []int{0, 1, s3.InlineLimit, s3.InlineLimit + 1, 100_000, s3.SmallLimit - 1, s3.SmallLimit, s3.SmallLimit + 1, 9 << 20}
	if !testing.Short() {
		sizes = append(sizes, int(s3.MaxSegment), int(s3.MaxSegment)+1, 2*int(s3.MaxSegment)+12345)
	}
	check := func(n int) {
		data := noise(uint64(n), n)
		key := name("size/%d", n)
		f.same(key, data)
		head, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
		f.must(err)
		sum := md5.Sum(data)
		if want := `"` + hex.EncodeToString(sum[:]) + `"`; *head.ETag != want || *head.ContentLength != int64(n) {
			t.Fatalf("%s: head says etag %s and %d bytes, want %s and %d", key, *head.ETag, *head.ContentLength, want, n)
		}
		for _, r := range [][2]int{{0, 0}, {0, 10}, {n / 2, n/2 + 70_000}, {n - 1, n - 1}, {n - 5, n + 5}, {int(s3.MaxSegment) - 3, int(s3.MaxSegment) + 3}} {
			from, to := r[0], min(r[1], n-1)
			if from < 0 || from >= n {
				continue
			}
			got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key, Range: aws.String(name("bytes=%d-%d", r[0], r[1]))})
			f.must(err)
			if !bytes.Equal(got, data[from:to+1]) {
				t.Fatalf("%s: range %d-%d differs", key, r[0], r[1])
			}
		}
	}
	for _, n := range sizes {
		f.put(name("size/%d", n), noise(uint64(n), n))
		check(n)
	}
	f.must(f.door.Pack())
	u, err := f.door.Usage()
	f.must(err)
	if u.JournaledBlobs != 0 || u.Packs == 0 {
		t.Fatalf("after packing: %+v", u)
	}
	for _, n := range sizes {
		check(n)
	}
	f.settled()
	for _, n := range sizes {
		f.remove(name("size/%d", n))
	}
	f.settled()
	if u, err := f.door.Usage(); err != nil || u.Segments+u.Packs+u.Blobs != 0 {
		t.Fatalf("after deleting everything: %+v, err %v", u, err)
	}
}

func TestRangeRefused(t *testing.T) {
	f := begin(t)
	f.put("k", []byte("0123456789"))
	_, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: aws.String("bytes=10-")})
	f.refused(err, "InvalidRange", 416)
	got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: aws.String("bytes=-3")})
	f.must(err)
	if string(got) != "789" {
		t.Fatalf("suffix range: %q", got)
	}
}

func TestHeadersMetadataAndTags(t *testing.T) {
	f := begin(t)
	_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"),
		ContentType: aws.String("text/x-test"), ContentEncoding: aws.String("identity"), ContentLanguage: aws.String("sv"),
		ContentDisposition: aws.String(`attachment; filename="a b"`), CacheControl: aws.String("max-age=7"),
		Expires:  aws.Time(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)),
		Metadata: map[string]string{"colour": "grey", "empty": ""},
		Tagging:  aws.String("a=1&b=two"),
	})
	f.must(err)
	h, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	for what, pair := range map[string][2]string{
		"type":        {aws.ToString(h.ContentType), "text/x-test"},
		"encoding":    {aws.ToString(h.ContentEncoding), "identity"},
		"language":    {aws.ToString(h.ContentLanguage), "sv"},
		"disposition": {aws.ToString(h.ContentDisposition), `attachment; filename="a b"`},
		"cache":       {aws.ToString(h.CacheControl), "max-age=7"},
		"expires":     {aws.ToString(h.ExpiresString), "Wed, 02 Jan 2030 03:04:05 GMT"},
		"metadata":    {h.Metadata["colour"], "grey"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	g, err := f.GetObject(f.ctx(), &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	_ = g.Body.Close()
	if aws.ToInt32(g.TagCount) != 2 {
		t.Errorf("tag count %d", aws.ToInt32(g.TagCount))
	}
	_, err = f.PutObjectTagging(f.ctx(), &sdk.PutObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k"),
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("c"), Value: aws.String("3")}}}})
	f.must(err)
	tags, err := f.GetObjectTagging(f.ctx(), &sdk.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	if len(tags.TagSet) != 1 || *tags.TagSet[0].Key != "c" {
		t.Errorf("tags %v", tags.TagSet)
	}
	_, err = f.DeleteObjectTagging(f.ctx(), &sdk.DeleteObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	_, err = f.GetObjectTagging(f.ctx(), &sdk.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("no")})
	f.refused(err, "NoSuchKey", 404)
}

func TestMissing(t *testing.T) {
	f := begin(t)
	_, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("no")})
	f.refused(err, "NoSuchKey", 404)
	_, err = f.read(&sdk.GetObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("no")})
	f.refused(err, "NoSuchBucket", 404)
	_, err = f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("k"), Body: strings.NewReader("x")})
	f.refused(err, "NoSuchBucket", 404)
	_, err = f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("no")})
	f.must(err)
	_, err = f.CreateBucket(f.ctx(), &sdk.CreateBucketInput{Bucket: aws.String(bucket)})
	f.refused(err, "BucketAlreadyOwnedByYou", 409)
	f.put("k", []byte("x"))
	_, err = f.DeleteBucket(f.ctx(), &sdk.DeleteBucketInput{Bucket: aws.String(bucket)})
	f.refused(err, "BucketNotEmpty", 409)
	f.remove("k")
	_, err = f.DeleteBucket(f.ctx(), &sdk.DeleteBucketInput{Bucket: aws.String(bucket)})
	f.must(err)
	_, err = f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(strings.Repeat("k", 1025)), Body: strings.NewReader("x")})
	if err == nil {
		t.Fatal("a key of 1025 bytes was taken")
	}
}

func TestConditionalReads(t *testing.T) {
	f := begin(t)
	etag := f.put("k", []byte("x")).ETag
	h, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	at, other := h.LastModified, aws.String(`"00000000000000000000000000000000"`)
	before, after := aws.Time(at.Add(-time.Hour)), aws.Time(at.Add(-0))
	for _, c := range []struct {
		name   string
		in     sdk.GetObjectInput
		status int
	}{
		{"if-match same", sdk.GetObjectInput{IfMatch: etag}, 200},
		{"if-match other", sdk.GetObjectInput{IfMatch: other}, 412},
		{"if-none-match same", sdk.GetObjectInput{IfNoneMatch: etag}, 304},
		{"if-none-match other", sdk.GetObjectInput{IfNoneMatch: other}, 200},
		{"modified since before", sdk.GetObjectInput{IfModifiedSince: before}, 200},
		{"modified since the same second", sdk.GetObjectInput{IfModifiedSince: at}, 304},
		{"unmodified since the same second", sdk.GetObjectInput{IfUnmodifiedSince: after}, 200},
		{"unmodified since before", sdk.GetObjectInput{IfUnmodifiedSince: before}, 412},
	} {
		in := c.in
		in.Bucket, in.Key = aws.String(bucket), aws.String("k")
		status := 200
		if _, err := f.read(&in); err != nil {
			_, status = code(err)
		}
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	f := begin(t)
	put := func(data string, edit func(*sdk.PutObjectInput)) (*sdk.PutObjectOutput, error) {
		in := &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(data)}
		edit(in)
		return f.PutObject(f.ctx(), in)
	}
	_, err := put("0", func(in *sdk.PutObjectInput) { in.IfMatch = aws.String(`"x"`) })
	f.refused(err, "NoSuchKey", 404)
	first, err := put("1", func(in *sdk.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	f.must(err)
	_, err = put("2", func(in *sdk.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	f.refused(err, "PreconditionFailed", 412)
	_, err = put("3", func(in *sdk.PutObjectInput) { in.IfMatch = first.ETag })
	f.must(err)
	_, err = put("4", func(in *sdk.PutObjectInput) { in.IfMatch = first.ETag })
	f.refused(err, "PreconditionFailed", 412)
	f.same("k", []byte("3"))
	f.settled()
}

// Of many writers that all demand to be the first exactly one may win.
func TestConditionalWritesRace(t *testing.T) {
	f := begin(t)
	for round := range 5 {
		key := name("race/%d", round)
		const writers = 16
		errs := make(chan error, writers)
		for i := range writers {
			go func() {
				_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
					Bucket: aws.String(bucket), Key: &key, IfNoneMatch: aws.String("*"),
					Body: bytes.NewReader(noise(uint64(i), 10_000*(i%3)+100)),
				})
				errs <- err
			}()
		}
		won := 0
		for range writers {
			err := <-errs
			if err == nil {
				won++
				continue
			}
			f.refused(err, "PreconditionFailed", 412)
		}
		if won != 1 {
			t.Fatalf("round %d: %d writers won", round, won)
		}
	}
	f.settled()
}

func TestDeleteMany(t *testing.T) {
	f := begin(t)
	var ids []types.ObjectIdentifier
	for i := range 20 {
		key := name("d/%02d", i)
		f.put(key, noise(uint64(i), 100*i))
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	ids = append(ids, types.ObjectIdentifier{Key: aws.String("not-there")})
	out, err := f.DeleteObjects(f.ctx(), &sdk.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: ids}})
	f.must(err)
	if len(out.Deleted) != 21 || len(out.Errors) != 0 {
		t.Fatalf("deleted %d, errors %v", len(out.Deleted), out.Errors)
	}
	f.settled()
}

func TestCopy(t *testing.T) {
	f := begin(t)
	f.makeBucket("other")
	for _, n := range []int{0, 100, 50_000, 3 << 20} {
		data := noise(uint64(n), n)
		src, dst := name("src/%d", n), name("dst/%d", n)
		_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
			Bucket: aws.String(bucket), Key: &src, Body: bytes.NewReader(data), ContentType: aws.String("text/a"),
			Metadata: map[string]string{"m": "1"}, Tagging: aws.String("t=1"),
		})
		f.must(err)
		before, err := f.door.Usage()
		f.must(err)
		_, err = f.CopyObject(f.ctx(), &sdk.CopyObjectInput{Bucket: aws.String("other"), Key: &dst, CopySource: aws.String(bucket + "/" + src)})
		f.must(err)
		after, err := f.door.Usage()
		f.must(err)
		if after.Blobs != before.Blobs || after.Segments != before.Segments {
			t.Fatalf("copy of %d bytes moved data: %+v then %+v", n, before, after)
		}
		f.remove(src)
		got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String("other"), Key: &dst})
		f.must(err)
		if !bytes.Equal(got, data) {
			t.Fatalf("copy of %d bytes differs", n)
		}
		h, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String("other"), Key: &dst})
		f.must(err)
		if *h.ContentType != "text/a" || h.Metadata["m"] != "1" || aws.ToInt32(h.TagCount) != 1 {
			t.Fatalf("copy of %d bytes lost its metadata: %+v", n, h)
		}
	}
	f.put("self", []byte("self"))
	_, err := f.CopyObject(f.ctx(), &sdk.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("self"), CopySource: aws.String(bucket + "/self")})
	f.refused(err, "InvalidRequest", 400)
	out, err := f.CopyObject(f.ctx(), &sdk.CopyObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("self"), CopySource: aws.String(bucket + "/self"),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"new": "yes"},
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	f.must(err)
	if aws.ToString(out.CopyObjectResult.ChecksumSHA256) == "" {
		t.Error("no SHA-256 of the copy")
	}
	f.same("self", []byte("self"))
	f.settled()
}

func TestPresigned(t *testing.T) {
	f := begin(t)
	p := sdk.NewPresignClient(f.Client)
	data := noise(1, 20_000)
	put, err := p.PresignPutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("pre signed/å")})
	f.must(err)
	if status, body := f.send(http.MethodPut, put.URL, data); status != 200 {
		t.Fatalf("presigned put: %d %s", status, body)
	}
	get, err := p.PresignGetObject(f.ctx(), &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("pre signed/å")})
	f.must(err)
	status, body := f.send(http.MethodGet, get.URL, nil)
	if status != 200 || !bytes.Equal(body, data) {
		t.Fatalf("presigned get: %d, %d bytes", status, len(body))
	}
	if status, body := f.send(http.MethodGet, strings.Replace(get.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1), nil); status != 403 {
		t.Fatalf("forged signature: %d %s", status, body)
	}
	late, err := p.PresignGetObject(f.ctx(), &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("pre signed/å")},
		sdk.WithPresignExpires(time.Second))
	f.must(err)
	time.Sleep(2100 * time.Millisecond)
	if status, _ := f.send(http.MethodGet, late.URL, nil); status != 403 {
		t.Fatalf("expired url: %d", status)
	}
}

func (f *fixture) send(method, url string, data []byte) (int, []byte) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.ctx(), method, url, bytes.NewReader(data))
	f.must(err)
	res, err := f.http.Do(req)
	f.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	f.must(err)
	return res.StatusCode, body
}

func TestWrongKeys(t *testing.T) {
	f := begin(t)
	_, err := f.client(access, "wrong").ListBuckets(f.ctx(), &sdk.ListBucketsInput{})
	f.refused(err, "SignatureDoesNotMatch", 403)
	_, err = f.client("nobody", secret).ListBuckets(f.ctx(), &sdk.ListBucketsInput{})
	f.refused(err, "InvalidAccessKeyId", 403)
	if status, _ := f.send(http.MethodGet, f.url+"/"+bucket+"/k", nil); status != 403 {
		t.Fatalf("request without signature: %d", status)
	}
}

func TestChecksumsOfSinglePuts(t *testing.T) {
	f := begin(t)
	for _, a := range types.ChecksumAlgorithm("").Values() {
		for _, n := range []int{0, 10, 100_000, 2 << 20} {
			key := name("%s/%d", a, n)
			_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
				Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(noise(9, n)), ChecksumAlgorithm: a,
			})
			if err != nil {
				t.Logf("%s: client or front end refuses: %v", a, err)
				break
			}
			// The client verifies the checksum of what it reads.
			got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			f.must(err)
			if !bytes.Equal(got, noise(9, n)) {
				t.Fatalf("%s differs", key)
			}
			att, err := f.GetObjectAttributes(f.ctx(), &sdk.GetObjectAttributesInput{
				Bucket: aws.String(bucket), Key: &key,
				ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum, types.ObjectAttributesObjectSize, types.ObjectAttributesEtag},
			})
			f.must(err)
			if att.Checksum == nil || att.Checksum.ChecksumType != types.ChecksumTypeFullObject || *att.ObjectSize != int64(n) {
				t.Fatalf("%s: attributes %+v", key, att)
			}
		}
	}
}

func TestWrongChecksumsLeaveNothing(t *testing.T) {
	f := begin(t)
	f.put("k", []byte("old"))
	for _, n := range []int{10, 100_000, 3 << 20} {
		data := noise(1, n)
		wrong := md5.Sum([]byte("something else"))
		_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: bytes.NewReader(data),
			ContentMD5: aws.String(base64.StdEncoding.EncodeToString(wrong[:])),
		})
		f.refused(err, "BadDigest", 400)
		_, err = f.PutObject(f.ctx(), &sdk.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: bytes.NewReader(data), ChecksumCRC32C: aws.String("AAAAAA=="),
		})
		f.refused(err, "BadDigest", 400)
		_, err = f.PutObject(f.ctx(), &sdk.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: bytes.NewReader(data), ChecksumSHA256: aws.String("not base64"),
		})
		// Of a long body that is refused unread the client may see no answer.
		if _, status := code(err); err == nil || status != 400 && n < 1<<20 {
			t.Fatalf("malformed checksum: %v", err)
		}
	}
	f.same("k", []byte("old"))
	f.settled()
}
