package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// bucket returns a bucket's settings, or the error to show.
func (d *door) bucket(ctx context.Context, op, name string) (b *catalog.Bucket, err error) {
	err = d.cat.View(func(tx *catalog.Tx) (err error) {
		b, err = tx.Bucket(name)
		return err
	})
	return b, d.fault(ctx, op, name, "", err)
}

// editBucket changes a bucket's settings.
func (d *door) editBucket(ctx context.Context, op, name string, edit func(*catalog.Bucket)) error {
	err := d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(name)
		if err != nil {
			return err
		}
		edit(b)
		return tx.SetBucket(name, b)
	})
	return d.fault(ctx, op, name, "", err)
}

// owner returns the access key of the account that owns the bucket.
func owner(b *catalog.Bucket) string {
	acl, err := auth.ParseACL(b.ACL)
	if err != nil {
		return ""
	}
	return acl.Owner
}

func ownerOf(tx *catalog.Tx, name string) (string, error) {
	b, err := tx.Bucket(name)
	if err != nil {
		return "", err
	}
	return owner(b), nil
}

// ListBuckets lists the buckets of an owner, or all of them for administrators.
func (d *door) ListBuckets(ctx context.Context, in s3response.ListBucketsInput) (s3response.ListAllMyBucketsResult, error) {
	out := s3response.ListAllMyBucketsResult{Owner: s3response.CanonicalUser{ID: in.Owner}, Prefix: in.Prefix}
	list := &out.Buckets.Bucket
	err := d.cat.View(func(tx *catalog.Tx) error {
		return tx.Buckets(in.ContinuationToken, func(name string, b *catalog.Bucket) bool {
			if !strings.HasPrefix(name, in.Prefix) || !in.IsAdmin && owner(b) != in.Owner {
				return true
			}
			if in.MaxBuckets > 0 && len(*list) == int(in.MaxBuckets) {
				out.ContinuationToken = (*list)[len(*list)-1].Name
				return false
			}
			*list = append(*list, s3response.ListAllMyBucketsEntry{
				Name: name, CreationDate: b.Created, BucketRegion: d.cfg.Region,
			})
			return true
		})
	})
	return out, d.fault(ctx, "ListBuckets", "", "", err)
}

// ListBucketsAndOwners lists all buckets for the administration API.
func (d *door) ListBucketsAndOwners(ctx context.Context) ([]s3response.Bucket, error) {
	var out []s3response.Bucket
	err := d.cat.View(func(tx *catalog.Tx) error {
		return tx.Buckets("", func(name string, b *catalog.Bucket) bool {
			out = append(out, s3response.Bucket{Name: name, Owner: owner(b)})
			return true
		})
	})
	return out, d.fault(ctx, "ListBucketsAndOwners", "", "", err)
}

// HeadBucket says whether the bucket exists.
func (d *door) HeadBucket(ctx context.Context, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	if _, err := d.bucket(ctx, "HeadBucket", value(in.Bucket)); err != nil {
		return nil, err
	}
	return &s3.HeadBucketOutput{BucketRegion: &d.cfg.Region}, nil
}

// CreateBucket makes a bucket.
func (d *door) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	name := value(in.Bucket)
	b := &catalog.Bucket{Created: d.now().UTC(), ACL: acl, Ownership: string(in.ObjectOwnership)}
	if in.ObjectLockEnabledForBucket != nil && *in.ObjectLockEnabledForBucket {
		if err := enableLock(b); err != nil {
			return d.fault(ctx, "CreateBucket", name, "", err)
		}
	}
	if in.CreateBucketConfiguration != nil {
		tags, err := backend.ParseCreateBucketTags(in.CreateBucketConfiguration.Tags)
		if err != nil {
			return err
		}
		b.Tags = tags
	}
	err := d.update(func(tx *catalog.Tx) error { return tx.CreateBucket(name, b) })
	if !errors.Is(err, catalog.ErrBucketExists) {
		return d.fault(ctx, "CreateBucket", name, "", err)
	}
	have, err := d.bucket(ctx, "CreateBucket", name)
	if err != nil {
		return err
	}
	if owner(have) == owner(b) {
		return s3err.GetBucketErr(s3err.ErrBucketAlreadyOwnedByYou, name)
	}
	return s3err.GetBucketErr(s3err.ErrBucketAlreadyExists, name)
}

// DeleteBucket removes an empty bucket.
func (d *door) DeleteBucket(ctx context.Context, bucket string) error {
	err := d.update(func(tx *catalog.Tx) error { return tx.DeleteBucket(bucket) })
	return d.fault(ctx, "DeleteBucket", bucket, "", err)
}

// GetBucketAcl returns the stored access control list.
func (d *door) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	b, err := d.bucket(ctx, "GetBucketAcl", value(in.Bucket))
	if err != nil {
		return nil, err
	}
	return b.ACL, nil
}

// PutBucketAcl stores an access control list.
func (d *door) PutBucketAcl(ctx context.Context, bucket string, data []byte) error {
	return d.editBucket(ctx, "PutBucketAcl", bucket, func(b *catalog.Bucket) { b.ACL = data })
}

// ChangeBucketOwner gives the bucket to another account.
func (d *door) ChangeBucketOwner(ctx context.Context, bucket, owner string) error {
	return d.fault(ctx, "ChangeBucketOwner", bucket, "", auth.UpdateBucketACLOwner(ctx, d, bucket, owner))
}

// document returns one of a bucket's stored documents, or missing if not set.
func (d *door) document(ctx context.Context, op, bucket string, missing s3err.ErrorCode, get func(*catalog.Bucket) []byte) ([]byte, error) {
	b, err := d.bucket(ctx, op, bucket)
	if err != nil {
		return nil, err
	}
	doc := get(b)
	if doc == nil {
		return nil, s3err.GetBucketErr(missing, bucket)
	}
	return doc, nil
}

