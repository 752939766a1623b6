package catalog

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openTest(t *testing.T) *DB {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.bolt.NoSync = true
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// model lists keys as S3 describes it, the slow and plain way: sort, roll up,
// take those after the marker, cut.
func model(keys []string, q Query) (entries []string, truncated bool) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	for _, k := range keys {
		if !strings.HasPrefix(k, q.Prefix) || k <= q.After && q.After != "" || q.Past != "" && (k <= q.Past || strings.HasPrefix(k, q.Past)) {
			continue
		}
		e := "key " + k
		if i := strings.Index(k[len(q.Prefix):], q.Delimiter); q.Delimiter != "" && i >= 0 {
			e = "prefix " + k[:len(q.Prefix)+i+len(q.Delimiter)]
		}
		if len(entries) > 0 && entries[len(entries)-1] == e {
			continue
		}
		if len(entries) == q.Limit {
			return entries, true
		}
		entries = append(entries, e)
	}
	return entries, false
}

// keyText makes short keys of few letters, so that prefixes and delimiters
// meet, including the first and last byte values.
var keyText = rapid.Custom(func(t *rapid.T) string {
	letters := rapid.SampledFrom([]string{"a", "b", "/", "//", "-", "\x00", "\xff", "\u00e5"})
	return strings.Join(rapid.SliceOfN(letters, 1, 6).Draw(t, "letters"), "")
})

func entryText(e Entry) string {
	if e.Prefix != "" {
		return "prefix " + e.Prefix
	}
	return "key " + e.Key
}

func TestListMatchesModel(t *testing.T) {
	db := openTest(t)
	rapid.Check(t, func(t *rapid.T) {
		bucket := time.Now().Format(time.RFC3339Nano)
		keys := rapid.SliceOfN(keyText, 0, 40).Draw(t, "keys")
		err := db.Update(t.Context(), func(tx *Tx) error {
			if err := tx.CreateBucket(bucket, &Bucket{}); err != nil {
				return err
			}
			for _, k := range keys {
				if err := tx.SetObject(bucket, k, &Object{ETag: k}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			q := Query{
				Delimiter: rapid.SampledFrom([]string{"", "/", "//", "a", "-/"}).Draw(t, "delimiter"),
				Limit:     rapid.IntRange(1, 8).Draw(t, "limit"),
			}
			if rapid.Bool().Draw(t, "with prefix") {
				q.Prefix = keyText.Draw(t, "prefix")
			}
			switch rapid.IntRange(0, 2).Draw(t, "marker") {
			case 1:
				q.After = keyText.Draw(t, "after")
			case 2:
				q.Past = keyText.Draw(t, "past")
			}
			want, more := model(keys, q)
			err := db.View(func(tx *Tx) error {
				page, err := tx.List(bucket, q)
				if err != nil {
					return err
				}
				var got []string
				for _, e := range page.Entries {
					got = append(got, entryText(e))
				}
				if !slices.Equal(got, want) || page.Truncated != more {
					t.Fatalf("%+v:\ngot  %q more %v\nwant %q more %v", q, got, page.Truncated, want, more)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// However a listing is cut into pages, it is the same listing.
func TestPagesAddUp(t *testing.T) {
	db := openTest(t)
	rapid.Check(t, func(t *rapid.T) {
		bucket := time.Now().Format(time.RFC3339Nano)
		keys := rapid.SliceOfN(keyText, 0, 40).Draw(t, "keys")
		err := db.Update(t.Context(), func(tx *Tx) error {
			if err := tx.CreateBucket(bucket, &Bucket{}); err != nil {
				return err
			}
			for _, k := range keys {
				if err := tx.SetObject(bucket, k, &Object{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		q := Query{Delimiter: rapid.SampledFrom([]string{"", "/", "a"}).Draw(t, "delimiter"), Limit: 1000}
		want, _ := model(keys, q)
		q.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
		var got []string
		for {
			var page Page
			err := db.View(func(tx *Tx) (err error) {
				page, err = tx.List(bucket, q)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				got = append(got, entryText(e))
			}
			if !page.Truncated {
				break
			}
			last := page.Entries[len(page.Entries)-1]
			q.After, q.Past = last.Key, last.Prefix
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func TestEscapeKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := keyText.Draw(t, "a"), keyText.Draw(t, "b")
		tail := rapid.SampledFrom([]string{"", "\x00", "\xff\xff"})
		ea, eb := string(escape(a))+tail.Draw(t, "ta"), string(escape(b))+tail.Draw(t, "tb")
		if a != b && strings.Compare(a, b) != strings.Compare(ea, eb) {
			t.Fatalf("%q and %q are in another order as %q and %q", a, b, ea, eb)
		}
		if got, err := unescape([]byte(ea)); err != nil || got != a {
			t.Fatalf("%q came back as %q, %v", a, got, err)
		}
	})
}
