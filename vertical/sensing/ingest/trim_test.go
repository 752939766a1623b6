package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/wal"
)

// What the log no longer has is still known: no batch counts twice and no number
// is used again, after a restart too, and a device goes on where it was.
func TestTrim(t *testing.T) {
	dir, signer := t.TempDir(), sensingtest.NewSigner(1)
	all := series(t, signer, 3*recent+3)
	start := func() *Server {
		return open(t, dir, func(c *Config) { c.FileBytes = 4 << 10 }, signer)
	}
	accept := func(s *Server, n int, duplicate bool, want error) {
		t.Helper()
		if r, err := s.Accept(t.Context(), all[n].Raw); !errors.Is(err, want) || r.Duplicate != duplicate {
			t.Errorf("batch %d: %+v, %v; want a duplicate: %t, %v", n+1, r, err, duplicate, want)
		}
	}
	s := start()
	for n := range 3 * recent {
		accept(s, n, false, nil)
	}
	first, next := s.Kept()
	if err := s.Trim(next - 10); err != nil {
		t.Fatal(err)
	}
	kept, _ := s.Kept()
	if kept <= first || kept > next-10 {
		t.Fatalf("kept from %d to %d on; 10 of %d are needed", first, kept, next)
	}
	for _, err := range s.Entries(first) {
		if !errors.Is(err, wal.ErrGone) {
			t.Errorf("what is gone: %v", err)
		}
		break
	}
	accept(s, 3*recent, false, nil) // behind the checkpoint
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start()
	accept(s, 3*recent, true, nil)
	accept(s, 3*recent-recent/2, true, nil)
	accept(s, 0, false, ErrReplay)
	accept(s, 3*recent+1, false, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(dir, checkpointFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"a bit": append([]byte{raw[0] ^ 1}, raw[1:]...), "its end": raw[:len(raw)-1], "all but a little": raw[:20], "all of it": nil} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.cfg); !errors.Is(err, errCheckpoint) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	accept(start(), 3*recent+2, false, nil)
}

// A batch that is on its way to the disk is not in a checkpoint as one that is
// there.
func TestCheckpointWithoutPending(t *testing.T) {
	c := &chain{hash: map[uint64]*entry{}}
	c.note(1, &entry{hash: sensing.Hash{1}, seq: 1})
	c.note(2, &entry{hash: sensing.Hash{2}, pending: &wal.Pending{}})
	c.note(3, &entry{lost: true})
	r := fields{c.append(nil)}
	if newest, n, counter, seq := r.number(), r.number(), r.number(), r.number(); newest != 1 || n != 1 || counter != 1 || seq != 1 || len(r.rest) != len(sensing.Hash{}) {
		t.Errorf("newest %d, %d batches, the first is %d in record %d", newest, n, counter, seq)
	}
}

// A batch that is on the disk, and whose sender has no answer yet, is in a checkpoint
// that says that the log was read up to behind it.
func TestCheckpointHasWhatIsUnderWay(t *testing.T) {
	dir, signer := t.TempDir(), sensingtest.NewSigner(1)
	all := series(t, signer, 2)
	s := open(t, dir, nil, signer)
	if _, err := s.Accept(t.Context(), all[0].Raw); err != nil {
		t.Fatal(err)
	}
	under, err := s.chain(all[1].Device).begin(t.Context(), s, all[1])
	if err == nil {
		_, err = under.pending.Wait(t.Context())
	}
	if err == nil {
		err = errors.Join(s.checkpoint(), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil, signer)
	if r, err := s.Accept(t.Context(), all[1].Raw); err != nil || !r.Duplicate {
		t.Errorf("the batch again after a restart: %+v, %v; want a duplicate", r, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
