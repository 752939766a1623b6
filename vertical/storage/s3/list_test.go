package s3_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

var awkward = []string{
	"a", "a b", "a+b", "a%2Fb", "a/", "a/b", "a/b/c", "a//b", "b&c=d", "c<d>", `d"e'f`, "e\tf", "f\\g", "å/ä/ö", "日本/語",
	"z?q#r", "é", "e\u0301", "~", "\u007f", "emoji/😀", "x\x01y", "x\ny", "plus/+", ".", "dots..", "-dash",
}

func TestAwkwardKeys(t *testing.T) {
	f := begin(t)
	var kept []string
	for _, k := range awkward {
		_, err := f.PutObject(f.ctx(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: &k, Body: strings.NewReader(k)})
		if err != nil {
			t.Logf("%q is not taken: %v", k, err)
			continue
		}
		kept = append(kept, k)
	}
	if len(kept) < len(awkward)-2 {
		t.Fatalf("only %d of %d keys taken", len(kept), len(awkward))
	}
	slices.Sort(kept)
	for _, k := range kept {
		f.same(k, []byte(k))
	}
	var got []string
	in := &sdk.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(4), EncodingType: types.EncodingTypeUrl}
	for {
		out, err := f.ListObjectsV2(f.ctx(), in)
		f.must(err)
		if out.EncodingType != types.EncodingTypeUrl {
			t.Fatal("encoding type is not given back")
		}
		for _, o := range out.Contents {
			got = append(got, unescape(t, *o.Key))
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	if !slices.Equal(got, kept) {
		t.Fatalf("listed\n%q\nwant\n%q", got, kept)
	}
}

func TestListingV1(t *testing.T) {
	f := begin(t)
	for _, k := range []string{"asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla"} {
		f.put(k, []byte(k))
	}
	for _, c := range []struct {
		name, prefix, delimiter, marker string
		max                             int32
		want, next                      string
	}{
		{"first", "", "/", "", 1, "asdf", "asdf"},
		{"prefix next", "", "/", "asdf", 1, "boo/", "boo/"},
		{"past a prefix", "", "/", "boo/", 1, "cquux/", ""},
		{"two", "", "/", "", 2, "asdf boo/", "boo/"},
		{"inside", "boo/", "/", "", 1, "boo/bar", "boo/bar"},
		{"inside next", "boo/", "/", "boo/bar", 1, "boo/baz/", ""},
		{"marker inside a prefix", "", "/", "boo/bar", 10, "boo/ cquux/", ""},
		{"no delimiter", "", "", "boo/bar", 2, "boo/baz/xyzzy cquux/bla", "cquux/bla"},
		{"nothing after", "", "", "zzz", 2, "", ""},
		{"long delimiter", "", "/baz/", "", 10, "asdf boo/bar boo/baz/ cquux/bla cquux/thud", ""},
		{"zero", "", "", "", 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := f.ListObjects(f.ctx(), &sdk.ListObjectsInput{
				Bucket: aws.String(bucket), Prefix: &c.prefix, Delimiter: &c.delimiter, Marker: &c.marker, MaxKeys: &c.max,
			})
			f.must(err)
			var got []string
			for _, o := range out.Contents {
				got = append(got, *o.Key)
			}
			for _, p := range out.CommonPrefixes {
				got = append(got, *p.Prefix)
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != c.want || aws.ToString(out.NextMarker) != c.next || aws.ToBool(out.IsTruncated) != (c.next != "") {
				t.Fatalf("got %q, next %q, truncated %v; want %q, next %q", s, aws.ToString(out.NextMarker), aws.ToBool(out.IsTruncated), c.want, c.next)
			}
		})
	}
}

func TestListingV2(t *testing.T) {
	f := begin(t)
	for _, k := range []string{"a/1", "a/2", "b", "c/1", "d"} {
		f.put(k, []byte(k))
	}
	out, err := f.ListObjectsV2(f.ctx(), &sdk.ListObjectsV2Input{Bucket: aws.String(bucket), StartAfter: aws.String("a/1"), FetchOwner: aws.Bool(true)})
	f.must(err)
	if aws.ToInt32(out.KeyCount) != 4 || out.Contents[0].Owner == nil || *out.Contents[0].Owner.ID != access {
		t.Fatalf("start after: %d keys, owner %v", aws.ToInt32(out.KeyCount), out.Contents[0].Owner)
	}
	in := &sdk.ListObjectsV2Input{Bucket: aws.String(bucket), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)}
	var got []string
	for {
		out, err := f.ListObjectsV2(f.ctx(), in)
		f.must(err)
		for _, o := range out.Contents {
			got = append(got, *o.Key)
		}
		for _, p := range out.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	if s := strings.Join(got, " "); s != "a/ b c/ d" {
		t.Fatalf("pages of one: %q", s)
	}
	_, err = f.ListObjectsV2(f.ctx(), &sdk.ListObjectsV2Input{Bucket: aws.String(bucket), ContinuationToken: aws.String("!!")})
	f.refused(err, "InvalidArgument", 400)
}

func TestBucketSettings(t *testing.T) {
	f := begin(t)
	b := aws.String(bucket)
	_, err := f.GetBucketTagging(f.ctx(), &sdk.GetBucketTaggingInput{Bucket: b})
	f.refused(err, "NoSuchTagSet", 404)
	_, err = f.PutBucketTagging(f.ctx(), &sdk.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}})
	f.must(err)
	tags, err := f.GetBucketTagging(f.ctx(), &sdk.GetBucketTaggingInput{Bucket: b})
	f.must(err)
	if len(tags.TagSet) != 1 || *tags.TagSet[0].Value != "v" {
		t.Errorf("tags %v", tags.TagSet)
	}
	_, err = f.DeleteBucketTagging(f.ctx(), &sdk.DeleteBucketTaggingInput{Bucket: b})
	f.must(err)

	_, err = f.GetBucketPolicy(f.ctx(), &sdk.GetBucketPolicyInput{Bucket: b})
	f.refused(err, "NoSuchBucketPolicy", 404)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/open/*"}]}`
	_, err = f.PutBucketPolicy(f.ctx(), &sdk.PutBucketPolicyInput{Bucket: b, Policy: &policy})
	f.must(err)
	f.put("open/k", []byte("public"))
	f.put("closed/k", []byte("private"))
	if status, body := f.send("GET", f.url+"/bucket/open/k", nil); status != 200 || string(body) != "public" {
		t.Errorf("public object: %d %s", status, body)
	}
	if status, _ := f.send("GET", f.url+"/bucket/closed/k", nil); status != 403 {
		t.Errorf("private object: %d", status)
	}
	_, err = f.DeleteBucketPolicy(f.ctx(), &sdk.DeleteBucketPolicyInput{Bucket: b})
	f.must(err)
	if status, _ := f.send("GET", f.url+"/bucket/open/k", nil); status != 403 {
		t.Errorf("object after the policy is gone: %d", status)
	}

	_, err = f.GetBucketCors(f.ctx(), &sdk.GetBucketCorsInput{Bucket: b})
	f.refused(err, "NoSuchCORSConfiguration", 404)
	_, err = f.PutBucketCors(f.ctx(), &sdk.PutBucketCorsInput{Bucket: b, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"https://example.org"}}},
	}})
	f.must(err)
	cors, err := f.GetBucketCors(f.ctx(), &sdk.GetBucketCorsInput{Bucket: b})
	f.must(err)
	if len(cors.CORSRules) != 1 {
		t.Errorf("cors %v", cors.CORSRules)
	}

	_, err = f.PutBucketOwnershipControls(f.ctx(), &sdk.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: &types.OwnershipControls{
		Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerPreferred}},
	}})
	f.must(err)
	_, err = f.PutBucketAcl(f.ctx(), &sdk.PutBucketAclInput{Bucket: b, ACL: types.BucketCannedACLPublicRead})
	f.must(err)
	acl, err := f.GetBucketAcl(f.ctx(), &sdk.GetBucketAclInput{Bucket: b})
	f.must(err)
	if len(acl.Grants) < 2 {
		t.Errorf("grants %v", acl.Grants)
	}
	loc, err := f.GetBucketLocation(f.ctx(), &sdk.GetBucketLocationInput{Bucket: b})
	f.must(err)
	if loc.LocationConstraint != "" && string(loc.LocationConstraint) != region {
		t.Errorf("location %q", loc.LocationConstraint)
	}
	f.makeBucket("another")
	list, err := f.ListBuckets(f.ctx(), &sdk.ListBucketsInput{})
	f.must(err)
	if len(list.Buckets) != 2 || *list.Buckets[0].Name != "another" {
		t.Errorf("buckets %v", list.Buckets)
	}
}
