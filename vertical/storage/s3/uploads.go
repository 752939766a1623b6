package s3

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3response"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// uploadLister makes a page of uploads out of all, given in order.
type uploadLister struct {
	q     catalog.Query
	after string // with q.After: uploads of that key up to this one are skipped too
	enc   encoding
	owner string

	out     s3response.ListMultipartUploadsResult
	lastKey string
	lastID  string
	lastCP  string
}

func (l *uploadLister) skip(key, id string) bool {
	switch {
	case !strings.HasPrefix(key, l.q.Prefix):
		return true
	case l.q.Past != "" && strings.HasPrefix(key, l.q.Past):
		return true
	case l.q.After == "" || key > l.q.After:
		return false
	case key < l.q.After:
		return true
	default:
		return l.after == "" || id <= l.after
	}
}

// add takes the next upload.
func (l *uploadLister) add(id string, u *catalog.Upload) (more bool, err error) {
	if l.skip(u.Key, id) {
		return true, nil
	}
	prefix := ""
	if l.q.Delimiter != "" {
		before, _, found := strings.Cut(u.Key[len(l.q.Prefix):], l.q.Delimiter)
		if found {
			prefix = l.q.Prefix + before + l.q.Delimiter
		}
	}
	if prefix != "" && prefix == l.lastCP {
		return true, nil
	}
	if len(l.out.Uploads)+len(l.out.CommonPrefixes) >= l.q.Limit {
		l.out.IsTruncated = l.q.Limit > 0
		return false, nil
	}
	if prefix != "" {
		l.lastCP, l.lastKey, l.lastID = prefix, prefix, id
		l.out.CommonPrefixes = append(l.out.CommonPrefixes, s3response.CommonPrefix{Prefix: *l.enc.text(prefix)})
		return true, nil
	}
	l.lastKey, l.lastID = u.Key, id
	l.out.Uploads = append(l.out.Uploads, s3response.Upload{
		Key: *l.enc.text(u.Key), UploadID: id, Initiated: u.Initiated, StorageClass: types.StorageClassStandard,
		Owner: s3response.Owner{ID: l.owner}, Initiator: s3response.Initiator{ID: l.owner},
		ChecksumAlgorithm: types.ChecksumAlgorithm(u.Checksum.Algorithm), ChecksumType: types.ChecksumType(u.Checksum.Type),
	})
	return true, nil
}
