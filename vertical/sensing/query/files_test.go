package query_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/store"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
)

func TestBulk(t *testing.T) {
	w := newWorld(t, 1_000_000)
	if err := w.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := "/v1/bulk/weather/2026-03-27/" + munich.Parent(3).String() + ".parquet"
	raw := w.get(path)
	if n := w.till.Owed().Total(); n != 12 {
		t.Errorf("%d units for a file of 12 rows", n)
	}
	seg, err := segment.Verify(bytes.NewReader(raw), int64(len(raw)), store.Files("weather"))
	if err != nil || seg.Rows() == nil || seg.Summary.Rows != 12 {
		t.Fatalf("file of %d bytes: %v", len(raw), err)
	}
	if same, _ := w.ask(path, "If-None-Match", `"other", W/"`+seg.Root.String()+`"`); same.StatusCode != http.StatusNotModified || w.till.Owed().Total() != 12 {
		t.Errorf("a file that is there already: %s, %d units", same.Status, w.till.Owed().Total()-12)
	}
	resp, part := w.ask(path, "Range", "bytes=4-103")
	if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(part, raw[4:104]) || resp.Header.Get("Grange-Root") != seg.Root.String() {
		t.Errorf("range: %s with %d bytes", resp.Status, len(part))
	}
	if n := w.till.Owed().Total(); n != 14 {
		t.Errorf("%d units for 100 bytes of two devices, want 2", n-12)
	}
}

// Headers that net/http reads otherwise than a quick look at them must not make a
// file cheaper than what is sent.
func TestBulkIsPaidByWhatIsSent(t *testing.T) {
	w := newWorld(t, 1_000_000)
	if err := w.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := "/v1/bulk/weather/2026-03-27/" + munich.Parent(3).String() + ".parquet"
	whole, raw := w.ask(path)
	tag := whole.Header.Get("ETag")
	for name, c := range map[string]struct {
		header, value string
		status        int
		units         uint64
	}{
		"an end that no file has":          {"Range", "bytes=0-9223372036854775807", 206, 12},
		"two parts and their heads":        {"Range", "bytes=0-99,200-299", 206, 4},
		"from the end":                     {"Range", "bytes=-10", 206, 2},
		"nothing of it":                    {"Range", "bytes=99999999-", 416, 0},
		"no range":                         {"Range", "bytes=x", 416, 0},
		"a list that is none":              {"If-None-Match", `x, ` + tag, 200, 12},
		"a tag in a tag":                   {"If-None-Match", `"a,` + tag + `,b"`, 200, 12},
		"what is there already":            {"If-None-Match", `"a", W/` + tag, 304, 0},
		"a tag with something behind it":   {"If-Match", tag + ` "x"`, 200, 12},
		"a tag that the file has no more":  {"If-Match", `"other"`, 412, 0},
		"a weak tag, which is never equal": {"If-Match", "W/" + tag, 412, 0},
	} {
		before := w.till.Owed().Total()
		resp, body := w.ask(path, c.header, c.value)
		if units := w.till.Owed().Total() - before; resp.StatusCode != c.status || units != c.units {
			t.Errorf("%s: %s with %d of %d bytes for %d units, want %d for %d", name, resp.Status, len(body), len(raw), units, c.status, c.units)
		}
	}
}

// Copies of segments that no proof is made from any more do not fill the disk.
func TestProverKeepsNoOldCopies(t *testing.T) {
	w := newWorld(t, 1_000_000)
	p := w.published().(*query.Published) //nolint:forcetypeassert // it is one
	old := filepath.Join(p.Dir, "of-before.parquet")
	if err := errors.Join(os.MkdirAll(p.Dir, 0o700), os.WriteFile(old, []byte("old"), 0o600)); err != nil {
		t.Fatal(err)
	}
	row := w.log.Rows()[0]
	b, err := row.Open(storetest.Chain)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := p.Prove(t.Context(), b.Device, b.Counter, b.Hash); err != nil || proof.Pending != "" {
		t.Fatalf("%+v: %v", proof, err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of before is still there: %v", err)
	}
}
