package provider

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
	"github.com/grange-network/grange/vertical/storage/provider/store"
)

// maxCommitmentBody bounds the JSON of a commitment in bytes: about 120,000 pieces.
const maxCommitmentBody = 8 << 20

// maxMissing bounds the roots listed in a refusal.
const maxMissing = 1000

// CommitmentJSON is the body of /v1/commitments, both ways. All strings are
// lower-case hex.
type CommitmentJSON struct {
	Lease       string   `json:"lease"`
	Revision    uint64   `json:"revision"`
	Root        string   `json:"root"`
	Units       uint64   `json:"units"`
	PayerSig    string   `json:"payer_sig"`
	ProviderSig string   `json:"provider_sig,omitempty"`
	Add         []string `json:"add,omitempty"`
	Remove      []string `json:"remove,omitempty"`
}

// commitmentJSON renders a commitment.
func commitmentJSON(c receipt.Commitment) CommitmentJSON {
	return CommitmentJSON{
		Lease: hexOf(c.Lease), Revision: c.Revision, Root: hexOf(c.Root), Units: c.Units,
		PayerSig: hex.EncodeToString(c.PayerSig[:]), ProviderSig: hex.EncodeToString(c.ProviderSig[:]),
	}
}

// parse reads the commitment and the changes it names.
func (j CommitmentJSON) parse() (c receipt.Commitment, add, remove []piece.Root, err error) {
	if c.Lease, err = parse32(j.Lease); err != nil {
		return c, nil, nil, fmt.Errorf("read lease: %w", err)
	}
	if c.Root, err = parse32(j.Root); err != nil {
		return c, nil, nil, fmt.Errorf("read root: %w", err)
	}
	if len(j.PayerSig) != 2*receipt.SignatureSize {
		return c, nil, nil, fmt.Errorf("read payer_sig: %d digits, want %d", len(j.PayerSig), 2*receipt.SignatureSize)
	}
	if _, err = hex.Decode(c.PayerSig[:], []byte(j.PayerSig)); err != nil {
		return c, nil, nil, fmt.Errorf("read payer_sig: %w", err)
	}
	c.Revision, c.Units = j.Revision, j.Units
	if add, err = parseRoots(j.Add); err != nil {
		return c, nil, nil, err
	}
	remove, err = parseRoots(j.Remove)
	return c, add, remove, err
}

func parseRoots(list []string) ([]piece.Root, error) {
	roots := make([]piece.Root, 0, len(list))
	for _, s := range list {
		r, err := piece.ParseRoot(s)
		if err != nil {
			return nil, err
		}
		roots = append(roots, r)
	}
	return roots, nil
}

func (p *Provider) postCommitment(w http.ResponseWriter, r *http.Request) error {
	var body CommitmentJSON
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommitmentBody)).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, CodeBadRequest, "read commitment: %w", err)
	}
	c, add, remove, err := body.parse()
	if err != nil {
		return refuse(http.StatusBadRequest, CodeBadRequest, "read commitment: %w", err)
	}
	s, err := p.authorise(r.Context(), c.Lease)
	if err != nil {
		return err
	}
	signed, err := p.agree(s, c, add, remove)
	if err != nil {
		return err
	}
	trace.Note(r.Context(), trace.EventCommitment, trace.Hex(trace.Lease, signed.Lease), trace.Number(trace.Revision, signed.Revision),
		trace.Number(trace.Units, signed.Units), trace.Roots.String(trace.RootList(add)))
	writeJSON(w, http.StatusOK, commitmentJSON(signed))
	return nil
}

