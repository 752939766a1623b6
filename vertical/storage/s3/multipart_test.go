package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const partSize = 5 << 20

// multipart is an upload under way.
type multipart struct {
	f    *fixture
	key  string
	id   *string
	algo types.ChecksumAlgorithm
	done []types.CompletedPart
	data []byte
}

func (f *fixture) multipart(key string, algo types.ChecksumAlgorithm, kind types.ChecksumType) *multipart {
	f.t.Helper()
	out, err := f.CreateMultipartUpload(f.ctx(), &sdk.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: algo, ChecksumType: kind,
		ContentType: aws.String("text/multi"), Metadata: map[string]string{"m": "1"}, Tagging: aws.String("t=1"),
	})
	f.must(err)
	return &multipart{f: f, key: key, id: out.UploadId, algo: algo}
}

func (m *multipart) part(n int32, data []byte) types.CompletedPart {
	m.f.t.Helper()
	out, err := m.f.UploadPart(m.f.ctx(), &sdk.UploadPartInput{
		Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, PartNumber: &n, Body: bytes.NewReader(data), ChecksumAlgorithm: m.algo,
	})
	m.f.must(err)
	p := types.CompletedPart{PartNumber: &n, ETag: out.ETag}
	if m.algo != "" {
		p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumSHA1 = out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumSHA1
		p.ChecksumSHA256, p.ChecksumCRC64NVME = out.ChecksumSHA256, out.ChecksumCRC64NVME
	}
	return p
}

// add uploads the next part and remembers it for complete.
func (m *multipart) add(data []byte) {
	m.f.t.Helper()
	m.done = append(m.done, m.part(int32(len(m.done)+1), data))
	m.data = append(m.data, data...)
}

func (m *multipart) complete(edit func(*sdk.CompleteMultipartUploadInput)) (*sdk.CompleteMultipartUploadOutput, error) {
	in := &sdk.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: m.done},
	}
	if edit != nil {
		edit(in)
	}
	return m.f.CompleteMultipartUpload(m.f.ctx(), in)
}

func multipartETag(parts ...[]byte) string {
	var all []byte
	for _, p := range parts {
		s := md5.Sum(p)
		all = append(all, s[:]...)
	}
	s := md5.Sum(all)
	return name(`"%s-%d"`, hex.EncodeToString(s[:]), len(parts))
}

func TestMultipart(t *testing.T) {
	f := begin(t)
	for _, c := range []struct {
		name string
		algo types.ChecksumAlgorithm
		kind types.ChecksumType
	}{
		{"none", "", ""},
		{"crc32 composite", types.ChecksumAlgorithmCrc32, types.ChecksumTypeComposite},
		{"crc32 full", types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject},
		{"crc32c composite", types.ChecksumAlgorithmCrc32c, types.ChecksumTypeComposite},
		{"crc32c full", types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject},
		{"crc64nvme", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject},
		{"sha1", types.ChecksumAlgorithmSha1, types.ChecksumTypeComposite},
		{"sha256", types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := f.multipart("mp/"+c.name, c.algo, c.kind)
			parts := [][]byte{noise(1, partSize), noise(2, partSize+77), noise(3, 1000)}
			for _, p := range parts {
				m.add(p)
			}
			out, err := m.complete(nil)
			f.must(err)
			if want := multipartETag(parts...); *out.ETag != want {
				t.Fatalf("etag %s, want %s", *out.ETag, want)
			}
			f.same(m.key, m.data)
			for i, p := range parts {
				got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &m.key, PartNumber: aws.Int32(int32(i + 1))})
				f.must(err)
				if !bytes.Equal(got, p) {
					t.Fatalf("part %d differs", i+1)
				}
			}
			got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &m.key, ChecksumMode: types.ChecksumModeEnabled})
			f.must(err)
			if !bytes.Equal(got, m.data) {
				t.Fatal("read with checksum differs")
			}
			h, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: &m.key, ChecksumMode: types.ChecksumModeEnabled, PartNumber: aws.Int32(1)})
			f.must(err)
			if aws.ToInt32(h.PartsCount) != 3 || *h.ContentType != "text/multi" || h.Metadata["m"] != "1" || aws.ToInt32(h.TagCount) != 1 {
				t.Fatalf("head: %+v", h)
			}
			att, err := f.GetObjectAttributes(f.ctx(), &sdk.GetObjectAttributesInput{
				Bucket: aws.String(bucket), Key: &m.key, MaxParts: aws.Int32(2),
				ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesObjectParts, types.ObjectAttributesChecksum},
			})
			f.must(err)
			if p := att.ObjectParts; p == nil || !aws.ToBool(p.IsTruncated) || len(p.Parts) != 2 || aws.ToString(p.NextPartNumberMarker) != "2" {
				t.Fatalf("attributes: %+v", att.ObjectParts)
			}
			again, err := m.complete(nil) // the client did not see the answer
			f.must(err)
			if *again.ETag != *out.ETag {
				t.Fatalf("completed again: etag %s", *again.ETag)
			}
		})
	}
	// A full-object checksum put together from parts is that of the whole.
	whole, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("mp/none"), ChecksumMode: types.ChecksumModeEnabled})
	f.must(err)
	f.put("whole", f.get("mp/none"))
	_, err = f.CopyObject(f.ctx(), &sdk.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("whole"), CopySource: aws.String(bucket + "/whole"),
		MetadataDirective: types.MetadataDirectiveReplace, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme})
	f.must(err)
	single, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("whole"), ChecksumMode: types.ChecksumModeEnabled})
	f.must(err)
	if a, b := aws.ToString(whole.ChecksumCRC64NVME), aws.ToString(single.ChecksumCRC64NVME); a != b || a == "" {
		t.Fatalf("crc64nvme of parts %q, of whole %q", a, b)
	}
	f.settled()
}

