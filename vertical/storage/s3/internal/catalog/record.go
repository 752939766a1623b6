package catalog

import "time"

// BlobID numbers a blob. Zero is no blob.
type BlobID uint64

// SegmentID names a segment of the segment store.
type SegmentID = [32]byte

// Place says where a blob's bytes are.
type Place uint8

// The places of a blob.
const (
	Inline     Place = 1 // in the blob's record
	Journaled  Place = 2 // in a journal file
	Packed     Place = 3 // part of a pack segment
	Segmented  Place = 4 // a list of segments of its own
	placeLimit Place = 5
)

// Blob is an immutable byte string that objects and upload parts refer to.
type Blob struct {
	Refs  uint64 // extents that refer to it
	Size  int64  // bytes
	Place Place

	Data     []byte    // Inline
	File     uint64    // Journaled: journal file
	Pack     SegmentID // Packed
	Offset   int64     // Journaled, Packed: where the data begins
	Segments []Segment // Segmented: in order, sizes add up to Size
}

// Segment is one segment and its length in bytes.
type Segment struct {
	ID   SegmentID
	Size int64
}

// Extent is a part of a blob: Length bytes from Offset.
type Extent struct {
	Blob   BlobID
	Offset int64
	Length int64
}

// Checksum is the additional checksum of an object or part. Value is as S3
// shows it: base64, with "-N" behind it when composite.
type Checksum struct {
	Algorithm string // "CRC32", "SHA256", ... or empty for none
	Type      string // "FULL_OBJECT", "COMPOSITE" or empty
	Value     string
}

// Headers are the stored HTTP headers of an object; empty means not set.
type Headers struct {
	ContentType        string
	ContentEncoding    string
	ContentDisposition string
	ContentLanguage    string
	CacheControl       string
	Expires            string
	WebsiteRedirect    string
}

// Object is one version of an object.
type Object struct {
	Size         int64
	Modified     time.Time // to the nanosecond, UTC
	ETag         string    // without quotes
	Version      string    // version id; empty is the null version
	DeleteMarker bool
	Headers      Headers
	Metadata     map[string]string // x-amz-meta-*, names in lower case
	Tags         map[string]string // nil: none
	Checksum     Checksum
	Extents      []Extent
	UploadID     string       // of the multipart upload it came from
	Parts        []ObjectPart // of a multipart object, in order
	Lock         Lock
}

// Lock keeps a version from being deleted. The S3 front end enforces it.
type Lock struct {
	Retention string // the document as the front end hands it over
	Hold      string // "", "ON" or "OFF"
}

// ObjectPart is what stays known of a part of a completed upload.
type ObjectPart struct {
	Number   int32
	Size     int64
	Checksum string // value; the algorithm is the object's
}

// Upload is a multipart upload in progress.
type Upload struct {
	Key       string
	Initiated time.Time
	Headers   Headers
	Metadata  map[string]string
	Tags      map[string]string
	Checksum  Checksum // algorithm and type asked for, value empty
	Lock      Lock
}

// Part is an uploaded part.
type Part struct {
	Size     int64
	Modified time.Time
	ETag     string
	Checksum Checksum // shown to clients
	CRC64    string   // CRC64NVME of the part when the upload asked for no checksum
	Extents  []Extent
}

// Bucket is an S3 bucket's settings. The documents are stored as the S3 front
// end hands them over; nil means not set.
type Bucket struct {
	Created    time.Time
	ACL        []byte            `json:",omitempty"`
	Ownership  string            `json:",omitempty"`
	Policy     []byte            `json:",omitempty"`
	CORS       []byte            `json:",omitempty"`
	Website    []byte            `json:",omitempty"`
	Tags       map[string]string `json:",omitempty"`
	Versioning string            `json:",omitempty"` // "", "Enabled" or "Suspended"
	Lock       []byte            `json:",omitempty"`
}

// Pack is a segment that many small blobs share.
type Pack struct {
	Size  int64 // bytes of the segment
	Live  int64 // bytes of blobs still in it
	Blobs int64 // number of blobs still in it
}
