package local

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/go-bip39"

	"github.com/grange-network/grange/ledger/chain"
)

// accountFile is what the key file of an account holds. The phrase is all a
// wallet needs to take the account over.
type accountFile struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Phrase  string `json:"phrase"`
}

// createAccount makes a key from a new 24-word phrase and writes it below home.
func createAccount(home, name string) (Account, error) {
	entropy, err := bip39.NewEntropy(256)
	if err != nil {
		return Account{}, err
	}
	phrase, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return Account{}, err
	}
	key, err := keyOf(phrase)
	if err != nil {
		return Account{}, err
	}
	a := Account{Name: name, Address: sdk.AccAddress(key.PubKey().Address()).String(), Key: filepath.Join("keys", name+".json")}
	file := accountFile{Name: name, Address: a.Address, Phrase: phrase}
	return a, writeJSON(filepath.Join(home, a.Key), file, 0o600)
}

// keyOf derives the account key of a phrase on the path wallets use.
func keyOf(phrase string) (*secp256k1.PrivKey, error) {
	path := hd.CreateHDPath(chain.CoinType, 0, 0).String()
	b, err := hd.Secp256k1.Derive()(phrase, "", path)
	if err != nil {
		return nil, fmt.Errorf("derive account key: %w", err)
	}
	return &secp256k1.PrivKey{Key: b}, nil
}

// load reads the key of an account and checks that it is the plan's.
func (a Account) load(home string) (*secp256k1.PrivKey, error) {
	path := filepath.Join(home, a.Key)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f accountFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	key, err := keyOf(f.Phrase)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if got := sdk.AccAddress(key.PubKey().Address()).String(); got != a.Address {
		return nil, fmt.Errorf("read %s: key of %s, the plan says %s", path, got, a.Address)
	}
	return key, nil
}

// createDeviceKey makes an ed25519 key and writes it as PKCS #8 PEM.
func createDeviceKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func loadDeviceKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("read %s: no PEM block", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read %s: key is %T, want ed25519", path, k)
	}
	return key, nil
}

// s3Keys are what an S3 client signs with.
type s3Keys struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

// createS3Keys makes keys in the shape S3 clients expect: 20 characters of
// upper-case base32 and 40 of base64.
func createS3Keys() s3Keys {
	var b [42]byte
	rand.Read(b[:])
	return s3Keys{
		Access: "GR" + base32.StdEncoding.EncodeToString(b[:12])[:18],
		Secret: base64.RawURLEncoding.EncodeToString(b[12:])[:40],
	}
}

func s3KeysPath(home string) string { return filepath.Join(home, "keys", "s3.json") }

func loadS3Keys(home string) (s3Keys, error) {
	var k s3Keys
	b, err := os.ReadFile(s3KeysPath(home))
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil || k.Access == "" || k.Secret == "" {
		return k, fmt.Errorf("read %s: no keys in it (%v)", s3KeysPath(home), err)
	}
	return k, nil
}
