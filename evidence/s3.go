package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3Config is where a bucket is. The bucket must exist.
type S3Config struct {
	Endpoint  string // http or https URL; addresses are path style
	Region    string
	Bucket    string
	Prefix    string // before every key, empty or ending with "/"
	AccessKey string
	SecretKey string
	Client    *http.Client // nil: the library's own
}

// S3 is a Store in a bucket of any S3, the network's own gateway included.
type S3 struct {
	client         *s3.Client
	bucket, prefix string
}

// NewS3 makes a store; it does not connect.
func NewS3(c S3Config) *S3 {
	o := s3.Options{
		BaseEndpoint: aws.String(c.Endpoint), Region: c.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
	}
	if c.Client != nil {
		o.HTTPClient = c.Client
	}
	return &S3{s3.New(o), c.Bucket, c.Prefix}
}

var _ Store = (*S3)(nil)

func (s *S3) key(key string) *string { return aws.String(s.prefix + key) }

// Put implements Store.
func (s *S3) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := checkKey(key); err != nil {
		return err
	}
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: s.key(key), Body: body, ContentLength: &size})
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	return nil
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	o, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return o.Body, nil
}

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if key := aws.ToString(o.Key)[len(s.prefix):]; checkKey(key) == nil && !yield(key, nil) {
					return
				}
			}
		}
	}
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if _, missing := errors.AsType[*types.NoSuchKey](err); err != nil && !missing {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}
