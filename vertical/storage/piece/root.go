package piece

import (
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	// MaxSize is the largest piece in bytes.
	MaxSize = 32 << 20
	// ChunkSize is the length of a BLAKE3 chunk in bytes, the grain of a Proof.
	ChunkSize = 1 << 10
	// GroupSize is the length of a chunk group in bytes, the grain of outboards and
	// slices.
	GroupSize = 16 << 10
	// Group is the group parameter of lukechampine.com/blake3/bao for GroupSize.
	Group = 4

	cvSize     = 32
	parentSize = 2 * cvSize
	headerSize = 8
)

// ErrInvalid is wrapped by every failure of verification: the bytes are not the
// ones the root names.
var ErrInvalid = errors.New("bytes do not match root")

// Root names a piece: the 32-byte BLAKE3 hash of its bytes.
type Root [32]byte

// String returns the root in lower-case hexadecimal.
func (r Root) String() string { return hex.EncodeToString(r[:]) }

// ParseRoot reads the hexadecimal form, exactly 64 digits.
func ParseRoot(s string) (r Root, err error) {
	if len(s) != 2*len(r) {
		return r, fmt.Errorf("parse root %.70q: %d characters, want %d", s, len(s), 2*len(r))
	}
	if _, err := hex.Decode(r[:], []byte(s)); err != nil {
		return Root{}, fmt.Errorf("parse root %q: %w", s, err)
	}
	return r, nil
}

func checkSize(size int64) error {
	if size < 1 || size > MaxSize {
		return fmt.Errorf("check piece: size %d outside 1..%d", size, MaxSize)
	}
	return nil
}

func checkRange(size, off, n int64) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if off < 0 || n < 1 || off > size-n {
		return fmt.Errorf("check range %d+%d: outside piece of %d bytes", off, n, size)
	}
	return nil
}
