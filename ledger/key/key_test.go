package key

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The phrase of BIP-39's first vector. Its first account at coin type 118 is
// known from wallets as cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4; the bytes
// are the same under our prefix.
func TestMnemonicVector(t *testing.T) {
	phrase := strings.Repeat("abandon ", 11) + "about"
	k, err := FromMnemonic(phrase, 0)
	if err != nil {
		t.Fatal(err)
	}
	const want = "grange19rl4cm2hmr8afy4kldpxz3fka4jguq0a"
	if got := k.Address().String(); !strings.HasPrefix(got, want) {
		t.Fatalf("address %s, want %s…", got, want)
	}
	other, err := FromMnemonic(phrase, 1)
	if err != nil {
		t.Fatal(err)
	}
	if other.Address().Equals(k.Address()) {
		t.Fatal("two accounts of a phrase are the same")
	}
}

func TestNewMnemonicMakesAKey(t *testing.T) {
	phrase, err := NewMnemonic()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(phrase)); n != 24 {
		t.Fatalf("%d words", n)
	}
	if _, err := FromMnemonic(phrase, 0); err != nil {
		t.Fatal(err)
	}
}

func TestFromMnemonicRefuses(t *testing.T) {
	for _, c := range []struct{ name, phrase string }{
		{"empty", ""},
		{"word missing", strings.Repeat("abandon ", 10) + "about"},
		{"wrong checksum", strings.Repeat("abandon ", 12)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := FromMnemonic(c.phrase, 0); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "a.json")
	k, created, err := LoadOrCreate(path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	again, created, err := LoadOrCreate(path)
	if err != nil || created || !again.Address().Equals(k.Address()) {
		t.Fatal(created, err)
	}
	if err := k.Save(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("overwrote: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("read a file that others can read: %v", err)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "good.json")
	if err := New().Save(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var good map[string]string
	if err := json.Unmarshal(raw, &good); err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]string{
		"type": "other", "private": "zz", "address": New().Address().String(),
	} {
		t.Run(field, func(t *testing.T) {
			bad := map[string]string{}
			for k, v := range good {
				bad[k] = v
			}
			bad[field] = value
			raw, _ := json.Marshal(bad)
			path := filepath.Join(dir, field)
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			if k, err := Load(path); err == nil {
				t.Fatalf("loaded %s", k)
			}
		})
	}
}

func TestKeysDoNotLeak(t *testing.T) {
	k := New()
	secret := fmt.Sprintf("%x", k.private.Key)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v %s", k, k)} {
		if strings.Contains(text, secret) {
			t.Fatal("private key printed")
		}
	}
	if _, err := json.Marshal(k); err == nil {
		t.Fatal("private key encoded")
	}
	if (Key{}).String() != "no key" {
		t.Fatal("zero key")
	}
}
