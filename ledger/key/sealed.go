package key

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// sealedType marks a key file whose private part is encrypted with a passphrase:
// age's scrypt recipient, so that the age program can open it too.
const sealedType = "grange/account/secp256k1/age/v1"

// sealWork is the scrypt work of a new file, as a power of two: about a second and
// 256 MiB.
var sealWork = 18

// maxWork bounds the scrypt work, as a power of two, that a key file may ask for.
const maxWork = 20

// MinPassphrase is the least length of a passphrase in bytes.
const MinPassphrase = 8

// ErrSealed is returned for a key file whose passphrase nobody can give.
var ErrSealed = errors.New("key file is sealed with a passphrase and none is at hand")

// ErrPassphrase is returned for a wrong passphrase.
var ErrPassphrase = errors.New("wrong passphrase")

// Asker returns the passphrase of the key file at path.
type Asker func(path string) (string, error)

var asker atomic.Pointer[Asker]

// SetAsker tells Load whom to ask for the passphrase of a sealed file. A program
// calls it once, before it loads keys; without it such files give ErrSealed.
func SetAsker(a Asker) { asker.Store(&a) }

// SaveSealed is Save with the private part encrypted with passphrase.
func (k Key) SaveSealed(path, passphrase string) error {
	f, err := k.sealed(passphrase)
	if err != nil {
		return err
	}
	return f.create(path)
}

func (k Key) sealed(passphrase string) (file, error) {
	if len(passphrase) < MinPassphrase {
		return file{}, fmt.Errorf("seal account key: passphrase of %d bytes, want at least %d", len(passphrase), MinPassphrase)
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return file{}, fmt.Errorf("seal account key: %w", err)
	}
	to.SetWorkFactor(sealWork)
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err != nil {
		return file{}, fmt.Errorf("seal account key: %w", err)
	}
	_, err = io.WriteString(w, hex.EncodeToString(k.private.Key))
	if err = errors.Join(err, w.Close(), text.Close()); err != nil {
		return file{}, fmt.Errorf("seal account key: %w", err)
	}
	return file{Type: sealedType, Address: k.Address().String(), Private: out.String()}, nil
}

// Seal encrypts the key file at path with passphrase, in place: a crash leaves the
// old file or the new one. Copies made before stay readable.
func Seal(path, passphrase string) error {
	k, err := Load(path)
	if err != nil {
		return err
	}
	f, err := k.sealed(passphrase)
	if err != nil {
		return err
	}
	return f.replace(path)
}

// Unseal writes the sealed key file at path as a plain one, in place.
func Unseal(path string) error {
	k, err := Load(path)
	if err != nil {
		return err
	}
	return k.plain().replace(path)
}

func (f file) replace(path string) error {
	fresh := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace account key: %w", err)
	}
	if err := f.create(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("replace account key: %w", err)
	}
	return nil
}

// open decrypts the private part of the file at path, in hex.
func (f file) open(path string) (string, error) {
	ask := asker.Load()
	if ask == nil {
		return "", fmt.Errorf("load account key %s: %w", path, ErrSealed)
	}
	passphrase, err := (*ask)(path)
	if err != nil {
		return "", fmt.Errorf("load account key %s: %w", path, err)
	}
	with, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return "", fmt.Errorf("load account key %s: %w", path, err)
	}
	with.SetMaxWorkFactor(maxWork)
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(f.Private)), with)
	if err != nil {
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			return "", fmt.Errorf("load account key %s: %w", path, ErrPassphrase)
		}
		return "", fmt.Errorf("load account key %s: file is damaged: %w", path, err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, 1<<10))
	if err != nil {
		return "", fmt.Errorf("load account key %s: file is damaged: %w", path, err)
	}
	return string(raw), nil
}

// IsSealed reports whether the key file at path is encrypted.
func IsSealed(path string) (bool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("read account key: %w", err)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return false, fmt.Errorf("read account key %s: %w", path, err)
	}
	return f.Type == sealedType, nil
}
