package ledgerport

import (
	"github.com/grange-network/grange/ledger/oracle"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// Prover lends storage's challenges and proofs to the oracle. Neither package
// knows the other.
type Prover struct{}

var _ oracle.Prover = Prover{}

// Challenges draws c challenges over heads.
func (Prover) Challenges(seed, device [32]byte, heads []oracle.Head, c int) []oracle.Challenge {
	ours := make([]proof.Head, len(heads))
	for i, h := range heads {
		ours[i] = proof.Head(h)
	}
	drawn := proof.Challenges(seed, device, ours, c)
	out := make([]oracle.Challenge, len(drawn))
	for i, ch := range drawn {
		out[i] = oracle.Challenge(ch)
	}
	return out
}

// Verify reports why a proof does not show what ch asks of head, or nil.
func (Prover) Verify(head oracle.Head, ch oracle.Challenge, encoded []byte) error {
	return proof.Verify(proof.Head(head), proof.Challenge(ch), encoded)
}