func TestMultipartRefusals(t *testing.T) {
	f := begin(t)
	m := f.multipart("k", "", "")
	m.add(noise(1, 1000))
	m.add(noise(2, 1000))
	_, err := m.complete(nil)
	f.refused(err, "EntityTooSmall", 400)
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) {
		in.MultipartUpload.Parts = []types.CompletedPart{m.done[1], m.done[0]}
	})
	if c, _ := code(err); c != "InvalidPartOrder" && c != "EntityTooSmall" {
		t.Fatalf("wrong order: %v", err)
	}
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) {
		in.MultipartUpload = &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: m.done[1].ETag}}}
	})
	f.refused(err, "InvalidPart", 400)
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) {
		in.MultipartUpload = &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(9), ETag: m.done[1].ETag}}}
	})
	f.refused(err, "InvalidPart", 400)
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) { in.UploadId = aws.String("no-such-upload") })
	f.refused(err, "NoSuchUpload", 404)
	_, err = f.UploadPart(f.ctx(), &sdk.UploadPartInput{Bucket: aws.String(bucket), Key: aws.String("k"), UploadId: aws.String("no"), PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
	f.refused(err, "NoSuchUpload", 404)
	f.put("k", []byte("there"))
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) {
		in.MultipartUpload = &types.CompletedMultipartUpload{Parts: m.done[:1]}
		in.IfNoneMatch = aws.String("*")
	})
	f.refused(err, "PreconditionFailed", 412)
	f.same("k", []byte("there"))
	_, err = m.complete(func(in *sdk.CompleteMultipartUploadInput) {
		in.MultipartUpload = &types.CompletedMultipartUpload{Parts: m.done[:1]}
	})
	f.must(err)
	f.same("k", noise(1, 1000))
	f.settled()
}

func TestMultipartAbortListAndExpire(t *testing.T) {
	f := begin(t)
	var ups []*multipart
	for _, k := range []string{"a/1", "a/2", "b", "b", "c/3"} {
		m := f.multipart(k, "", "")
		m.add(noise(1, 2<<20))
		ups = append(ups, m)
	}
	parts, err := f.ListParts(f.ctx(), &sdk.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("b"), UploadId: ups[2].id})
	f.must(err)
	if len(parts.Parts) != 1 || *parts.Parts[0].Size != 2<<20 || *parts.Parts[0].ETag != *ups[2].done[0].ETag {
		t.Fatalf("parts %+v", parts.Parts)
	}
	var got []string
	in := &sdk.ListMultipartUploadsInput{Bucket: aws.String(bucket), Delimiter: aws.String("/"), MaxUploads: aws.Int32(1)}
	for {
		out, err := f.ListMultipartUploads(f.ctx(), in)
		f.must(err)
		for _, u := range out.Uploads {
			got = append(got, *u.Key)
		}
		for _, p := range out.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if s := strings.Join(got, " "); s != "a/ b b c/" {
		t.Fatalf("uploads %q", s)
	}
	_, err = f.AbortMultipartUpload(f.ctx(), &sdk.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("b"), UploadId: ups[3].id})
	f.must(err)
	_, err = f.AbortMultipartUpload(f.ctx(), &sdk.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("b"), UploadId: ups[3].id})
	f.refused(err, "NoSuchUpload", 404)
	f.settled()
	f.must(f.door.Expire(time.Now().Add(-time.Hour)))
	if u, err := f.door.Usage(); err != nil || u.Uploads != 4 {
		t.Fatalf("young uploads were aborted: %+v, err %v", u, err)
	}
	f.must(f.door.Expire(time.Now().Add(time.Second)))
	u, err := f.door.Usage()
	f.must(err)
	if u.Uploads != 0 || u.Blobs != 0 {
		t.Fatalf("after expiry: %+v", u)
	}
	f.settled()
}

func TestPartCopy(t *testing.T) {
	f := begin(t)
	data := noise(4, 12<<20)
	f.put("src", data)
	small := noise(5, 30_000)
	f.put("small", small)
	m := f.multipart("dst", "", "")
	copyPart := func(n int32, src, r string) {
		in := &sdk.UploadPartCopyInput{Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, PartNumber: &n, CopySource: aws.String(bucket + "/" + src)}
		if r != "" {
			in.CopySourceRange = &r
		}
		out, err := f.UploadPartCopy(f.ctx(), in)
		f.must(err)
		m.done = append(m.done, types.CompletedPart{PartNumber: &n, ETag: out.CopyPartResult.ETag})
	}
	copyPart(1, "src", "bytes=1000000-7999999")
	copyPart(2, "src", "")
	copyPart(3, "small", "bytes=100-29999")
	before, err := f.door.Usage()
	f.must(err)
	_, err = m.complete(nil)
	f.must(err)
	after, err := f.door.Usage()
	f.must(err)
	if before.Blobs != after.Blobs || after.Blobs != 2 {
		t.Fatalf("blobs %d then %d", before.Blobs, after.Blobs)
	}
	want := append(append(append([]byte{}, data[1000000:8000000]...), data...), small[100:]...)
	f.remove("src")
	f.same("dst", want)
	f.must(f.door.Pack())
	f.remove("small")
	f.same("dst", want)
	f.settled()
}
