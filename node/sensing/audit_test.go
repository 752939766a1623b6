package sensing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	sense "github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/kinds"
	"github.com/grange-network/grange/vertical/sensing/publish"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

const auditChain = "audit-1"

// auditNow is a noon at which the pictures of the tests may be taken.
var auditNow = time.Date(2026, 6, 3, 11, 30, 0, 0, time.UTC)

// cameras are devices with a key each.
type cameras map[device.ID]device.PublicKey

func (c cameras) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	if k, ok := c[id]; ok {
		return k, nil
	}
	return device.PublicKey{}, ingest.ErrUnknown
}

func (c cameras) Cell(context.Context, device.ID) (h3.Cell, error) { return 0, nil }

// Device implements vertical.Registry: each is its owner's only one.
func (c cameras) Device(id [32]byte) (vertical.Device, bool) {
	_, ok := c[id]
	return vertical.Device{ID: id, Owner: device.ID(id).String(), Class: vertical.PRN}, ok
}

// audited is a gateway with storage, log and publisher.
type audited struct {
	t        *testing.T
	cameras  cameras
	store    *shelf
	server   *ingest.Server
	audit    *auditor
	publish  *publish.Publisher
	archive  *evidence.Archive
	told     map[device.ID]string
	dir      string
	pictures Bucket
	epoch    uint64
}

func newAudited(t *testing.T) *audited {
	x := &audited{t: t, cameras: cameras{}, store: &shelf{kept: map[string][]byte{}}, told: map[device.ID]string{}, dir: t.TempDir()}
	door := httptest.NewServer(x.store)
	t.Cleanup(door.Close)
	x.pictures = Bucket{URL: door.URL, Name: "street", Region: "us-east-1", AccessKey: "id", SecretKey: "secret"}
	var err error
	x.server, err = ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: auditChain, Registry: x.cameras, Kinds: kinds.All(), Now: func() time.Time { return auditNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.server.Close() })
	store, err := evidence.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	x.archive = evidence.New(store)
	x.publish = &publish.Publisher{Log: x.server, Registry: x.cameras, Archive: x.archive, Dir: t.TempDir(), ChainID: auditChain, Kinds: kinds.All()}
	x.restart()
	return x
}

// restart forgets what is not on the disk.
func (x *audited) restart() {
	x.t.Helper()
	found, err := openFindings(x.dir)
	if err != nil {
		x.t.Fatal(err)
	}
	x.audit = &auditor{
		log: x.server, pictures: x.pictures, chainID: auditChain, secret: []byte("of the gateway"), logger: slog.New(slog.DiscardHandler), oneTry: time.Millisecond, findings: found,
		tell: func(id device.ID, why string) { x.told[id] = why },
	}
	x.publish.Audit = found
}

// camera signs a batch of a drive; each frame is stored and described by what
// becomes of it.
func (x *audited) camera(seed byte, become func(i int, f *images.Frame, file []byte) (stored []byte)) device.ID {
	x.t.Helper()
	s := sensingtest.NewSigner(seed)
	x.cameras[s.PublicKey().ID()] = s.PublicKey()
	street := scene.New(uint64(seed))
	var all []images.Frame
	began := auditNow.Add(-2 * time.Hour)
	for i, p := range drive.Drive(rand.New(rand.NewPCG(uint64(seed), 1)), began.UnixMilli(), 24, 2, 48.14, 11.57+float64(seed)/10) {
		img, _ := street.View(float64(i)*20, 320, 240)
		file := scene.JPEG(img, 90)
		seen, err := picture.Look(file)
		if err != nil {
			x.t.Fatal(err)
		}
		f := images.Frame{
			Time: time.UnixMilli(p.Time).UTC(), Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600,
			Key: fmt.Sprintf("street/%d/%d.jpg", seed, i), SHA256: sha256.Sum256(file), Size: uint32(len(file)), Seen: seen, Camera: "test",
		}
		if stored := become(i, &f, file); stored != nil {
			x.store.kept[f.Key] = stored
		}
		all = append(all, f)
	}
	payload, err := images.Encode(all)
	if err != nil {
		x.t.Fatal(err)
	}
	b, err := sense.SealPayload(s, auditChain, 1, sense.Hash{}, images.Content, payload)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.server.Accept(x.t.Context(), b.Raw); err != nil {
		x.t.Fatal(err)
	}
	return b.Device
}

// weighed publishes an epoch and weighs it as a verifier does.
func (x *audited) weighed() map[device.ID]vertical.Line {
	x.t.Helper()
	x.epoch++
	if err := x.publish.Publish(x.t.Context(), x.epoch, auditNow); err != nil {
		x.t.Fatal(err)
	}
	ids, err := x.archive.Published(x.t.Context(), sense.Name, x.epoch)
	if err != nil || len(ids) != 1 {
		x.t.Fatalf("%d manifests, %v", len(ids), err)
	}
	in := vertical.Input{ChainID: auditChain, Epoch: x.epoch, Ended: auditNow.Unix(), Registry: x.cameras}
	if in.Evidence, err = x.archive.Fetch(x.t.Context(), ids[0], x.t.TempDir()); err != nil {
		x.t.Fatal(err)
	}
	lines, err := kinds.Vertical().Score(x.t.Context(), in)
	if err != nil {
		x.t.Fatal(err)
	}
	out := map[device.ID]vertical.Line{}
	for _, l := range lines {
		out[l.Device] = l
	}
	return out
}

