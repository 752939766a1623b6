package s3

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// sums holds the checksum fields that many S3 requests and responses share, in
// the order of algorithms.
type sums [10]*string

// algorithms are S3's additional checksums.
var algorithms = [10]types.ChecksumAlgorithm{
	types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha1,
	types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha512,
	types.ChecksumAlgorithmMd5, types.ChecksumAlgorithmXxhash64, types.ChecksumAlgorithmXxhash3,
	types.ChecksumAlgorithmXxhash128,
}

const crc64 = string(types.ChecksumAlgorithmCrc64nvme)

// given returns the algorithm and value of the first field that is set.
func (s sums) given() (algorithm, value string) {
	for i, v := range s {
		if v != nil && *v != "" {
			return string(algorithms[i]), *v
		}
	}
	return "", ""
}

// count returns how many fields are set.
func (s sums) count() (n int) {
	for _, v := range s {
		if v != nil && *v != "" {
			n++
		}
	}
	return n
}

// get returns the value for an algorithm, or "".
func (s sums) get(algorithm string) string {
	for i, a := range algorithms {
		if string(a) == algorithm && s[i] != nil {
			return *s[i]
		}
	}
	return ""
}

// show returns the fields of a stored checksum.
func show(c catalog.Checksum) (s sums) {
	if c.Value == "" {
		return s
	}
	for i, a := range algorithms {
		if string(a) == c.Algorithm {
			s[i] = &c.Value
		}
	}
	return s
}

func hashType(algorithm string) utils.HashType {
	return utils.HashType(strings.ToLower(algorithm))
}

// summer reads a body through and knows the checksum of what was read.
type summer interface {
	io.Reader
	Sum() string
}

// newSummer computes the checksum of the algorithm; if want is set the last read
// fails when it differs.
func newSummer(r io.Reader, algorithm, want string) (summer, error) {
	if algorithm == crc64 {
		return &crcReader{r: r, h: crc64nvme.New(), want: want}, nil
	}
	h, err := utils.NewHashReader(r, want, hashType(algorithm))
	if err != nil {
		return nil, fmt.Errorf("begin %s checksum: %w", algorithm, err)
	}
	return h, nil
}

// crcReader is versitygw's HashReader for CRC64NVME, with carry-less
// multiplication in place of tables: S3 computes this checksum of every body that
// comes with no other.
type crcReader struct {
	r    io.Reader
	h    hash.Hash64
	want string // base64, "" is not compared
}

// Read reads and hashes. A body cut short ends here too, so that its checksum is
// compared.
func (c *crcReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.h.Write(p[:n])
	if err == nil || (!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)) {
		return n, err
	}
	if c.want != "" && c.Sum() != c.want {
		return n, s3err.GetChecksumBadDigestErr(types.ChecksumAlgorithmCrc64nvme)
	}
	return n, io.EOF
}

// Sum returns the checksum of what has been read, in base64.
func (c *crcReader) Sum() string { return utils.Base64SumString(c.h.Sum(nil)) }

// digest reads a body and knows its checksums afterwards.
type digest struct {
	io.Reader
	md5       *background
	algorithm string
	trailer   middlewares.ChecksumReader // computes and verifies the checksum itself
	own       summer
	extra     summer // CRC64NVME beside another algorithm
	n         int64
}

// newDigest wraps r. The checksum of the algorithm is computed; if want is set
// the last read fails when it differs. A body that carries its checksum in a
// trailer has its own algorithm. With extra, CRC64NVME is computed in any case.
func newDigest(r io.Reader, algorithm, want string, extra bool) (*digest, error) {
	d := &digest{algorithm: algorithm, md5: newBackground(md5.New())}
	if t, ok := r.(middlewares.ChecksumReader); ok && t.Algorithm() != "" {
		d.trailer, d.algorithm = t, strings.ToUpper(t.Algorithm())
	} else if algorithm != "" {
		h, err := newSummer(r, algorithm, want)
		if err != nil {
			return nil, err
		}
		d.own, r = h, h
	}
	if extra && d.algorithm != crc64 {
		h := &crcReader{r: r, h: crc64nvme.New()}
		d.extra, r = h, h
	}
	d.Reader = r
	return d, nil
}

// Read reads and hashes.
func (d *digest) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	d.n += int64(n)
	d.md5.write(p[:n])
	return n, err
}

// etag returns the MD5 in hexadecimal. Nothing can be read after it.
func (d *digest) etag() string { return hex.EncodeToString(d.md5.sum()) }

// stop ends the digest's goroutine; sums not asked for are lost.
func (d *digest) stop() { d.md5.sum() }

// value returns the checksum of the digest's algorithm.
func (d *digest) value() string {
	switch {
	case d.trailer != nil:
		return d.trailer.Checksum()
	case d.own != nil:
		return d.own.Sum()
	default:
		return ""
	}
}

// crc64 returns the CRC64NVME of the body.
func (d *digest) crc64() string {
	if d.extra != nil {
		return d.extra.Sum()
	}
	return d.value()
}

// background hashes in a goroutine of its own once there is much to hash, so
// that hashing and storing a long body overlap.
type background struct {
	h      hash.Hash
	n      int64
	cur    []byte // being filled
	work   chan []byte
	spare  chan []byte
	done   chan struct{}
	result []byte
}

const (
	backgroundFrom   = 1 << 20 // bytes hashed in place first
	backgroundBuffer = 256 << 10
	backgroundDepth  = 4
)

func newBackground(h hash.Hash) *background { return &background{h: h} }

func (b *background) write(p []byte) {
	if b.n += int64(len(p)); b.work == nil {
		b.h.Write(p)
		if b.n >= backgroundFrom {
			b.start()
		}
		return
	}
	for len(p) > 0 {
		if b.cur == nil {
			b.cur = (<-b.spare)[:0]
		}
		n := min(len(p), cap(b.cur)-len(b.cur))
		b.cur = append(b.cur, p[:n]...)
		if p = p[n:]; len(b.cur) == cap(b.cur) {
			b.work <- b.cur
			b.cur = nil
		}
	}
}

func (b *background) start() {
	b.work = make(chan []byte, backgroundDepth)
	b.spare = make(chan []byte, backgroundDepth)
	b.done = make(chan struct{})
	for range backgroundDepth {
		b.spare <- make([]byte, backgroundBuffer)
	}
	go func() {
		defer close(b.done)
		for buf := range b.work {
			b.h.Write(buf)
			b.spare <- buf
		}
	}()
}

// sum ends the hashing and returns the hash. It can be called again.
func (b *background) sum() []byte {
	if b.result != nil {
		return b.result
	}
	if b.work != nil {
		if b.cur != nil {
			b.work <- b.cur
		}
		close(b.work)
		<-b.done
	}
	b.result = b.h.Sum(nil)
	return b.result
}
