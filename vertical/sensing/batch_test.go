package sensing

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

const chain = "test-1"

func readings(v float64) []senml.Record {
	return []senml.Record{{Name: "temperature", Unit: "Cel", Time: time.Unix(1_700_000_000, 0).UTC(), Value: v}}
}

func TestSealAndOpen(t *testing.T) {
	s := sensingtest.NewSigner(1)
	first, err := Seal(s, chain, 1, Hash{}, readings(20))
	if err != nil {
		t.Fatal(err)
	}
	second, err := Seal(s, chain, 2, first.Hash, readings(21))
	if err != nil || second.Previous != first.Hash || second.Counter != 2 || second.Records[0].Value != 21 || second.Device != s.PublicKey().ID() {
		t.Fatalf("%+v, %v", second, err)
	}
	if id, err := Sender(second.Raw); err != nil || id != second.Device {
		t.Errorf("sender %s, %v", id, err)
	}
	if _, err := Open(second.Raw, s.PublicKey(), "another-chain"); !errors.Is(err, ErrSignature) {
		t.Errorf("on another network: %v", err)
	}
	if _, err := Open(second.Raw, sensingtest.NewSigner(2).PublicKey(), chain); !errors.Is(err, ErrSignature) {
		t.Errorf("with another key: %v", err)
	}
	for name, err := range map[string]error{
		"counter 0":              func() error { _, err := Seal(s, chain, 0, Hash{}, readings(1)); return err }(),
		"first names one before": func() error { _, err := Seal(s, chain, 1, first.Hash, readings(1)); return err }(),
		"no readings":            func() error { _, err := Seal(s, chain, 1, Hash{}, nil); return err }(),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, ErrMalformed)
		}
	}
}

// Whatever is changed on the way, a batch is refused or says the same.
func TestTamper(t *testing.T) {
	s := sensingtest.NewSigner(1)
	b, err := Seal(s, chain, 1, Hash{}, readings(20))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := bytes.Clone(b.Raw)
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if got, err := Open(raw, s.PublicKey(), chain); err == nil && (got.Hash != b.Hash || got.Counter != b.Counter || got.Records[0] != b.Records[0]) {
			t.Fatalf("%+v opens", got)
		}
	})
}
