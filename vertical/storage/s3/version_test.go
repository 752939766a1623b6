package s3_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func (f *fixture) versioning(status types.BucketVersioningStatus) {
	f.t.Helper()
	_, err := f.PutBucketVersioning(f.ctx(), &sdk.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	f.must(err)
}

// history lists the versions of a key, newest first, as "id" or "id!" for
// delete markers, with "*" for the latest.
func (f *fixture) history(key string) (ids []string, text string) {
	f.t.Helper()
	out, err := f.ListObjectVersions(f.ctx(), &sdk.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: &key})
	f.must(err)
	type line struct {
		id, mark string
	}
	var lines []line
	for _, v := range out.Versions {
		l := line{*v.VersionId, "o"}
		if *v.IsLatest {
			l.mark = "O"
		}
		lines = append(lines, l)
	}
	for _, v := range out.DeleteMarkers {
		l := line{*v.VersionId, "d"}
		if *v.IsLatest {
			l.mark = "D"
		}
		lines = append(lines, l)
	}
	for _, l := range lines {
		ids = append(ids, l.id)
		text += l.mark
	}
	return ids, text
}

func TestVersions(t *testing.T) {
	f := begin(t)
	f.put("k", []byte("null"))
	f.versioning(types.BucketVersioningStatusEnabled)
	v1 := *f.put("k", []byte("one")).VersionId
	v2 := *f.put("k", noise(1, 2<<20)).VersionId
	f.same("k", noise(1, 2<<20))
	get := func(id string) (string, error) {
		data, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: &id})
		return string(data), err
	}
	for id, want := range map[string]string{"null": "null", v1: "one", v2: string(noise(1, 2<<20))} {
		got, err := get(id)
		f.must(err)
		if got != want {
			t.Fatalf("version %s: %d bytes, want %d", id, len(got), len(want))
		}
	}
	del, err := f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.must(err)
	if !aws.ToBool(del.DeleteMarker) {
		t.Fatal("no delete marker")
	}
	_, err = f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	f.refused(err, "NoSuchKey", 404)
	_, err = get(*del.VersionId)
	f.refused(err, "MethodNotAllowed", 405)
	if _, text := f.history("k"); text != "oooD" {
		t.Fatalf("history %q", text)
	}
	list, err := f.ListObjectsV2(f.ctx(), &sdk.ListObjectsV2Input{Bucket: aws.String(bucket)})
	f.must(err)
	if len(list.Contents) != 0 {
		t.Fatal("a deleted object is listed")
	}
	// Removing the marker brings the object back.
	_, err = f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: del.VersionId})
	f.must(err)
	f.same("k", noise(1, 2<<20))
	_, err = f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: &v2})
	f.must(err)
	f.same("k", []byte("one"))
	f.versioning(types.BucketVersioningStatusSuspended)
	f.put("k", []byte("null again"))
	f.same("k", []byte("null again"))
	if ids, text := f.history("k"); text != "Oo" || strings.Join(ids, " ") != "null "+v1 {
		t.Fatalf("history %v %q", ids, text)
	}
	_, err = get("not-a-version-id")
	f.refused(err, "InvalidArgument", 400)
	_, err = get(v2)
	f.refused(err, "NoSuchVersion", 404)
	f.must(f.door.Pack())
	f.settled()
	_, err = f.DeleteBucket(f.ctx(), &sdk.DeleteBucketInput{Bucket: aws.String(bucket)})
	f.refused(err, "BucketNotEmpty", 409)
	for _, id := range []string{v1, "null"} {
		_, err = f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: &id})
		f.must(err)
	}
	f.settled()
	_, err = f.DeleteBucket(f.ctx(), &sdk.DeleteBucketInput{Bucket: aws.String(bucket)})
	f.must(err)
}

func TestVersionListingPages(t *testing.T) {
	f := begin(t)
	f.versioning(types.BucketVersioningStatusEnabled)
	for _, k := range []string{"a", "b/1", "b/2", "c"} {
		for range 3 {
			f.put(k, []byte(k))
		}
	}
	f.remove("c")
	for _, delimiter := range []string{"", "/"} {
		all := f.pages(delimiter, 1000)
		for n := int32(1); n < 6; n++ {
			if got := f.pages(delimiter, n); got != all {
				t.Fatalf("delimiter %q, pages of %d:\n%s\nwant\n%s", delimiter, n, got, all)
			}
		}
	}
}

func (f *fixture) pages(delimiter string, n int32) string {
	f.t.Helper()
	in := &sdk.ListObjectVersionsInput{Bucket: aws.String(bucket), Delimiter: &delimiter, MaxKeys: &n}
	counts := map[string]int{}
	text := ""
	for range 100 {
		out, err := f.ListObjectVersions(f.ctx(), in)
		f.must(err)
		for _, v := range out.Versions {
			counts[name("%s o latest %v", *v.Key, *v.IsLatest)]++
		}
		for _, v := range out.DeleteMarkers {
			counts[name("%s d latest %v", *v.Key, *v.IsLatest)]++
		}
		for _, p := range out.CommonPrefixes {
			counts[*p.Prefix]++
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	for _, k := range sorted(counts) {
		text += name("%s: %d\n", k, counts[k])
	}
	return text
}

func TestObjectLock(t *testing.T) {
	f := start(t, "", nil)
	_, err := f.CreateBucket(f.ctx(), &sdk.CreateBucketInput{Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true)})
	f.must(err)
	put := func(key string, until time.Time) *string {
		out, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{
			Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("kept"),
			ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until,
		})
		f.must(err)
		return out.VersionId
	}
	remove := func(key string, version *string) error {
		_, err := f.DeleteObject(f.ctx(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key, VersionId: version})
		return err
	}
	hold := func(key string, status types.ObjectLockLegalHoldStatus) {
		_, err := f.PutObjectLegalHold(f.ctx(), &sdk.PutObjectLegalHoldInput{
			Bucket: aws.String(bucket), Key: &key, LegalHold: &types.ObjectLockLegalHold{Status: status},
		})
		f.must(err)
	}
	soon := time.Now().Add(6 * time.Second).UTC().Truncate(time.Second)
	late := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	short, long := put("short", soon), put("long", late)
	f.refused(remove("long", long), "AccessDenied", 403)
	h, err := f.HeadObject(f.ctx(), &sdk.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("long")})
	f.must(err)
	if h.ObjectLockMode != types.ObjectLockModeCompliance || !h.ObjectLockRetainUntilDate.Equal(late) {
		t.Fatalf("lock %v until %v", h.ObjectLockMode, h.ObjectLockRetainUntilDate)
	}
	f.must(remove("long", nil)) // only puts a delete marker in front
	f.refused(remove("long", long), "AccessDenied", 403)

	hold("short", types.ObjectLockLegalHoldStatusOn)
	time.Sleep(time.Until(soon) + 1100*time.Millisecond)
	f.refused(remove("short", short), "AccessDenied", 403)
	hold("short", types.ObjectLockLegalHoldStatusOff)
	f.must(remove("short", short))
	f.makeBucket("plain")
	_, err = f.PutObject(f.ctx(), &sdk.PutObjectInput{
		Bucket: aws.String("plain"), Key: aws.String("k"), Body: strings.NewReader("x"),
		ObjectLockMode: types.ObjectLockModeGovernance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(time.Hour)),
	})
	f.refused(err, "InvalidRequest", 400)
	f.settled()
}
