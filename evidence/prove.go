package evidence

import (
	"fmt"

	"github.com/grange-network/grange/core/merkle"
)

// Prove shows that the manifest lists its segment number i.
func (m Manifest) Prove(i int) (merkle.Proof, error) {
	leaves := make([][]byte, len(m.Segments))
	for j, s := range m.Segments {
		leaves[j] = s.leaf()
	}
	p, err := merkle.Prove(leaves, uint64(i))
	if err != nil {
		return p, fmt.Errorf("prove segment %d of %s: %w", i, m.ID, err)
	}
	return p, nil
}

// ListedIn checks that the manifest with the inputs root lists the segment.
func (s Segment) ListedIn(root merkle.Hash, p merkle.Proof) error {
	if err := p.Verify(root, s.leaf()); err != nil {
		return fmt.Errorf("segment %s is not under inputs root %s: %w", s.Path(s.Root), root, err)
	}
	return nil
}
