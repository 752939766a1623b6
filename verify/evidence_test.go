package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
)

// tick is evidence of one row: a device did something.
type ticking struct {
	Device [32]byte `parquet:"device"`
	Count  uint64   `parquet:"count"`
}

var ticks = segment.Kind[ticking]{Name: "ticks", Leaf: func(b []byte, r *ticking) []byte {
	return binary.BigEndian.AppendUint64(append(b, r.Device[:]...), r.Count)
}}

// beaconing weighs devices by their counts.
type beaconing struct{}

func (beaconing) Info() vertical.Info {
	return vertical.Info{Name: "beacon", Class: vertical.DRN, Evidence: []string{"ticks"}, Units: []vertical.Unit{{Kind: "beacon", Use: "tick"}}}
}

func (beaconing) Score(_ context.Context, in vertical.Input) (lines []vertical.Line, err error) {
	for r, err := range evidence.Rows(in.Evidence, ticks) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, vertical.Line{Device: r.Device, Parts: []vertical.Part{{Name: "ticks", Terms: []vertical.Term{{Name: "count", Value: r.Count}}}}})
	}
	return lines, nil
}

// devices is a registry of all devices but device(9), and device(8), which is
// registered when the epoch is over.
type devices struct{ devicepb.QueryClient }

func (devices) Device(_ context.Context, r *devicepb.QueryDeviceRequest, _ ...grpc.CallOption) (*devicepb.QueryDeviceResponse, error) {
	if stranger := device(9); r.Id == hex.EncodeToString(stranger[:]) {
		return nil, client.ErrNotFound
	}
	d := devicepb.Device{Id: r.Id, Owner: "o", RegisteredHeight: beginning - 1, Profile: devicepb.Profile{Class: devicepb.CLASS_DRN}}
	if late := device(8); r.Id == hex.EncodeToString(late[:]) {
		d.RegisteredHeight = beginning
	}
	return &devicepb.QueryDeviceResponse{Device: d}, nil
}

