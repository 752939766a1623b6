package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/segment"
)

// Limits of a manifest.
const (
	MaxSegments = 1 << 16
	MaxManifest = 48 << 20 // bytes
)

// ID names the evidence of an epoch.
type ID struct {
	Vertical string
	Epoch    uint64
	Root     merkle.Hash // of the inputs
}

// String is the id for messages.
func (id ID) String() string {
	return fmt.Sprintf("%s, epoch %d, inputs %s", id.Vertical, id.Epoch, id.Root)
}

func (id ID) key() string { return epochPrefix(id.Vertical, id.Epoch) + id.Root.String() + ".json" }

func epochsPrefix(vertical string) string { return vertical + "/epochs/" }

func epochPrefix(vertical string, epoch uint64) string {
	return fmt.Sprintf("%s%020d/", epochsPrefix(vertical), epoch)
}

// parseKey reads what ID.key wrote.
func parseKey(key string) (ID, error) {
	parts := strings.Split(key, "/")
	if len(parts) == 4 && parts[1] == "epochs" {
		epoch, err1 := strconv.ParseUint(parts[2], 10, 64)
		root, err2 := hex.DecodeString(strings.TrimSuffix(parts[3], ".json"))
		if err1 == nil && err2 == nil && len(root) == merkle.HashSize {
			if id := (ID{parts[0], epoch, merkle.Hash(root)}); id.key() == key {
				return id, nil
			}
		}
	}
	return ID{}, fmt.Errorf("key %q is not a manifest's", key)
}

// Segment is one file of a manifest.
type Segment struct {
	segment.Summary
	SHA256 [sha256.Size]byte // of the file
}

func (s Segment) key(vertical string) string { return path.Join(vertical, "segments", s.Path(s.Root)) }

// leaf is what the inputs root commits to: root 32 ‖ SHA-256 32 ‖ bytes u64 ‖
// rows u64 ‖ parent u64 ‖ day u32 ‖ kind, big endian.
func (s Segment) leaf() []byte {
	b := append(s.Root[:], s.SHA256[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Bytes))
	b = binary.BigEndian.AppendUint64(b, s.Rows)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Parent))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Day))
	return append(b, s.Kind...)
}

// Manifest lists the segments of an epoch, sorted by their leaves.
type Manifest struct {
	ID
	Segments []Segment
}

// NewManifest sorts segments, drops those that are there twice and computes the
// root.
func NewManifest(vertical string, epoch uint64, segments []Segment) (Manifest, error) {
	if !validVertical(vertical) {
		return Manifest{}, fmt.Errorf("make manifest: vertical %q: want 1 to 32 lower-case letters, digits and '-'", vertical)
	}
	m := Manifest{ID: ID{Vertical: vertical, Epoch: epoch}, Segments: slices.Clone(segments)}
	slices.SortFunc(m.Segments, func(a, b Segment) int { return bytes.Compare(a.leaf(), b.leaf()) })
	m.Segments = slices.CompactFunc(m.Segments, func(a, b Segment) bool { return bytes.Equal(a.leaf(), b.leaf()) })
	if len(m.Segments) > MaxSegments {
		return m, fmt.Errorf("make manifest of %s, epoch %d: %d segments, at most %d are allowed", vertical, epoch, len(m.Segments), MaxSegments)
	}
	var log merkle.Log
	for _, s := range m.Segments {
		log.Append(s.leaf())
	}
	m.Root = log.Root()
	return m, nil
}

// Merge is the manifest of all segments of several publishers of one epoch.
func Merge(all ...Manifest) (Manifest, error) {
	if len(all) == 0 {
		return Manifest{}, errors.New("merge manifests: there are none")
	}
	var segments []Segment
	for _, m := range all {
		if m.Vertical != all[0].Vertical || m.Epoch != all[0].Epoch {
			return Manifest{}, fmt.Errorf("merge manifests of %s, epoch %d and %s, epoch %d", all[0].Vertical, all[0].Epoch, m.Vertical, m.Epoch)
		}
		segments = append(segments, m.Segments...)
	}
	return NewManifest(all[0].Vertical, all[0].Epoch, segments)
}

func validVertical(s string) bool {
	return len(s) > 0 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

const manifestVersion = 1

// manifestJSON is the file.
type manifestJSON struct {
	Version  int           `json:"version"`
	Vertical string        `json:"vertical"`
	Epoch    uint64        `json:"epoch,string"`
	Root     string        `json:"inputs_root"`
	Segments []segmentJSON `json:"segments"`
}

type segmentJSON struct {
	Kind   string `json:"kind"`
	Parent string `json:"parent"`
	Day    string `json:"day"`
	Rows   uint64 `json:"rows,string"`
	Bytes  int64  `json:"bytes,string"`
	Root   string `json:"root"`
	SHA256 string `json:"sha256"`
}

// Encode is the manifest's file: deterministic JSON.
func (m Manifest) Encode() ([]byte, error) {
	j := manifestJSON{manifestVersion, m.Vertical, m.Epoch, m.Root.String(), []segmentJSON{}}
	for _, s := range m.Segments {
		j.Segments = append(j.Segments, segmentJSON{s.Kind, s.Parent.String(), s.Day.String(), s.Rows, s.Bytes, s.Root.String(), hex.EncodeToString(s.SHA256[:])})
	}
	raw, err := json.MarshalIndent(j, "", " ")
	return append(raw, '\n'), err
}

// DecodeManifest reads what Encode wrote and refuses anything else: another
// form, another order, a root that its segments do not make.
func DecodeManifest(raw []byte) (Manifest, error) {
	if len(raw) > MaxManifest {
		return Manifest{}, fmt.Errorf("decode manifest of %d bytes, at most %d are allowed", len(raw), MaxManifest)
	}
	var j manifestJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	if j.Version != manifestVersion {
		return Manifest{}, fmt.Errorf("decode manifest: version %d, want %d", j.Version, manifestVersion)
	}
	segments := make([]Segment, 0, len(j.Segments))
	for i, s := range j.Segments {
		decoded, err := s.decode()
		if err != nil {
			return Manifest{}, fmt.Errorf("decode manifest: segment %d: %w", i, err)
		}
		segments = append(segments, decoded)
	}
	m, err := NewManifest(j.Vertical, j.Epoch, segments)
	if err != nil {
		return Manifest{}, err
	}
	if again, err := m.Encode(); err != nil || !bytes.Equal(again, raw) {
		return Manifest{}, fmt.Errorf("decode manifest of %s: not in the canonical form, or the root is not %s", m.ID, j.Root)
	}
	return m, nil
}

func (j segmentJSON) decode() (s Segment, err error) {
	parent, err1 := strconv.ParseUint(j.Parent, 16, 64)
	day, err2 := time.Parse(time.DateOnly, j.Day)
	root, err3 := hex.DecodeString(j.Root)
	sum, err4 := hex.DecodeString(j.SHA256)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return s, err
	}
	if len(root) != merkle.HashSize || len(sum) != sha256.Size || day.Unix() < 0 || !validVertical(j.Kind) || j.Bytes < 0 || j.Bytes > segment.MaxFile {
		return s, fmt.Errorf("kind %q, day %s, %d bytes, root %q, sha256 %q: out of range", j.Kind, j.Day, j.Bytes, j.Root, j.SHA256)
	}
	s.Summary = segment.Summary{
		Name: segment.Name{Kind: j.Kind, Parent: segment.Cell(parent), Day: segment.DayOf(day)},
		Rows: j.Rows, Root: merkle.Hash(root), Bytes: j.Bytes,
	}
	s.SHA256 = [sha256.Size]byte(sum)
	return s, nil
}
