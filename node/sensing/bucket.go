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
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Bucket is a bucket of a storage that speaks S3.
type Bucket struct {
	URL, Name                    string // of the door; of the bucket
	Region, AccessKey, SecretKey string
}

// put stores an object.
func (b Bucket) put(ctx context.Context, key string, data []byte, sum [sha256.Size]byte) error {
	status, err := b.send(ctx, http.MethodPut, "/"+b.Name+"/"+key, data, hex.EncodeToString(sum[:]))
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("store image as %s/%s: status %d, %w", b.Name, key, status, errOr(err, "want 200"))
	}
	return nil
}

// make creates the bucket if it is not there.
func (b Bucket) make(ctx context.Context) error {
	empty := sha256.Sum256(nil)
	status, err := b.send(ctx, http.MethodPut, "/"+b.Name, nil, hex.EncodeToString(empty[:]))
	if err != nil || status != http.StatusOK && status != http.StatusConflict {
		return fmt.Errorf("make bucket %s of %s: status %d, %w", b.Name, b.URL, status, errOr(err, "check the keys"))
	}
	return nil
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// putTimeout is for one object.
const putTimeout = 5 * time.Minute

func (b Bucket) send(ctx context.Context, method, path string, body []byte, sum string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	u, err := url.Parse(b.URL)
	if err != nil || u.Host == "" {
		return 0, fmt.Errorf("storage %q is no URL, want http://HOST:PORT", b.URL)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.Scheme+"://"+u.Host+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Amz-Content-Sha256", sum)
	if method == http.MethodPut && len(body) > 0 {
		req.Header.Set("Content-Type", "image/jpeg")
	}
	keys := aws.Credentials{AccessKeyID: b.AccessKey, SecretAccessKey: b.SecretKey}
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(ctx, keys, req, sum, "s3", b.Region, time.Now()); err != nil {
		return 0, fmt.Errorf("sign request: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("reach storage: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	return res.StatusCode, res.Body.Close()
}