func (x *audited) weight(lines map[device.ID]vertical.Line, id device.ID) uint64 {
	x.t.Helper()
	w, err := lines[id].Weight()
	if err != nil {
		x.t.Fatal(err)
	}
	return w
}

// Who lies about an image has nothing for the week, and everybody sees why; what
// nobody can read is not published until it can be; the honest have what they had.
func TestImageAudit(t *testing.T) {
	x := newAudited(t)
	honest := x.camera(1, func(_ int, _ *images.Frame, file []byte) []byte { return file })
	before := x.weight(x.weighed(), honest)
	liar := x.camera(2, func(_ int, f *images.Frame, file []byte) []byte {
		f.Seen.Hashes[0] = ^f.Seen.Hashes[0]
		return file
	})
	lazy := x.camera(3, func(int, *images.Frame, []byte) []byte { return nil })
	other := x.camera(4, func(_ int, _ *images.Frame, file []byte) []byte {
		return append([]byte(nil), make([]byte, len(file))...)
	})
	if unseen := x.weighed(); before == 0 || x.weight(unseen, liar) == 0 || x.weight(unseen, lazy) == 0 {
		t.Fatalf("before the audit honest, liar and lazy weigh %d, %d, %d", before, x.weight(unseen, liar), x.weight(unseen, lazy))
	}
	if err := x.audit.catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		got := x.weighed()
		if w := x.weight(got, honest); w != before {
			t.Errorf("%s: honest weighs %d, want %d", when, w, before)
		}
		if w := x.weight(got, liar); w != 0 || len(got[liar].Parts) != 1 || got[liar].Parts[0].Terms[0].Name != "as their records say" {
			t.Errorf("%s: liar weighs %d: %+v", when, w, got[liar].Parts)
		}
		for name, id := range map[string]device.ID{"lazy": lazy, "other": other} {
			if l, there := got[id]; there {
				t.Errorf("%s: the batch of %s is published: %+v", when, name, l)
			}
			if !strings.Contains(x.told[id], "batch 1 is not published") {
				t.Errorf("%s is told %q", name, x.told[id])
			}
		}
	}
	check("after the audit")
	if c := x.audit.counts; c[asRecorded] < 1 || c[unlike] < 1 || c[notThere] != 2 || c[unread] != 0 || x.told[honest] != "" || !strings.Contains(x.told[liar], "not as its record says") {
		t.Errorf("counts are %v; told is %v", c, x.told)
	}
	x.restart()
	check("after a restart")
	x.audit.again(t.Context(), auditNow)
	check("looked at again")
	street := scene.New(3) // the lazy one stores what it has records of, but for one
	put := func(i int) {
		img, _ := street.View(float64(i)*20, 320, 240)
		x.store.kept[fmt.Sprintf("street/3/%d.jpg", i)] = scene.JPEG(img, 90)
	}
	for i := range 23 {
		put(i)
	}
	x.audit.again(t.Context(), auditNow)
	check("all but one are stored")
	put(23)
	x.audit.again(t.Context(), auditNow)
	if got := x.weighed(); x.weight(got, lazy) == 0 || x.weight(got, honest) != before {
		t.Errorf("after all is stored lazy weighs %d, honest %d", x.weight(got, lazy), x.weight(got, honest))
	}
	if cuts, err := x.audit.Cuts(auditNow.Add(9 * 24 * time.Hour)); err != nil || len(cuts) != 0 || len(x.audit.waiting(auditNow.Add(9*24*time.Hour))) != 0 {
		t.Errorf("nine days later there are %d cuts, %v", len(cuts), err)
	}
}

// A storage that does not answer is nobody's fault.
func TestAuditWithoutStorage(t *testing.T) {
	x := newAudited(t)
	id := x.camera(1, func(_ int, _ *images.Frame, file []byte) []byte { return file })
	x.pictures.AccessKey = "nobody"
	x.restart()
	if err := x.audit.catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := x.weight(x.weighed(), id); w == 0 || x.audit.counts[unread] == 0 {
		t.Errorf("weighs %d; counts are %v", w, x.audit.counts)
	}
	next := x.audit.place()
	x.restart()
	if x.audit.place() != next || next == 0 {
		t.Errorf("goes on at %d after a restart, was at %d", x.audit.place(), next)
	}
}

// About one in twenty is drawn, one of each batch at least, by a secret.
func TestDrawn(t *testing.T) {
	frames := make([]images.Frame, images.MaxFrames)
	for i := range frames {
		frames[i].Size = uint32(i + 1)
	}
	all, same, found := 0, 0, 0
	for i := range 100 {
		batch := sense.Hash{byte(i)}
		a, b := drawn([]byte("one"), batch, frames), drawn([]byte("two"), batch, frames)
		all += len(a)
		if a[0].Size == b[0].Size {
			same++
		}
		if slices.ContainsFunc(drawn([]byte("one"), batch, frames[:150]), func(f images.Frame) bool { return f.Size%10 == 0 }) {
			found++
		}
		if one := drawn([]byte("one"), batch, frames[:2]); len(one) == 0 {
			t.Fatal("none is drawn of a batch of two")
		}
	}
	t.Logf("one image in ten is untrue: found in %d of 100 batches of 150", found)
	if all < 800 || all > 1200 || same > 10 {
		t.Errorf("%d of 20000 are drawn; with another secret %d of 100 begin with the same", all, same)
	}
}
