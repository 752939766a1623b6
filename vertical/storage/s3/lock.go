package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3err"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// Object lock: the door keeps the settings; the front end asks for them before
// each overwrite and deletion and refuses what they forbid. What nobody may
// delete the door refuses itself as well, in the change that would delete it.

const (
	holdOn  = string(types.ObjectLockLegalHoldStatusOn)
	holdOff = string(types.ObjectLockLegalHoldStatusOff)
)

// newLock returns the lock that a PUT asks for.
func newLock(mode types.ObjectLockMode, until *time.Time, hold types.ObjectLockLegalHoldStatus) (catalog.Lock, error) {
	var l catalog.Lock
	if hold == types.ObjectLockLegalHoldStatusOn {
		l.Hold = holdOn
	}
	if mode == "" {
		return l, nil
	}
	doc, err := json.Marshal(types.ObjectLockRetention{Mode: types.ObjectLockRetentionMode(mode), RetainUntilDate: until})
	if err != nil {
		return l, fmt.Errorf("encode retention: %w", err)
	}
	l.Retention = string(doc)
	return l, nil
}

// shownLock returns a lock as response headers have it.
func shownLock(l catalog.Lock) (types.ObjectLockMode, *time.Time, types.ObjectLockLegalHoldStatus) {
	var r types.ObjectLockRetention
	if l.Retention != "" {
		_ = json.Unmarshal([]byte(l.Retention), &r)
	}
	return types.ObjectLockMode(r.Mode), r.RetainUntilDate, types.ObjectLockLegalHoldStatus(l.Hold)
}

// locked reports whether nobody may delete the version now. Retention in
// governance mode is not meant: who may bypass it is for the front end to say.
func (d *door) locked(o *catalog.Object) bool {
	mode, until, hold := shownLock(o.Lock)
	return hold == types.ObjectLockLegalHoldStatusOn ||
		mode == types.ObjectLockModeCompliance && until != nil && until.After(d.now())
}

func lockEnabled(b *catalog.Bucket) bool {
	var c auth.BucketLockConfig
	return b.Lock != nil && json.Unmarshal(b.Lock, &c) == nil && c.Enabled
}

// enableLock makes the bucket one with object lock, which implies versions.
func enableLock(b *catalog.Bucket) error {
	doc, err := json.Marshal(auth.BucketLockConfig{Enabled: true, CreatedAt: &b.Created})
	if err != nil {
		return fmt.Errorf("encode lock configuration: %w", err)
	}
	b.Lock, b.Versioning = doc, string(types.BucketVersioningStatusEnabled)
	return nil
}

// checkLockable refuses a lock on an object in a bucket without object lock.
func checkLockable(tx *catalog.Tx, bucket string, l catalog.Lock) error {
	if l == (catalog.Lock{}) {
		return nil
	}
	b, err := tx.Bucket(bucket)
	if err == nil && !lockEnabled(b) {
		err = s3err.GetAPIError(s3err.ErrMissingObjectLockConfigurationNoSpaces)
	}
	return err
}

// PutObjectLockConfiguration turns object lock on or changes its defaults.
func (d *door) PutObjectLockConfiguration(ctx context.Context, bucket string, config []byte) error {
	err := d.update(func(tx *catalog.Tx) error {
		b, err := tx.Bucket(bucket)
		if err != nil {
			return err
		}
		if b.Versioning != string(types.BucketVersioningStatusEnabled) {
			return s3err.GetAPIError(s3err.ErrObjectLockConfigurationNotAllowed)
		}
		b.Lock = config
		return tx.SetBucket(bucket, b)
	})
	return d.fault(ctx, "PutObjectLockConfiguration", bucket, "", err)
}

// GetObjectLockConfiguration returns the bucket's object lock settings.
func (d *door) GetObjectLockConfiguration(ctx context.Context, bucket string) ([]byte, error) {
	return d.document(ctx, "GetObjectLockConfiguration", bucket, s3err.ErrObjectLockConfigurationNotFound,
		func(b *catalog.Bucket) []byte { return b.Lock })
}

// lockable finds the version of an object whose lock a request is about.
func lockable(tx *catalog.Tx, bucket, key, version string) (*catalog.Object, error) {
	b, err := tx.Bucket(bucket)
	if err != nil {
		return nil, err
	}
	o, err := findVersion(tx, bucket, key, version)
	if _, none := tx.Latest(bucket, key); errors.Is(none, catalog.ErrNoKey) {
		err = none
	}
	if err == nil && !lockEnabled(b) {
		err = s3err.GetAPIError(s3err.ErrMissingObjectLockConfiguration)
	}
	return o, err
}

func (d *door) setLock(ctx context.Context, op, bucket, key, version string, set func(*catalog.Lock)) error {
	err := d.update(func(tx *catalog.Tx) error {
		o, err := lockable(tx, bucket, key, version)
		if err != nil {
			return err
		}
		set(&o.Lock)
		return tx.SetVersion(bucket, key, o)
	})
	return d.fault(ctx, op, bucket, key, err)
}

func (d *door) lock(ctx context.Context, op, bucket, key, version string) (l catalog.Lock, err error) {
	err = d.cat.View(func(tx *catalog.Tx) error {
		o, err := lockable(tx, bucket, key, version)
		if err == nil {
			l = o.Lock
		}
		return err
	})
	return l, d.fault(ctx, op, bucket, key, err)
}

// PutObjectRetention sets until when a version cannot be deleted.
func (d *door) PutObjectRetention(ctx context.Context, bucket, object, version string, retention []byte) error {
	return d.setLock(ctx, "PutObjectRetention", bucket, object, version, func(l *catalog.Lock) { l.Retention = string(retention) })
}

// GetObjectRetention returns until when a version cannot be deleted.
func (d *door) GetObjectRetention(ctx context.Context, bucket, object, version string) ([]byte, error) {
	l, err := d.lock(ctx, "GetObjectRetention", bucket, object, version)
	if err == nil && l.Retention == "" {
		err = s3err.GetAPIError(s3err.ErrNoSuchObjectLockConfiguration)
	}
	if err != nil {
		return nil, err
	}
	return []byte(l.Retention), nil
}

// PutObjectLegalHold sets or lifts the legal hold on a version.
func (d *door) PutObjectLegalHold(ctx context.Context, bucket, object, version string, on bool) error {
	hold := holdOff
	if on {
		hold = holdOn
	}
	return d.setLock(ctx, "PutObjectLegalHold", bucket, object, version, func(l *catalog.Lock) { l.Hold = hold })
}

// GetObjectLegalHold says whether there is a legal hold on a version.
func (d *door) GetObjectLegalHold(ctx context.Context, bucket, object, version string) (*bool, error) {
	l, err := d.lock(ctx, "GetObjectLegalHold", bucket, object, version)
	if err == nil && l.Hold == "" {
		err = s3err.GetAPIError(s3err.ErrNoSuchObjectLockConfiguration)
	}
	if err != nil {
		return nil, err
	}
	on := l.Hold == holdOn
	return &on, nil
}
