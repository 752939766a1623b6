package local

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/key"
)

// accountMaker derives the accounts of a network, one after the other, from one
// phrase: who keeps that phrase can take every account into any wallet.
type accountMaker struct {
	home   string
	phrase string
	next   uint32
}

// newAccountMaker makes a phrase and keeps it in keys/phrase.txt, readable by
// the owner only.
func newAccountMaker(home string) (*accountMaker, error) {
	phrase, err := key.NewMnemonic()
	if err != nil {
		return nil, err
	}
	return &accountMaker{home: home, phrase: phrase}, writeFile(filepath.Join(home, "keys", "phrase.txt"), []byte(phrase+"\n"), 0o600)
}

func (m *accountMaker) account(name string) (Account, error) {
	k, err := key.FromMnemonic(m.phrase, m.next)
	if err != nil {
		return Account{}, err
	}
	a := Account{Name: name, Address: k.Address().String(), Key: filepath.Join("keys", name+".json"), Index: m.next}
	m.next++
	return a, k.Save(filepath.Join(m.home, a.Key))
}

// load reads the key of an account and checks that it is the plan's.
func (a Account) load(home string) (key.Key, error) {
	path := filepath.Join(home, a.Key)
	k, err := key.Load(path)
	if err != nil {
		return k, err
	}
	if got := k.Address().String(); got != a.Address {
		return k, fmt.Errorf("read %s: key of %s, the plan says %s", path, got, a.Address)
	}
	return k, nil
}

// DeviceKey reads an ed25519 key (PKCS #8 PEM), or makes one that only its owner
// can read.
func DeviceKey(path string) (ed25519.PrivateKey, error) {
	k, err := loadDeviceKey(path)
	if errors.Is(err, os.ErrNotExist) {
		return createDeviceKey(path)
	}
	return k, err
}

// createDeviceKey makes an ed25519 key and writes it as PKCS #8 PEM.
func createDeviceKey(path string) (ed25519.PrivateKey, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	return k, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
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
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	k, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read %s: key is %T, want ed25519", path, parsed)
	}
	return k, nil
}

// s3Keys are what an S3 client signs with.
type s3Keys struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

// secretAlphabet keeps a secret to letters and digits, so that no shell or
// command line takes its first character for something else.
var secretAlphabet = strings.NewReplacer("-", "x", "_", "y")

// createS3Keys makes keys in the shape S3 clients expect: 20 characters of
// upper-case base32 and 40 of base64.
func createS3Keys(home string) error {
	var b [44]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	return writeJSON(s3KeysPath(home), s3Keys{
		Access: "GR" + base32.StdEncoding.EncodeToString(b[:12])[:18],
		Secret: secretAlphabet.Replace(base64.RawURLEncoding.EncodeToString(b[12:])[:40]),
	}, 0o600)
}

func s3KeysPath(home string) string { return filepath.Join(home, "keys", "s3.json") }

func loadS3Keys(home string) (s3Keys, error) {
	var k s3Keys
	b, err := os.ReadFile(s3KeysPath(home))
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil {
		return k, fmt.Errorf("read %s: %w", s3KeysPath(home), err)
	}
	if k.Access == "" || k.Secret == "" {
		return k, fmt.Errorf("read %s: it holds no keys", s3KeysPath(home))
	}
	return k, nil
}

// deviceID is the ledger's id of an ed25519 device key, in hex.
func deviceID(pub ed25519.PublicKey) string {
	k, err := device.NewPublicKey(device.Ed25519, pub)
	if err != nil {
		panic("a generated key is not a key: " + err.Error())
	}
	return k.ID().String()
}

// Accounts returns the account keys of a network by name.
func Accounts(home string) (map[string]key.Key, error) {
	p, err := LoadPlan(home)
	if err != nil {
		return nil, err
	}
	out := map[string]key.Key{}
	all := []Account{p.Validator, p.Sponsor, p.Buyer}
	if p.Notary != nil {
		all = append(all, p.Notary.Buyer)
	}
	if p.Sensing != nil {
		all = append(all, p.Sensing.Rover)
	}
	for _, pr := range p.all() {
		all = append(all, pr.Owner)
	}
	for _, a := range all {
		if out[a.Name], err = a.load(home); err != nil {
			return nil, err
		}
	}
	return out, nil
}