// publisher publishes rows for an epoch.
func publisher(t *testing.T) (*evidence.Archive, string, func(epoch uint64, rows ...ticking)) {
	t.Helper()
	dir := t.TempDir()
	store, err := evidence.NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	archive := evidence.New(store)
	return archive, dir, func(epoch uint64, rows ...ticking) {
		t.Helper()
		name := func(ticking) segment.Name { return segment.Name{} }
		if err := evidence.PublishRows(t.Context(), archive, "beacon", epoch, evidence.Cutter[ticking]{Dir: t.TempDir(), Kind: ticks}, name, rows); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *books) scorer(t *testing.T, archive *evidence.Archive) *verifier {
	t.Helper()
	v := b.verifier(t, t.TempDir())
	v.Known, v.Archive, v.Verticals, v.ledger.Device = []vertical.Vertical{beaconing{}}, archive, []string{"beacon"}, devices{}
	return v
}

// segmentFiles are the files of segments in a store.
func segmentFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEvidenceSharesTheGrantAndIsRecomputed(t *testing.T) {
	b := newBooks()
	archive, _, put := publisher(t)
	v := b.scorer(t, archive)
	put(1, ticking{device(1), 1}, ticking{device(2), 3})
	put(1, ticking{device(9), 1000}) // another publisher; the device is not registered
	usage := use(1, 1, 100)
	usage.Kind = "beacon"
	b.usage[1] = []marketpb.Usage{usage}
	if err := v.report(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil || len(took[*oraclepb.MsgReport](b)) != 0 {
		t.Fatalf("epoch 1 was scored before its evidence was due (%v)", err)
	}
	if err := v.report(t.Context(), b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)); err != nil {
		t.Fatal(err)
	}
	// The grant of 300 in the ratio 1:3, and 80 for the usage of the first.
	votes := took[*oraclepb.MsgReport](b)
	if len(votes) != 1 || votes[0].Epoch != 1 || votes[0].Content.Total != 75+80+225 || votes[0].Content.Leaves != 2 {
		t.Fatalf("votes %+v", votes)
	}
	p, err := shelfOf(v.Home, "beacon").get(1)
	if err != nil || p.Evidence == nil || len(p.Evidence.Manifests) != 2 || len(p.Evidence.Devices) != 3 || p.Usage[1].Parts[0].Terms[0].Value != 3 {
		t.Fatalf("published %+v (%v)", p, err)
	}
	from := Sources{Verticals: v.Known, Archive: archive, Dir: t.TempDir()}
	if err := p.Check(t.Context(), Published{}, from); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context(), Published{}, Sources{Verticals: v.Known}); !errors.Is(err, evidence.ErrUnavailable) {
		t.Errorf("without the evidence: %v", err)
	}
	if err := p.Check(t.Context(), Published{}, Sources{}); err == nil {
		t.Error("checked without the vertical's Score")
	}
	for name, change := range map[string]func(*Published){
		"a manifest less":     func(p *Published) { p.Evidence.Manifests = p.Evidence.Manifests[:1] },
		"another seed":        func(p *Published) { p.Evidence.Seed = strings.Repeat("11", 32) },
		"another end":         func(p *Published) { p.Evidence.Ended++ },
		"a device registered": func(p *Published) { p.Evidence.Devices[2].Registered = !p.Evidence.Devices[2].Registered },
		"a device unlisted":   func(p *Published) { p.Evidence.Devices = p.Evidence.Devices[1:] },
		"usage of a kind":     func(p *Published) { p.Evidence.Usage[0].Kind = "beacon/x" },
		"a weight":            func(p *Published) { p.Usage[1].Weight++ },
		"a term":              func(p *Published) { p.Usage[1].Parts[0].Terms[0].Value++ },
	} {
		bad, err := shelfOf(v.Home, "beacon").get(1)
		if err != nil {
			t.Fatal(err)
		}
		change(&bad)
		if err := bad.Check(t.Context(), Published{}, from); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

// An epoch whose evidence is lost or withheld is not reported, and neither are
// later ones; when it is back the next report pays for all of them.
func TestLostEvidenceMakesTheEpochWait(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string, whole []byte){
		"lost":    func(t *testing.T, path string, _ []byte) { must(t, os.Remove(path)) },
		"changed": func(t *testing.T, path string, whole []byte) { must(t, os.WriteFile(path, append(whole, 0), 0o600)) },
		"cut": func(t *testing.T, path string, whole []byte) {
			must(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks()
			archive, dir, put := publisher(t)
			v := b.scorer(t, archive)
			put(1, ticking{device(1), 1})
			files := segmentFiles(t, dir)
			whole, err := os.ReadFile(files[0])
			must(t, err)
			spoil(t, files[0], whole)
			put(2, ticking{device(2), 5})
			for epoch := uint64(3); epoch <= 5; epoch++ {
				if err := v.report(t.Context(), b.at(epoch, oraclepb.EPOCH_STATUS_DECIDED, 0)); !errors.Is(err, evidence.ErrUnavailable) {
					t.Fatalf("in epoch %d: %v", epoch, err)
				}
			}
			if votes := took[*oraclepb.MsgReport](b); len(votes) != 0 {
				t.Fatalf("voted %+v", votes)
			}
			must(t, os.WriteFile(files[0], whole, 0o600))
			must(t, v.report(t.Context(), b.at(6, oraclepb.EPOCH_STATUS_DECIDED, 0)))
			votes := took[*oraclepb.MsgReport](b)
			if len(votes) != 1 || votes[0].Epoch != 3 || votes[0].Content.Total != 600 || votes[0].Content.Leaves != 2 {
				t.Fatalf("votes %+v", votes)
			}
		})
	}
}

func TestEvidenceIsGivenUpInTheEnd(t *testing.T) {
	b := newBooks()
	archive, dir, put := publisher(t)
	v := b.scorer(t, archive)
	put(1, ticking{device(1), 1})
	must(t, os.Remove(segmentFiles(t, dir)[0]))
	now := uint64(1 + patience + publishLag)
	if err := v.report(t.Context(), b.at(now, oraclepb.EPOCH_STATUS_DECIDED, 0)); !errors.Is(err, evidence.ErrUnavailable) {
		t.Fatalf("after %d epochs: %v", now, err)
	}
	must(t, v.report(t.Context(), b.at(now+1, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	p, err := shelfOf(v.Home, "beacon").get(1)
	if err != nil || !p.Evidence.Abandoned || p.Total != 0 {
		t.Fatalf("published %+v (%v)", p, err)
	}
	must(t, p.Check(t.Context(), Published{}, Sources{Verticals: v.Known}))
}

// Two verifiers saw different evidence and the ledger accepted neither: both score
// again what both see by then, and agree.
func TestWhatWasNotAcceptedIsScoredAgain(t *testing.T) {
	b := newBooks()
	archive, _, put := publisher(t)
	v := b.scorer(t, archive)
	put(1, ticking{device(1), 1})
	must(t, v.report(t.Context(), b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	first := took[*oraclepb.MsgReport](b)
	b.reports = nil // no quorum
	put(1, ticking{device(2), 1})
	must(t, v.report(t.Context(), b.at(5, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	late := b.scorer(t, archive)
	must(t, late.report(t.Context(), b.at(5, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	votes := took[*oraclepb.MsgReport](b)
	if len(first) != 1 || len(votes) != 1 || votes[0].Epoch != 2 || votes[0].Content.Leaves != 2 {
		t.Fatalf("first %+v, then %+v", first, votes)
	}
	ours, err := os.ReadFile(shelfOf(v.Home, "beacon").path(2))
	must(t, err)
	theirs, err := os.ReadFile(shelfOf(late.Home, "beacon").path(2))
	must(t, err)
	if sha256.Sum256(ours) != sha256.Sum256(theirs) {
		t.Fatalf("one published\n%s\nthe other\n%s", ours, theirs)
	}
}

// A verifier whose store is empty while the others' is not waits, and does not
// vote against what they had accepted meanwhile; once it sees the evidence it
// comes to the same.
func TestEmptyStoreNeverVotesAgainstOthers(t *testing.T) {
	b := newBooks()
	archive, _, put := publisher(t)
	empty, _, _ := publisher(t)
	put(1, ticking{device(1), 1})
	seeing, blind := b.scorer(t, archive), b.scorer(t, empty)
	now := b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)
	if err := blind.report(t.Context(), now); err != nil || len(took[*oraclepb.MsgReport](b)) != 0 {
		t.Fatalf("voted with an empty store (%v)", err)
	}
	must(t, seeing.report(t.Context(), now))
	if votes := took[*oraclepb.MsgReport](b); len(votes) != 1 || votes[0].Epoch != 1 {
		t.Fatalf("votes %+v", votes)
	}
	b.votes = map[uint64]oraclepb.Vote{} // that vote was another's
	must(t, blind.report(t.Context(), b.at(4, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	for range 2 {
		if err := blind.report(t.Context(), b.at(5, oraclepb.EPOCH_STATUS_DECIDED, 0)); err == nil || !strings.Contains(err.Error(), "no vote on epoch 2") {
			t.Fatalf("in epoch 5: %v", err)
		}
	}
	if votes := took[*oraclepb.MsgReport](b); len(votes) != 0 {
		t.Fatalf("voted against what was accepted: %+v", votes)
	}
	blind.Archive = archive
	put(4, ticking{device(1), 1})
	must(t, blind.report(t.Context(), b.at(6, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	votes := took[*oraclepb.MsgReport](b)
	if len(votes) != 1 || votes[0].Epoch != 4 || votes[0].Content.Total != 600 {
		t.Fatalf("voted %+v, want on epoch 4 only, with all that is owed", votes)
	}
}

func TestOldEpochsAndTheirEvidenceAreRemoved(t *testing.T) {
	b := newBooks()
	archive, dir, put := publisher(t)
	v := b.scorer(t, archive)
	v.Keep, v.Retain = 3, true
	for epoch := uint64(1); epoch <= 8; epoch++ {
		put(epoch, ticking{device(1), epoch})
		must(t, v.report(t.Context(), b.at(epoch+2, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	}
	epochs, err := shelfOf(v.Home, "beacon").epochs()
	if err != nil || len(epochs) != 3 || epochs[0] != 6 {
		t.Errorf("epochs %v are kept (%v), want 6, 7, 8", epochs, err)
	}
	if n := len(segmentFiles(t, dir)); n != 3 {
		t.Errorf("%d segments are kept, want 3", n)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A device that changed after an epoch is scored as it was.
func TestDeviceAsItWas(t *testing.T) {
	v := &verifier{ledger: Ledger{Device: changed{}}}
	for _, c := range []struct {
		name  string
		epoch uint64
		next  int64
		want  vertical.Device
		known bool
	}{
		{"before the change", 4, 1000, vertical.Device{Owner: "old", Class: vertical.PRN, Cell: 1, Registered: 7}, true},
		{"in the epoch of the change", 5, 1000, vertical.Device{Owner: "new", Class: vertical.PRN, Cell: 2, Registered: 7, Moved: 99}, true},
		{"before it was there", 1, 7, vertical.Device{}, false},
	} {
		got, known, err := v.device(t.Context(), [32]byte{1}, c.epoch, c.next)
		if err != nil || known != c.known || got != c.want {
			t.Errorf("%s: %+v, %v, %v, want %+v, %v", c.name, got, known, err, c.want, c.known)
		}
	}
}

// changed is a registry of one device that changed in epoch 5.
type changed struct{ devicepb.QueryClient }

func (changed) Device(context.Context, *devicepb.QueryDeviceRequest, ...grpc.CallOption) (*devicepb.QueryDeviceResponse, error) {
	return &devicepb.QueryDeviceResponse{Device: devicepb.Device{
		Owner: "new", Profile: devicepb.Profile{Class: devicepb.CLASS_PRN, Cell: 2}, CellChangedAt: 99, Moves: 1, RegisteredHeight: 7,
		Before: &devicepb.Before{Epoch: 5, Owner: "old", Class: devicepb.CLASS_PRN, Cell: 1, CellChangedAt: 10},
	}}, nil
}
