package verify

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/grange-network/grange/core/beacon"
)

// keyFile holds the beacon key's secret seed in hex, readable by its owner only.
const keyFile = "beacon.key"

// loadKey reads the beacon key of a home, and makes one on the first run.
func loadKey(home string) (*beacon.Key, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make verifier home: %w", err)
	}
	path := filepath.Join(home, keyFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read beacon key: %w", err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("read beacon key %s: not hex", path) // the text stays out of the error
	}
	return beacon.NewKey(seed)
}

func makeKey(path string) (*beacon.Key, error) {
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return nil, fmt.Errorf("make beacon key: %w", err)
	}
	key, err := beacon.NewKey(seed)
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, []byte(hex.EncodeToString(seed)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("store beacon key: %w", err)
	}
	return key, nil
}

// writeFile puts a whole file in place: readers see all of it or none, also
// after a crash.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when the rename worked
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode)); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
