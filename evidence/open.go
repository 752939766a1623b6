package evidence

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// answerWithin bounds a request to a bucket: one that hangs holds up nobody for
// long.
const answerWithin = 2 * time.Minute

// Open names a store in one text: a directory, or a bucket of any S3 as
// http(s)://HOST[:PORT]/BUCKET[/PREFIX][?region=REGION], whose keys are in
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Neither is made: where there is
// nothing, nothing can be listed, which is not the same as an epoch without
// evidence.
func Open(where string) (Store, error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		if where == "" || strings.Contains(where, "://") {
			return nil, fmt.Errorf("open evidence store %q: want a directory or http(s)://HOST/BUCKET[/PREFIX][?region=REGION]", where)
		}
		return &Dir{where}, nil
	}
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if u.User != nil || bucket == "" {
		return nil, fmt.Errorf("open evidence store %s: want http(s)://HOST/BUCKET[/PREFIX], with the keys in the environment", u.Redacted())
	}
	if prefix != "" {
		prefix += "/"
	}
	c := S3Config{
		Endpoint: u.Scheme + "://" + u.Host, Region: u.Query().Get("region"), Bucket: bucket, Prefix: prefix,
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		Client: &http.Client{Timeout: answerWithin},
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return nil, fmt.Errorf("open evidence store %s: AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set", where)
	}
	return NewS3(c), nil
}
