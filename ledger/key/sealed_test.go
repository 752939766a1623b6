package key_test

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/ledger/key"
)

const passphrase = "correct horse battery"

func TestSealedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.json")
	k := key.New()
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := key.Seal(path, "short"); err == nil {
		t.Fatal("a short passphrase was taken")
	}
	if err := key.Seal(path, passphrase); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(raw), hex.EncodeToString(k.Private().Key)) {
		t.Fatalf("the private key is in the sealed file (%v)", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if _, err := key.Load(path); !errors.Is(err, key.ErrSealed) {
		t.Fatalf("load without passphrase: %v", err)
	}
	if err := k.SaveSealed(path, passphrase); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("save over a file: %v", err)
	}
	said := "wrong horse"
	key.SetAsker(func(asked string) (string, error) {
		if asked != path {
			t.Errorf("asked for %s, want %s", asked, path)
		}
		return said, nil
	})
	if _, err := key.Load(path); !errors.Is(err, key.ErrPassphrase) {
		t.Fatalf("load with a wrong passphrase: %v", err)
	}
	said = passphrase
	got, err := key.Load(path)
	if err != nil || got.String() != k.String() {
		t.Fatalf("loaded %v (%v), want %v", got, err, k)
	}
	if err := key.Unseal(path); err != nil {
		t.Fatal(err)
	}
	if sealed, err := key.IsSealed(path); sealed || err != nil {
		t.Fatalf("sealed %v (%v) after Unseal", sealed, err)
	}
	damaged := strings.Replace(string(raw), "END AGE", "END RAGE", 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Load(path); err == nil || errors.Is(err, key.ErrPassphrase) {
		t.Fatalf("load of a damaged file: %v", err)
	}
}
