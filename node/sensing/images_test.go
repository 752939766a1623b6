package sensing

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	sense "github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/hidden"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/images/exif"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

// shelf is a storage in memory: it keeps what is put and gives it back.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=id/") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		kept, ok := s.kept[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(kept)
		return
	}
	s.kept[strings.TrimPrefix(r.URL.Path, "/")] = body
}

type oneKey struct{ key device.PublicKey }

func (k oneKey) Key(context.Context, device.ID) (device.PublicKey, error) { return k.key, nil }

// folder makes images of a drive that ended a minute ago, and others that cannot
// be taken.
func folder(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	street := scene.New(7)
	put := func(name string, z float64, info *exif.Info) {
		img, _ := street.View(z, 320, 240)
		file := scene.JPEG(img, 90)
		if info != nil {
			var err error
			if file, err = exif.Insert(file, *info); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now().Add(-time.Minute - time.Duration(n)*2*time.Second)
	for i, p := range drive.Drive(rand.New(rand.NewPCG(1, 1)), began.UnixMilli(), n, 2, 48.14, 11.57) {
		put("IMG_"+string(rune('a'+i))+".jpg", float64(i)*20, &exif.Info{Lat: p.Lat, Lon: p.Lon, Heading: p.Heading, Time: time.UnixMilli(p.Time), Make: "Test", Model: "1"})
	}
	put("nowhere.JPG", 900, &exif.Info{Lat: math.NaN(), Lon: math.NaN(), Heading: math.NaN(), Time: time.Now()})
	put("plain.jpeg", 950, nil)
	put("old.jpg", 1000, &exif.Info{Lat: 48, Lon: 11, Heading: 0, Time: time.Now().Add(-80 * time.Hour)})
	return dir
}

// A folder comes in once; what is stored is what the records say, without a word
// of where it was taken.
func TestImages(t *testing.T) {
	k, err := NewKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	server, err := ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: "test-1", Registry: oneKey{k.PublicKey()}, Kinds: []sense.Kind{images.Kind{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	gateway := httptest.NewServer(server.Handler())
	defer gateway.Close()
	store := &shelf{kept: map[string][]byte{}}
	door := httptest.NewServer(store)
	defer door.Close()
	const n = 12
	m := Images{
		Folder: folder(t, n), Dir: t.TempDir(), Key: k, ChainID: "test-1", Gateway: gateway.URL, Logger: slog.New(slog.DiscardHandler),
		Store: Bucket{URL: door.URL, Name: "street", Region: "us-east-1", AccessKey: "id", SecretKey: "secret"},
		Told: func(path string, _ images.Frame, err error) {
			if err != nil {
				t.Logf("%s: %v", filepath.Base(path), err)
			}
		},
	}
	got, err := m.Run(t.Context())
	if err != nil || got.Images != n || got.Refused != 3 || got.Batches != 1 {
		t.Fatalf("taken in is %+v, %v", got, err)
	}
	if again, err := m.Run(t.Context()); err != nil || again.Known != n || again.Images != 0 || again.Batches != 0 {
		t.Errorf("the second time taken in is %+v, %v", again, err)
	}
	var batches []*sense.Batch
	for e, err := range server.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := sense.Open(e.Raw, k.PublicKey(), "test-1")
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, b)
		frames, err := images.Decode(b.Payload)
		if err != nil || len(frames) != n {
			t.Fatalf("the gateway has %d frames, %v", len(frames), err)
		}
		for _, f := range frames {
			if err := images.Audit(f, store.kept[f.Key]); err != nil {
				t.Error(err)
			}
			if _, err := exif.Read(store.kept[f.Key]); err == nil {
				t.Errorf("%s has EXIF data", f.Key)
			}
		}
	}
	if len(batches) != 1 {
		t.Errorf("the gateway has %d batches", len(batches))
	}
	lat, lon, err := FirstPlace(m.Folder)
	if err != nil {
		t.Fatal(err)
	}
	away := m
	if away.Hidden, err = hidden.New(k.Private().Seed(), []hidden.Place{{Lat: lat, Lon: lon, Radius: hidden.MaxRadius}}); err != nil {
		t.Fatal(err)
	}
	away.Dir, store.kept = t.TempDir(), map[string][]byte{}
	if got, err := away.Run(t.Context()); err != nil || got.Images != 0 || got.Batches != 0 || got.Refused != n+3 {
		t.Errorf("around a hidden place taken in is %+v, %v", got, err)
	}
	for key := range store.kept {
		if strings.HasSuffix(key, ".jpg") {
			t.Errorf("%s was taken in a hidden place, and is stored", key)
		}
	}
	m.Gateway, m.Dir, m.Store.AccessKey = "http://127.0.0.1:1", t.TempDir(), "nobody"
	if _, err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("with a wrong key: %v", err)
	}
}