// PutBucketPolicy stores a policy.
func (d *door) PutBucketPolicy(ctx context.Context, bucket string, policy []byte) error {
	return d.editBucket(ctx, "PutBucketPolicy", bucket, func(b *catalog.Bucket) { b.Policy = policy })
}

// GetBucketPolicy returns the policy.
func (d *door) GetBucketPolicy(ctx context.Context, bucket string) ([]byte, error) {
	return d.document(ctx, "GetBucketPolicy", bucket, s3err.ErrNoSuchBucketPolicy,
		func(b *catalog.Bucket) []byte { return b.Policy })
}

// DeleteBucketPolicy removes the policy.
func (d *door) DeleteBucketPolicy(ctx context.Context, bucket string) error {
	return d.PutBucketPolicy(ctx, bucket, nil)
}

// PutBucketCors stores rules for browsers.
func (d *door) PutBucketCors(ctx context.Context, bucket string, cors []byte) error {
	return d.editBucket(ctx, "PutBucketCors", bucket, func(b *catalog.Bucket) { b.CORS = cors })
}

// GetBucketCors returns the rules for browsers.
func (d *door) GetBucketCors(ctx context.Context, bucket string) ([]byte, error) {
	return d.document(ctx, "GetBucketCors", bucket, s3err.ErrNoSuchCORSConfiguration,
		func(b *catalog.Bucket) []byte { return b.CORS })
}

// DeleteBucketCors removes the rules for browsers.
func (d *door) DeleteBucketCors(ctx context.Context, bucket string) error {
	return d.PutBucketCors(ctx, bucket, nil)
}

// PutBucketWebsite stores a website configuration.
func (d *door) PutBucketWebsite(ctx context.Context, bucket string, website []byte) error {
	return d.editBucket(ctx, "PutBucketWebsite", bucket, func(b *catalog.Bucket) { b.Website = website })
}

// GetBucketWebsite returns the website configuration.
func (d *door) GetBucketWebsite(ctx context.Context, bucket string) ([]byte, error) {
	return d.document(ctx, "GetBucketWebsite", bucket, s3err.ErrNoSuchWebsiteConfiguration,
		func(b *catalog.Bucket) []byte { return b.Website })
}

// DeleteBucketWebsite removes the website configuration.
func (d *door) DeleteBucketWebsite(ctx context.Context, bucket string) error {
	return d.PutBucketWebsite(ctx, bucket, nil)
}

// PutBucketOwnershipControls sets who owns what others upload.
func (d *door) PutBucketOwnershipControls(ctx context.Context, bucket string, o types.ObjectOwnership) error {
	return d.editBucket(ctx, "PutBucketOwnershipControls", bucket, func(b *catalog.Bucket) { b.Ownership = string(o) })
}

// GetBucketOwnershipControls returns who owns what others upload.
func (d *door) GetBucketOwnershipControls(ctx context.Context, bucket string) (types.ObjectOwnership, error) {
	b, err := d.bucket(ctx, "GetBucketOwnershipControls", bucket)
	if err == nil && b.Ownership == "" {
		err = s3err.GetBucketErr(s3err.ErrOwnershipControlsNotFound, bucket)
	}
	if err != nil {
		return "", err
	}
	return types.ObjectOwnership(b.Ownership), nil
}

// DeleteBucketOwnershipControls removes the setting.
func (d *door) DeleteBucketOwnershipControls(ctx context.Context, bucket string) error {
	return d.PutBucketOwnershipControls(ctx, bucket, "")
}

// PutBucketTagging replaces the bucket's tags.
func (d *door) PutBucketTagging(ctx context.Context, bucket string, tags map[string]string) error {
	return d.editBucket(ctx, "PutBucketTagging", bucket, func(b *catalog.Bucket) { b.Tags = tags })
}

// GetBucketTagging returns the bucket's tags.
func (d *door) GetBucketTagging(ctx context.Context, bucket string) (map[string]string, error) {
	b, err := d.bucket(ctx, "GetBucketTagging", bucket)
	if err == nil && b.Tags == nil {
		err = s3err.GetBucketErr(s3err.ErrBucketTaggingNotFound, bucket)
	}
	if err != nil {
		return nil, err
	}
	return b.Tags, nil
}

// DeleteBucketTagging removes the bucket's tags.
func (d *door) DeleteBucketTagging(ctx context.Context, bucket string) error {
	return d.PutBucketTagging(ctx, bucket, nil)
}

// GetObjectTagging returns the tags of an object.
func (d *door) GetObjectTagging(ctx context.Context, bucket, object, version string) (map[string]string, error) {
	var tags map[string]string
	err := d.cat.View(func(tx *catalog.Tx) error {
		o, err := findVersion(tx, bucket, object, version)
		if err == nil {
			tags = o.Tags
		}
		return err
	})
	if err == nil && tags == nil {
		tags = map[string]string{}
	}
	return tags, d.fault(ctx, "GetObjectTagging", bucket, object, err)
}

// PutObjectTagging replaces the tags of an object.
func (d *door) PutObjectTagging(ctx context.Context, bucket, object, version string, tags map[string]string) error {
	err := d.update(func(tx *catalog.Tx) error {
		o, err := findVersion(tx, bucket, object, version)
		if err != nil {
			return err
		}
		o.Tags = tags
		return tx.SetVersion(bucket, object, o)
	})
	return d.fault(ctx, "PutObjectTagging", bucket, object, err)
}

// DeleteObjectTagging removes the tags of an object.
func (d *door) DeleteObjectTagging(ctx context.Context, bucket, object, version string) error {
	return d.PutObjectTagging(ctx, bucket, object, version, nil)
}
