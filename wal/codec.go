package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	fileMagic  = "GRWAL01\n"
	batchMagic = "GRWB"
	fileHead   = 32 // bytes
	batchHead  = 28 // bytes
	recordHead = 4  // bytes

	// maxBody is the largest body of a batch that is ever read, in bytes.
	maxBody = 32 << 20
	// MaxRecord is the largest record that Options can allow, in bytes.
	MaxRecord = 16 << 20
)

// ErrCorrupt is returned when acknowledged records cannot be read back.
var ErrCorrupt = errors.New("log is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn marks a batch that is not whole.
var errTorn = errors.New("batch is not whole")

type salt [12]byte

// appendFileHead writes the beginning of a file.
func appendFileHead(b []byte, first uint64, s salt) []byte {
	at := len(b)
	b = append(b, fileMagic...)
	b = binary.BigEndian.AppendUint64(b, first)
	b = append(b, s[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readFileHead reads what appendFileHead wrote.
func readFileHead(r io.Reader) (first uint64, s salt, err error) {
	var b [fileHead]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, s, fmt.Errorf("read file header: %w", err)
	}
	if string(b[:8]) != fileMagic {
		return 0, s, fmt.Errorf("read file header: it begins with %q, want %q", b[:8], fileMagic)
	}
	if got, want := crc32.Checksum(b[:28], castagnoli), binary.BigEndian.Uint32(b[28:]); got != want {
		return 0, s, fmt.Errorf("read file header: checksum %08x, want %08x", got, want)
	}
	return binary.BigEndian.Uint64(b[8:]), salt(b[16:28]), nil
}

// head is the fixed part of a batch.
type head struct {
	body  uint32 // bytes
	count uint32
	first uint64
	sum   uint32 // of the body
}

func putHead(b []byte, h head, s salt) {
	copy(b, batchMagic)
	binary.BigEndian.PutUint32(b[4:], h.body)
	binary.BigEndian.PutUint32(b[8:], h.count)
	binary.BigEndian.PutUint64(b[12:], h.first)
	binary.BigEndian.PutUint32(b[20:], h.sum)
	binary.BigEndian.PutUint32(b[24:], headSum(b, s))
}

func headSum(b []byte, s salt) uint32 {
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b[:24])
}

// parseHead reads the fixed part of a batch; ok is false for anything that
// putHead would not write.
func parseHead(b []byte, s salt) (h head, ok bool) {
	if len(b) < batchHead || string(b[:4]) != batchMagic || binary.BigEndian.Uint32(b[24:]) != headSum(b, s) {
		return h, false
	}
	h = head{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:]), binary.BigEndian.Uint32(b[20:])}
	return h, h.body <= maxBody && h.count > 0 && uint64(h.count)*recordHead <= uint64(h.body)
}

// readBatch reads the next batch, which must begin with record want. It returns
// io.EOF at the end and errTorn for a batch that is not whole. left bounds what
// it allocates.
func readBatch(r io.Reader, s salt, want uint64, left int64) (h head, body []byte, err error) {
	var b [batchHead]byte
	n, err := io.ReadFull(r, b[:])
	if errors.Is(err, io.EOF) && n == 0 {
		return h, nil, io.EOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return h, nil, errTorn
	}
	if err != nil {
		return h, nil, err
	}
	h, ok := parseHead(b[:], s)
	if !ok || h.first != want || int64(h.body) > left-batchHead {
		return h, nil, errTorn
	}
	body = make([]byte, h.body)
	if _, err = io.ReadFull(r, body); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return h, nil, errTorn
	}
	if err != nil {
		return h, nil, err
	}
	if crc32.Checksum(body, castagnoli) != h.sum || !framed(body, h.count) {
		return h, nil, errTorn
	}
	return h, body, nil
}

// framed reports whether body is exactly count records.
func framed(body []byte, count uint32) bool {
	for ; count > 0; count-- {
		if len(body) < recordHead {
			return false
		}
		n := uint64(binary.BigEndian.Uint32(body))
		if n > uint64(len(body)-recordHead) {
			return false
		}
		body = body[recordHead+n:]
	}
	return len(body) == 0
}

// laterBatch reports whether data holds a whole batch with a first record after
// want: then the bytes before it were acknowledged once.
func laterBatch(data []byte, s salt, want uint64) bool {
	for {
		i := bytes.Index(data, []byte(batchMagic))
		if i < 0 {
			return false
		}
		data = data[i:]
		if h, ok := parseHead(data, s); ok && h.first > want && uint64(len(data)-batchHead) >= uint64(h.body) {
			body := data[batchHead : batchHead+h.body]
			if crc32.Checksum(body, castagnoli) == h.sum && framed(body, h.count) {
				return true
			}
		}
		data = data[1:]
	}
}
