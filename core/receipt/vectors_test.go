package receipt

import (
	"bufio"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

type vectorKeys struct {
	Name         string `json:"name"`
	ChainID      string `json:"chain_id"`
	PayerSeed    string `json:"payer_seed"`
	ProviderSeed string `json:"provider_seed"`
	Payer        string `json:"payer"`
	Provider     string `json:"provider"`
	Lease        string `json:"lease"`
	Wire         string `json:"wire"`
}

func (v vectorKeys) keys(t *testing.T) (payer, provider ed25519.PrivateKey) {
	payer = ed25519.NewKeyFromSeed(unhex(t, v.PayerSeed))
	provider = ed25519.NewKeyFromSeed(unhex(t, v.ProviderSeed))
	if p, q := public(payer), public(provider); hex.EncodeToString(p[:]) != v.Payer || hex.EncodeToString(q[:]) != v.Provider {
		t.Fatalf("%s: keys do not follow from their seeds", v.Name)
	}
	return payer, provider
}

type vectorFile struct {
	Receipts []struct {
		vectorKeys
		Lane     uint32 `json:"lane"`
		Seq      uint64 `json:"seq"`
		Units    uint64 `json:"units"`
		Epoch    uint64 `json:"epoch"`
		Evidence string `json:"evidence"`
	} `json:"receipts"`
	Commitments []struct {
		vectorKeys
		Revision uint64 `json:"revision"`
		Root     string `json:"root"`
		Units    uint64 `json:"units"`
	} `json:"commitments"`
}

func readVectors(t *testing.T) (f vectorFile) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReceiptVectors(t *testing.T) {
	for _, v := range readVectors(t).Receipts {
		t.Run(v.Name, func(t *testing.T) {
			payer, provider := v.keys(t)
			chain := ChainOf(v.ChainID)
			r := Receipt{
				Lease: [32]byte(unhex(t, v.Lease)), Lane: v.Lane, Seq: v.Seq, Units: v.Units,
				Epoch: v.Epoch, Evidence: [32]byte(unhex(t, v.Evidence)),
			}
			if err := r.SignPayer(chain, payer); err != nil {
				t.Fatal(err)
			}
			if err := r.CountersignProvider(chain, provider); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(r.Encode()); got != v.Wire {
				t.Fatalf("encode:\n got %s\nwant %s", got, v.Wire)
			}
			decoded, err := Decode(unhex(t, v.Wire))
			if err != nil || decoded != r {
				t.Fatalf("decode: %+v (%v)", decoded, err)
			}
			if err := decoded.Verify(chain, public(payer), public(provider)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestCommitmentVectors(t *testing.T) {
	for _, v := range readVectors(t).Commitments {
		t.Run(v.Name, func(t *testing.T) {
			payer, provider := v.keys(t)
			chain := ChainOf(v.ChainID)
			c := Commitment{Lease: [32]byte(unhex(t, v.Lease)), Revision: v.Revision, Root: [32]byte(unhex(t, v.Root)), Units: v.Units}
			if err := c.SignPayer(chain, payer); err != nil {
				t.Fatal(err)
			}
			if err := c.CountersignProvider(chain, provider); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(c.Encode()); got != v.Wire {
				t.Fatalf("encode:\n got %s\nwant %s", got, v.Wire)
			}
			decoded, err := DecodeCommitment(unhex(t, v.Wire))
			if err != nil || decoded != c {
				t.Fatalf("decode: %+v (%v)", decoded, err)
			}
			if err := decoded.Verify(chain, public(payer), public(provider)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// edge is one line of testdata/ed25519.jsonl.gz.
type edge struct {
	Name, Key, Msg, Sig string
	Valid               *bool
	Flags               []string
}

func readEdges(t *testing.T) (edges []edge) {
	f, err := os.Open("testdata/ed25519.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		var e edge
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		edges = append(edges, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(edges) < 1000 {
		t.Fatalf("%d edges, want all", len(edges))
	}
	return edges
}

// want is what the rule of doc.go says of an edge.
func (e edge) want() bool {
	switch source, _, _ := strings.Cut(e.Name, "/"); source {
	case "wycheproof":
		return *e.Valid
	case "speccheck":
		// 3: key and R with a torsion component; 4 and 5: valid by the
		// cofactored equation only. 0 to 2 have a key or R of small order, 6
		// and 7 an S not below the order, 8 to 11 a non-canonical point.
		return slices.Contains([]string{"speccheck/3", "speccheck/4", "speccheck/5"}, e.Name)
	case "zip215":
		return false // all keys are of small order
	default:
		refused := []string{"LowOrderA", "LowOrderR", "NonCanonicalA", "NonCanonicalR"}
		return !slices.ContainsFunc(e.Flags, func(f string) bool { return slices.Contains(refused, f) })
	}
}

// Single verification follows the rule on every edge, and a batch agrees with
// it: alone, among valid signatures, and all edges in one batch.
func TestEdgesOfEd25519(t *testing.T) {
	var all []edgeCase
	accepted := map[string]int{}
	for _, e := range readEdges(t) {
		sig := unhex(t, e.Sig)
		if len(sig) != SignatureSize {
			if e.want() {
				t.Fatalf("%s: valid with %d bytes", e.Name, len(sig))
			}
			continue // the type Signature cannot hold it
		}
		c := edgeCase{e.Name, Key(unhex(t, e.Key)), unhex(t, e.Msg), Signature(sig), e.want()}
		all = append(all, c)
		source, _, _ := strings.Cut(e.Name, "/")
		if c.want {
			accepted[source]++
		}
		if got := verify(c.key, c.message, c.sig); got != c.want {
			t.Errorf("%s: single says %t, want %t", c.name, got, c.want)
		}
		if got := batchOf(c)[0]; got != c.want {
			t.Errorf("%s: batch of one says %t, want %t", c.name, got, c.want)
		}
		if got := batchOf(honest, c, honest); got[1] != c.want || !got[0] || !got[2] {
			t.Errorf("%s: batch of three says %t, want %t in the middle", c.name, got, c.want)
		}
		if c.want && c.key.Valid() != nil {
			t.Errorf("%s: signs, but %v", c.name, c.key.Valid())
		}
	}
	got := batchOf(all...)
	var good []edgeCase
	for i, c := range all {
		if got[i] != c.want {
			t.Errorf("%s: batch of all says %t, want %t", c.name, got[i], c.want)
		}
		if c.want {
			good = append(good, c)
		}
	}
	// The fast path: one equation over everything that is valid on its own,
	// torsion components and all.
	if got := batchOf(good...); slices.Contains(got, false) {
		t.Errorf("batch of all valid edges: %t", got)
	}
	t.Logf("accepted %v of %d", accepted, len(all))
}

type edgeCase struct {
	name    string
	key     Key
	message []byte
	sig     Signature
	want    bool
}

var honest = edgeCase{
	key: public(payerKey), message: []byte("m"),
	sig: Signature(ed25519.Sign(payerKey, []byte("m"))), want: true,
}

// batchOf runs the batch code over bare signatures; each makes an entry with the
// honest one as its second half.
func batchOf(cases ...edgeCase) []bool {
	b := NewBatch(testChain, len(cases))
	for _, c := range cases {
		b.add(c.key, c.message, c.sig)
		b.add(honest.key, honest.message, honest.sig)
		b.faults = append(b.faults, func(int) error { return ErrPayerSignature })
	}
	errs := b.Verify()
	valid := make([]bool, len(cases))
	for i := range valid {
		valid[i] = errs == nil || errs[i] == nil
	}
	return valid
}
