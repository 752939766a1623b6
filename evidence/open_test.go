package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for _, c := range []struct{ name, where, bucket, prefix, err string }{
		{"a directory", "/tmp/evidence", "", "", ""},
		{"a bucket", "http://127.0.0.1:9000/evidence", "evidence", "", ""},
		{"a bucket with a prefix and a region", "https://s3.example.org/b/net/one/?region=eu-1", "b", "net/one/", ""},
		{"nothing", "", "", "", "want a directory"},
		{"another scheme", "ftp://host/b", "", "", "want a directory"},
		{"no bucket", "http://127.0.0.1:9000/", "", "", "BUCKET"},
		{"keys in the text", "http://id:hunter2@127.0.0.1/b", "", "", "in the environment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(c.where)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("got %v, want an error with %q", err, c.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("a secret is in %q", err)
			}
			if b, ok := s.(*S3); ok != (c.bucket != "") || ok && (b.bucket != c.bucket || b.prefix != c.prefix) {
				t.Fatalf("got %+v", s)
			}
		})
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := Open("http://127.0.0.1:9000/evidence"); err == nil {
		t.Error("a bucket without keys was opened")
	}
}

// A disk that is not mounted is not an epoch without evidence.
func TestMissingDirectoryIsUnavailable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(s).Published(t.Context(), "beacon", 1); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("listed a directory that is not there: %v", err)
	}
	if err := s.Put(t.Context(), "beacon/x", strings.NewReader("x")); err == nil {
		t.Fatal("stored in a directory that is not there")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if all, err := New(s).Published(t.Context(), "beacon", 1); err != nil || len(all) != 0 {
		t.Fatalf("listed %v of an empty directory: %v", all, err)
	}
}
