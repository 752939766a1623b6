package sensing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Pictures reads stored images.
type Pictures interface {
	// Get reads an image by the key of its record, BUCKET/KEY. What is not there, or
	// has more bytes than limit, is ErrNoImage; every other error may pass.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
}

// ErrNoImage says that under a key there is no image of the size that is expected.
var ErrNoImage = errors.New("there is no such image")

// ImagesBucket is where street images are stored when nothing else is said.
const ImagesBucket = "street-images"

// Bucket is a bucket of a storage that speaks S3. It reads from no other: what
// devices sign records of must not open what else the keys are for.
type Bucket struct {
	URL, Name                    string // of the door; of the bucket
	Region, AccessKey, SecretKey string
}

var _ Pictures = Bucket{}

// Get implements Pictures.
func (b Bucket) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	name, rest, _ := strings.Cut(key, "/")
	if b.Name != name || rest == "" || path.Clean("/"+key) != "/"+key {
		return nil, fmt.Errorf("%w: %q, want %s/KEY", ErrNoImage, key, b.Name)
	}
	a, err := b.send(ctx, request{method: http.MethodGet, path: "/" + key, sum: sha256.Sum256(nil), limit: limit + 1})
	switch {
	case err == nil && a.status == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s", ErrNoImage, key)
	case err != nil || a.status != http.StatusOK:
		return nil, fmt.Errorf("read image %s: status %d, %w", key, a.status, errOr(err, "want 200: check the keys"))
	case int64(len(a.body)) > limit:
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrNoImage, key, limit)
	}
	return a.body, nil
}

// put stores an object.
func (b Bucket) put(ctx context.Context, key string, data []byte, sum [sha256.Size]byte) error {
	a, err := b.send(ctx, request{method: http.MethodPut, path: "/" + b.Name + "/" + key, body: data, sum: sum})
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("store image as %s/%s: status %d, %w", b.Name, key, a.status, errOr(err, "want 200"))
	}
	return nil
}

// make creates the bucket if it is not there.
func (b Bucket) make(ctx context.Context) error {
	a, err := b.send(ctx, request{method: http.MethodPut, path: "/" + b.Name, sum: sha256.Sum256(nil)})
	if err != nil || a.status != http.StatusOK && a.status != http.StatusConflict {
		return fmt.Errorf("make bucket %s of %s: status %d, %w", b.Name, b.URL, a.status, errOr(err, "check the keys"))
	}
	return nil
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// oneObject is how long one request may take.
const oneObject = 5 * time.Minute

type request struct {
	method, path string // not escaped
	body         []byte
	sum          [sha256.Size]byte // of body
	limit        int64             // bytes of the answer that are read
}

type answer struct {
	status int
	body   []byte
}

func (b Bucket) send(ctx context.Context, r request) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, oneObject)
	defer cancel()
	u, err := url.Parse(b.URL)
	if err != nil || u.Host == "" {
		return a, fmt.Errorf("storage %q is no URL, want http://HOST:PORT", b.URL)
	}
	u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: r.path, RawPath: escape(r.path)}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return a, err
	}
	sum := hex.EncodeToString(r.sum[:])
	req.Header.Set("X-Amz-Content-Sha256", sum)
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", "image/jpeg")
	}
	keys := aws.Credentials{AccessKeyID: b.AccessKey, SecretAccessKey: b.SecretKey}
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(ctx, keys, req, sum, "s3", b.Region, time.Now()); err != nil {
		return a, fmt.Errorf("sign request: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, fmt.Errorf("reach storage: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	a.status = res.StatusCode
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, r.limit)); err != nil {
		return a, fmt.Errorf("read answer: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	return a, nil
}

// escape writes a path as S3 signs it: everything but unreserved characters and
// slashes in percents.
func escape(path string) string {
	var out strings.Builder
	for _, c := range []byte(path) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