// agree recomputes the set a commitment names and countersigns it. Agreeing to the
// same commitment again gives the same answer.
func (p *Provider) agree(s session, c receipt.Commitment, add, remove []piece.Root) (receipt.Commitment, error) {
	if err := c.VerifyPayer(p.chain, receipt.Key(s.lease.Lanes[0].Key)); err != nil {
		return c, &refusal{http.StatusForbidden, CodeBadSignature, err, nil}
	}
	m := p.agreement(c.Lease)
	m.Lock()
	defer m.Unlock()
	ours, _ := p.store.Commitment(c.Lease)
	if c.Revision == ours.Revision && c.Root == ours.Root && c.Units == ours.Units {
		return ours, nil
	}
	set, err := p.store.Set(c.Lease)
	if err != nil {
		return c, err
	}
	if c.Revision <= ours.Revision {
		return c, differs(c, ours.Revision, set, "revision is not newer")
	}
	if err := s.mayCommit(c, ours); err != nil {
		return c, err
	}
	next, added, removed, err := p.change(c.Lease, set, add, remove)
	if err != nil {
		return c, err
	}
	if next.Root() != c.Root || next.Units() != c.Units {
		return c, differs(c, ours.Revision, set, fmt.Sprintf("with %d added and %d removed the set is %x of %d bytes", len(added), len(removed), next.Root(), next.Units()))
	}
	if err := c.CountersignProvider(p.chain, p.conf.Key); err != nil {
		return c, err
	}
	if err := p.store.Commit(c, next, added, removed); errors.Is(err, store.ErrMissing) {
		// Swept between the look and the commit.
		return c, &refusal{http.StatusConflict, CodeMissing, fmt.Errorf("%w: upload it and commit again", err), nil}
	} else if err != nil {
		return c, err
	}
	return c, nil
}

// mayCommit refuses what the ledger would: growth of an unfunded lease, or beyond
// its capacity.
func (s session) mayCommit(c, ours receipt.Commitment) error {
	states := []lease.State{lease.Open}
	if c.Units <= ours.Units {
		states = append(states, lease.Grace)
	}
	if err := s.require("commit", states...); err != nil {
		return err
	}
	if c.Units > s.lease.Capacity {
		return refuse(http.StatusUnprocessableEntity, CodeTooLarge, "commit %d bytes to lease %s: its capacity is %d", c.Units, hexOf(c.Lease), s.lease.Capacity)
	}
	return nil
}

// change applies additions and removals to a set and returns those that changed it.
func (p *Provider) change(id [32]byte, set proof.Set, add, remove []piece.Root) (next proof.Set, added, removed []piece.Root, err error) {
	var missing []string
	for _, root := range add {
		if _, in := set.Size(root); in {
			continue
		}
		size, ok := p.store.Holds(id, root)
		if !ok {
			missing = append(missing, root.String())
			continue
		}
		if set, err = set.Add(proof.Piece{Root: root, Size: size}); err != nil {
			return set, nil, nil, err
		}
		added = append(added, root)
	}
	if len(missing) > 0 {
		return set, nil, nil, &refusal{http.StatusConflict, CodeMissing,
			fmt.Errorf("add pieces to lease %s: %d are not stored: upload them and commit again", hexOf(id), len(missing)),
			map[string]any{"missing": missing[:min(len(missing), maxMissing)]}}
	}
	for _, root := range remove {
		if _, in := set.Size(root); !in {
			continue
		}
		if set, err = set.Remove(root); err != nil {
			return set, nil, nil, err
		}
		removed = append(removed, root)
	}
	return set, added, removed, nil
}

// differs tells the payer what this side holds.
func differs(c receipt.Commitment, revision uint64, ours proof.Set, why string) error {
	return &refusal{http.StatusConflict, CodeDiffers,
		fmt.Errorf("commit lease %s revision %d to set %x of %d bytes: %s: compare with GET /v1/sets", hexOf(c.Lease), c.Revision, c.Root, c.Units, why),
		map[string]any{"revision": revision, "root": hexOf(ours.Root()), "units": ours.Units()}}
}

func (p *Provider) getCommitment(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	c, ok := p.store.Commitment(s.lease.ID)
	if !ok {
		return refuse(http.StatusNotFound, CodeNotFound, "no commitment of lease %s", hexOf(s.lease.ID))
	}
	writeJSON(w, http.StatusOK, commitmentJSON(c))
	return nil
}

// setJSON is the answer of /v1/sets.
type setJSON struct {
	Revision uint64      `json:"revision"`
	Root     string      `json:"root"`
	Units    uint64      `json:"units"`
	Pieces   []pieceJSON `json:"pieces"`
}

type pieceJSON struct {
	Root string `json:"root"`
	Size int64  `json:"size"`
}

func (p *Provider) getSet(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	m := p.agreement(s.lease.ID)
	m.Lock()
	c, _ := p.store.Commitment(s.lease.ID)
	set, err := p.store.Set(s.lease.ID)
	m.Unlock()
	if err != nil {
		return err
	}
	out := setJSON{Revision: c.Revision, Root: hexOf(set.Root()), Units: set.Units(), Pieces: make([]pieceJSON, 0, set.Len())}
	for pc := range set.All() {
		out.Pieces = append(out.Pieces, pieceJSON{pc.Root.String(), pc.Size})
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
