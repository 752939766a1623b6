package network

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Digests are the SHA-256 of every regular file below dir, by relative path.
func Digests(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out[rel] = hex.EncodeToString(h.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Same fails the test unless both directories hold the same files.
func Same(t testing.TB, want, got map[string]string) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("nothing to compare")
	}
	wrong := 0
	for name, sum := range want {
		if got[name] != sum {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: digest %q, want %s", name, got[name], sum)
			}
		}
	}
	if wrong > 0 || len(got) != len(want) {
		t.Fatalf("%d of %d files differ; %d came back", wrong, len(want), len(got))
	}
}

// RandomFile writes size bytes that no compressor shortens, the same for a seed.
func RandomFile(t testing.TB, path string, size int64, seed uint64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	if _, err := io.CopyN(f, src, size); err != nil {
		t.Fatal(err)
	}
}
