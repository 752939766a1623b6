package sensing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
)

// MaxFile is the most bytes of a file that can be evidence.
const MaxFile = 12 << 20

// partSize is how many bytes a part has; the last may have less.
const partSize = 48 << 10

// Part is a piece of a file, as evidence against a device whose signed record of
// the file says something else of it. Nobody signs a file: its bytes are those of
// the SHA-256 in the record, or they prove nothing.
type Part struct {
	Sums  []byte `parquet:"sums"` // SHA-256 of each part of the file, in their order
	Index uint32 `parquet:"index"`
	Bytes []byte `parquet:"bytes"`
}

// Files is the kind of segments with files that batches speak of.
var Files = segment.Kind[Part]{Name: "sensing-files", Leaf: func(b []byte, p *Part) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Sums)))
	b = append(b, p.Sums...)
	b = binary.BigEndian.AppendUint32(b, p.Index)
	return append(b, p.Bytes...)
}}

// PartsOf cuts a file of at most MaxFile bytes into parts.
func PartsOf(file []byte) ([]Part, error) {
	if len(file) == 0 || len(file) > MaxFile {
		return nil, fmt.Errorf("cut a file of %d bytes into evidence, want 1 to %d", len(file), MaxFile)
	}
	var parts []Part
	var sums []byte
	for piece := range slices.Chunk(file, partSize) {
		sum := sha256.Sum256(piece)
		sums = append(sums, sum[:]...)
		parts = append(parts, Part{Index: uint32(len(parts)), Bytes: piece})
	}
	for i := range parts {
		parts[i].Sums = sums
	}
	return parts, nil
}

// whole reports whether a part is what its place says: of all parts with the same
// sums there is one for each place.
func (p *Part) whole() bool {
	at, n := int(p.Index)*sha256.Size, len(p.Sums)
	if n == 0 || n%sha256.Size != 0 || n > sha256.Size*(MaxFile/partSize) || at >= n || len(p.Bytes) > partSize {
		return false
	}
	sum := sha256.Sum256(p.Bytes)
	return bytes.Equal(sum[:], p.Sums[at:at+sha256.Size])
}

// published puts the files of the evidence together. Parts of files that are not
// whole are passed over.
func published(ctx context.Context, in vertical.Input) (map[Hash][]byte, error) {
	parts := map[string]map[uint32][]byte{} // by sums
	for p, err := range evidence.Rows(in.Evidence, Files) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("read files: %w", err)
		}
		if !p.whole() {
			continue
		}
		sums := string(p.Sums)
		if parts[sums] == nil {
			parts[sums] = map[uint32][]byte{}
		}
		parts[sums][p.Index] = p.Bytes
	}
	files := map[Hash][]byte{}
	for sums, of := range parts { // order does not matter: a hash is of one file
		if len(of) != len(sums)/sha256.Size {
			continue
		}
		var file []byte
		for _, i := range slices.Sorted(maps.Keys(of)) {
			file = append(file, of[i]...)
		}
		files[sha256.Sum256(file)] = file
	}
	return files, nil
}
