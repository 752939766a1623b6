package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing"
)

// Topics of a device: where it publishes batches and where it reads why one was
// refused.
const (
	topicBatches = "v1/obs/"
	topicErrors  = "/error"
)

// Doors say how devices may sign in to MQTT: with a token that Token made from
// Secret, or with a password that Password made with their key.
type Doors struct {
	Server *Server
	Secret []byte // of tokens; empty: keys only
}

var _ mqttx.Rules = (*Doors)(nil)

// signIn is how long a signed password is good, either side of its time.
const signIn = 5 * time.Minute

// Token is a device's password for MQTT: hex of HMAC-SHA256 over its id. It lets
// a device connect; every batch is signed all the same.
func Token(secret []byte, id device.ID) string {
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write(id[:]) // never fails
	return hex.EncodeToString(m.Sum(nil))
}

// Password is a device's password made with its key: Unix seconds, a dot, and
// the signature in base64.
func Password(s sensing.Signer, chainID string, now time.Time) (string, error) {
	at := strconv.FormatInt(now.Unix(), 10)
	signature, err := s.Sign(signInBytes(chainID, at))
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	return at + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func signInBytes(chainID, at string) []byte {
	return []byte("grange/mqtt/v1\x00" + chainID + "\x00" + at)
}

var errSignIn = errors.New("name must be the device's id, password its token or a signature of now")

// CheckPassword checks a password that Password made with the key of a device.
func CheckPassword(ctx context.Context, registry Registry, chainID string, id device.ID, password string, now time.Time) error {
	at, encoded, _ := strings.Cut(password, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return errSignIn
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > signIn || off < -signIn {
		return fmt.Errorf("%w: it is %s off", errSignIn, off.Round(time.Second))
	}
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return errSignIn
	}
	key, err := registry.Key(ctx, id)
	if err != nil {
		return err
	}
	if !key.Verify(signInBytes(chainID, at), signature) {
		return errSignIn
	}
	return nil
}

// Connect implements mqttx.Rules.
func (d *Doors) Connect(name string, password []byte) (string, error) {
	id, err := device.ParseID(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSignIn, err)
	}
	if len(d.Secret) > 0 && subtle.ConstantTimeCompare([]byte(Token(d.Secret, id)), password) == 1 {
		return name, nil
	}
	if err := CheckPassword(context.Background(), d.Server.cfg.Registry, d.Server.cfg.ChainID, id, string(password), d.Server.cfg.Now()); err != nil {
		return "", err
	}
	return name, nil
}

// MayPublish implements mqttx.Rules: a device publishes its own batches only.
func (d *Doors) MayPublish(identity, topic string) bool { return topic == topicBatches+identity }

// MaySubscribe implements mqttx.Rules: a device reads its own errors only.
func (d *Doors) MaySubscribe(identity, filter string) bool {
	return filter == topicBatches+identity+topicErrors
}

// ErrorTopic implements mqttx.Rules.
func (d *Doors) ErrorTopic(identity, _ string) string { return topicBatches + identity + topicErrors }

// Publish implements mqttx.Rules: a batch is durable before it is acknowledged.
func (d *Doors) Publish(ctx context.Context, messages []mqttx.Message) {
	arrivals := make([]Arrival, len(messages))
	for i, m := range messages {
		arrivals[i] = Arrival{Raw: m.Payload, From: m.Identity}
	}
	for i, r := range d.Server.AcceptAll(ctx, arrivals) {
		if r.Err == nil {
			continue
		}
		messages[i].Err = r.Err
		if status, code := Reason(r.Err); status < 500 && !errors.Is(r.Err, ErrRate) {
			messages[i].Err = fmt.Errorf("%w (%s): %w", mqttx.ErrRefused, code, r.Err)
		}
	}
}
