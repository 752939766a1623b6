// Package key makes, stores and uses account keys: secp256k1, addressed with the
// chain's bech32 prefix, derivable from a BIP-39 phrase at the path wallets of
// this family use (BIP-44, coin type 118).
//
// A key file is JSON readable by its owner only. Its private part is plain (protect
// the disk) or sealed with a passphrase, which Load then asks for; see SetAsker.
// There is no keyring of the operating system.
package key

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/go-bip39"

	"github.com/grange-network/grange/ledger/chain"
)

// fileType marks the format of a key file.
const fileType = "grange/account/secp256k1/v1"

// Key is an account's private key. The zero Key is not usable.
type Key struct {
	private *secp256k1.PrivKey
}

// New returns a key from the system's randomness. It has no phrase.
func New() Key {
	return Key{private: secp256k1.GenPrivKey()}
}

// NewMnemonic returns a new 24-word BIP-39 phrase. Show it to the owner once;
// FromMnemonic makes the key from it.
func NewMnemonic() (string, error) {
	entropy, err := bip39.NewEntropy(256)
	if err != nil {
		return "", fmt.Errorf("read randomness for a phrase: %w", err)
	}
	return bip39.NewMnemonic(entropy)
}

// FromMnemonic derives account number index of a BIP-39 phrase at
// m/44'/118'/index'/0/0.
func FromMnemonic(phrase string, index uint32) (Key, error) {
	if !bip39.IsMnemonicValid(phrase) {
		return Key{}, errors.New("read phrase: not a valid BIP-39 phrase, check the words and their order")
	}
	path := hd.CreateHDPath(chain.CoinType, index, 0).String()
	raw, err := hd.Secp256k1.Derive()(phrase, "", path)
	if err != nil {
		return Key{}, fmt.Errorf("derive account key at %s: %w", path, err)
	}
	return FromBytes(raw)
}

// FromBytes takes a 32-byte private scalar.
func FromBytes(raw []byte) (Key, error) {
	if len(raw) != secp256k1.PrivKeySize {
		return Key{}, fmt.Errorf("read account key: %d bytes, want %d", len(raw), secp256k1.PrivKeySize)
	}
	return Key{private: &secp256k1.PrivKey{Key: append([]byte(nil), raw...)}}, nil
}

// IsZero reports whether k holds no key.
func (k Key) IsZero() bool { return k.private == nil }

// Private is the SDK's form of the key, for signing.
func (k Key) Private() *secp256k1.PrivKey { return k.private }

// Public is the SDK's form of the public key.
func (k Key) Public() *secp256k1.PubKey { return k.private.PubKey().(*secp256k1.PubKey) }

// Address is the account's 20-byte address.
func (k Key) Address() sdk.AccAddress { return sdk.AccAddress(k.Public().Address()) }

// String is the address in text, so that a key never leaks into a log.
func (k Key) String() string {
	if k.IsZero() {
		return "no key"
	}
	return k.Address().String()
}

// MarshalJSON refuses: keys are written by Save only.
func (k Key) MarshalJSON() ([]byte, error) {
	return nil, errors.New("encode account key: use Save")
}

type file struct {
	Type    string `json:"type"`
	Address string `json:"address"`
	Private string `json:"private"`
}

// Save writes the key to path with mode 0600, creating the folder with mode
// 0700. It never overwrites: fs.ErrExist if the file is there.
func (k Key) Save(path string) error {
	return k.plain().create(path)
}

func (k Key) plain() file {
	return file{Type: fileType, Address: k.Address().String(), Private: hex.EncodeToString(k.private.Key)}
}

// create writes a file that is not there.
func (f file) create(path string) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save account key: %w", err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save account key: %w", err)
	}
	if _, err := out.Write(append(raw, '\n')); err != nil {
		return errors.Join(fmt.Errorf("save account key: %w", err), out.Close())
	}
	if err := out.Sync(); err != nil {
		return errors.Join(fmt.Errorf("save account key: %w", err), out.Close())
	}
	return out.Close()
}

// Load reads a key file. It fails with fs.ErrNotExist if there is none and
// refuses a file that others may read.
func Load(path string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, fmt.Errorf("load account key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("load account key %s: mode is %04o, others can read it: run chmod 600 on it", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("load account key: %w", err)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return Key{}, fmt.Errorf("load account key %s: %w", path, err)
	}
	switch f.Type {
	case fileType:
	case sealedType:
		if f.Private, err = f.open(path); err != nil {
			return Key{}, err
		}
	default:
		return Key{}, fmt.Errorf("load account key %s: type is %q, want %q or %q", path, f.Type, fileType, sealedType)
	}
	scalar, err := hex.DecodeString(f.Private)
	if err != nil {
		return Key{}, fmt.Errorf("load account key %s: private key is not hex", path)
	}
	k, err := FromBytes(scalar)
	if err != nil {
		return Key{}, fmt.Errorf("load account key %s: %w", path, err)
	}
	if got := k.Address().String(); got != f.Address {
		return Key{}, fmt.Errorf("load account key %s: file says address %s, key has %s: file is damaged", path, f.Address, got)
	}
	return k, nil
}

// LoadOrCreate loads the key at path or makes and saves a new one; created says
// which.
func LoadOrCreate(path string) (k Key, created bool, err error) {
	k, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	k = New()
	return k, true, k.Save(path)
}
