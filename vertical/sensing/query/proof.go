package query

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
)

// Proof shows that a device signed a batch and that it was published: the batch
// itself, its path to the root of a segment of evidence, and the segment's path to
// the root of the manifest that verifiers score.
type Proof struct {
	ChainID string      `json:"chain_id"`
	KeyType uint32      `json:"key_type"`
	Key     []byte      `json:"key"`   // of the device
	Batch   []byte      `json:"batch"` // COSE_Sign1
	Segment SegmentName `json:"segment"`
	Path    []byte      `json:"path"`   // of the batch in the segment, as core/merkle encodes it
	Listed  []byte      `json:"listed"` // of the segment in the manifest
	Epoch   uint64      `json:"epoch"`
	Inputs  string      `json:"inputs_root"`       // of the manifest
	Pending string      `json:"pending,omitempty"` // why there is no more than the batch's signature yet
}

// SegmentName is a segment as a manifest lists it.
type SegmentName struct {
	Parent string `json:"parent"`
	Day    string `json:"day"`
	Rows   uint64 `json:"rows"`
	Bytes  int64  `json:"bytes"`
	Root   string `json:"root"`
	SHA256 string `json:"sha256"`
}

func nameOf(s evidence.Segment) SegmentName {
	return SegmentName{s.Parent.String(), s.Day.String(), s.Rows, s.Bytes, s.Root.String(), hex.EncodeToString(s.SHA256[:])}
}

func (n SegmentName) segment() (s evidence.Segment, err error) {
	day, err1 := time.Parse(time.DateOnly, n.Day)
	root, err2 := hash(n.Root)
	sum, err3 := hash(n.SHA256)
	var parent uint64
	_, err4 := fmt.Sscanf(n.Parent, "%x", &parent)
	if err := errors.Join(err1, err2, err3, err4); err != nil || day.Unix() < 0 {
		return s, fmt.Errorf("segment of %s in %s: %w", n.Day, n.Parent, err)
	}
	s.Summary = segment.Summary{
		Name: segment.Name{Kind: sensing.Batches.Name, Parent: segment.Cell(parent), Day: segment.DayOf(day)}, Rows: n.Rows, Root: root, Bytes: n.Bytes,
	}
	s.SHA256 = sum
	return s, nil
}

func hash(text string) (merkle.Hash, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != merkle.HashSize {
		return merkle.Hash{}, fmt.Errorf("%.80q is not a hash", text)
	}
	return merkle.Hash(raw), nil
}

// ErrProof says that a proof does not show what it should.
var ErrProof = errors.New("proof does not hold")

// Checked is what a proof shows.
type Checked struct {
	Device  device.ID
	Counter uint64
	Hash    sensing.Hash
	Epoch   uint64
	Inputs  merkle.Hash // to be compared with what the ledger accepted
	Batch   *sensing.Batch
}

// Check checks a proof by itself: the device's signature, the batch's path to the
// segment's root, the segment's to the manifest's. Whether validators scored that
// manifest is for the caller to ask the ledger.
func Check(p *Proof) (Checked, error) {
	fail := func(err error) (Checked, error) { return Checked{}, fmt.Errorf("%w: %w", ErrProof, err) }
	if p.Pending != "" {
		return fail(errors.New(p.Pending))
	}
	row := sensing.Row{KeyType: p.KeyType, Key: p.Key, Batch: p.Batch}
	b, err := row.Open(p.ChainID)
	if err != nil {
		return fail(err)
	}
	s, err := p.Segment.segment()
	if err != nil {
		return fail(err)
	}
	path, err := merkle.DecodeProof(p.Path)
	if err != nil {
		return fail(err)
	}
	if path.Size != s.Rows {
		return fail(fmt.Errorf("path in a tree of %d rows, the segment has %d", path.Size, s.Rows))
	}
	if err := path.Verify(s.Root, sensing.Batches.Leaf(nil, &row)); err != nil {
		return fail(fmt.Errorf("batch %d of %s is not in segment %s: %w", b.Counter, b.Device, s.Root, err))
	}
	inputs, err := hash(p.Inputs)
	if err != nil {
		return fail(err)
	}
	listed, err := merkle.DecodeProof(p.Listed)
	if err != nil {
		return fail(err)
	}
	if err := s.ListedIn(inputs, listed); err != nil {
		return fail(err)
	}
	return Checked{b.Device, b.Counter, b.Hash, p.Epoch, inputs, b}, nil
}

// Shows reports whether the batch holds the reading that an observation claims. A
// reading of a format that is not SenML is shown by its batch only.
func (c Checked) Shows(o Observation) error {
	if o.Device != c.Device.String() || o.Batch != hex.EncodeToString(c.Hash[:]) || o.Counter != c.Counter {
		return fmt.Errorf("%w: observation of batch %d of %s, proof of batch %d of %s", ErrProof, o.Counter, o.Device, c.Counter, c.Device)
	}
	if c.Batch.Content != "" {
		return nil
	}
	for _, r := range c.Batch.Records {
		if r.Name == o.Variable && r.Time.Equal(o.Time) && r.Value == o.Value && r.Unit == o.Unit {
			return nil
		}
	}
	return fmt.Errorf("%w: batch %d of %s has no %s = %v at %s", ErrProof, c.Counter, c.Device, o.Variable, o.Value, o.Time.Format(time.RFC3339Nano))
}

// Report is what CheckAnswer found.
type Report struct {
	Observations int      // that are proven
	Pending      int      // that are signed, but not published yet
	Manifests    []Source // where they are published, by epoch
}

// Source is a manifest of evidence.
type Source struct {
	Epoch  uint64
	Inputs string
}

// maxAnswer bounds what CheckAnswer reads, in bytes.
const maxAnswer = 256 << 20

// CheckAnswer checks every observation of an answer in JSON that was asked for
// with proof=1.
func CheckAnswer(r io.Reader) (Report, error) {
	var a Answer
	raw, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(raw) > maxAnswer {
		err = fmt.Errorf("more than %d bytes", maxAnswer)
	}
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(raw)).Decode(&a)
	}
	if err != nil {
		return Report{}, fmt.Errorf("read answer: %w", err)
	}
	var out Report
	checked := map[string]Checked{}
	for batch, p := range a.Proofs {
		if p == nil || p.Pending != "" {
			continue
		}
		c, err := Check(p)
		if err != nil {
			return out, fmt.Errorf("batch %s: %w", batch, err)
		}
		checked[batch] = c
		if at := (Source{c.Epoch, c.Inputs.String()}); !slices.Contains(out.Manifests, at) {
			out.Manifests = append(out.Manifests, at)
		}
	}
	for _, o := range a.Observations {
		c, ok := checked[o.Batch]
		if !ok {
			if a.Proofs[o.Batch] == nil {
				return out, fmt.Errorf("%w: there is none for batch %s, which the answer has readings of: ask for it with proof=1", ErrProof, o.Batch)
			}
			out.Pending++
			continue
		}
		if err := c.Shows(o); err != nil {
			return out, err
		}
		out.Observations++
	}
	slices.SortFunc(out.Manifests, func(a, b Source) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	return out, nil
}
