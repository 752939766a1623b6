package cose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
)

// entryOf is a signed message of one of many keys; every fifth is over P-256.
func entryOf(t testing.TB, i int) batchEntry {
	t.Helper()
	seed := binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i))
	kind, raw := device.Ed25519, []byte(nil)
	var sign func([]byte) ([]byte, error)
	if i%5 == 4 {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		kind, raw = device.P256, elliptic.MarshalCompressed(elliptic.P256(), private.X, private.Y)
		sign = func(m []byte) ([]byte, error) {
			digest := sha256.Sum256(m)
			r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
			out := make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			return out, err
		}
	} else {
		private := ed25519.NewKeyFromSeed(seed)
		raw = private.Public().(ed25519.PublicKey)
		sign = func(m []byte) ([]byte, error) { return ed25519.Sign(private, m), nil }
	}
	public, err := device.NewPublicKey(kind, raw)
	if err != nil {
		t.Fatal(err)
	}
	message, err := Sign(public, sign, fmt.Appendf(nil, "reading %d", i), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	signed := m.Signed(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batchEntry{m, public, signed}
}

// A batch says of each message what Verify says.
func TestBatch(t *testing.T) {
	var all []batchEntry
	for i := range 150 {
		all = append(all, entryOf(t, i))
	}
	rapid.Check(t, func(r *rapid.T) {
		var b Batch
		n := rapid.IntRange(0, len(all)).Draw(r, "messages")
		bad := map[int]string{}
		for range rapid.IntRange(0, 3).Draw(r, "faults") {
			bad[rapid.IntRange(0, len(all)-1).Draw(r, "at")] = rapid.SampledFrom([]string{"signature", "signed", "key", "algorithm", "length"}).Draw(r, "fault")
		}
		for i, e := range all[:n] {
			m := *e.message
			e.message = &m
			switch bad[i] {
			case "signature":
				m.Signature = append([]byte{m.Signature[0] ^ 1}, m.Signature[1:]...)
			case "signed":
				e.signed = append([]byte{0}, e.signed...)
			case "key":
				e.key = all[(i+5)%len(all)].key
			case "algorithm":
				m.Protected = Header{labelAlgorithm: int64(-1)}
			case "length":
				m.Signature = m.Signature[:63]
			}
			b.Add(e.message, e.key, e.signed)
		}
		for i, err := range b.Verify() {
			if want := b.entries[i].message.VerifySigned(b.entries[i].key, b.entries[i].signed); fmt.Sprint(err) != fmt.Sprint(want) || err != nil && !errors.Is(err, ErrSignature) || (bad[i] == "") != (err == nil) {
				r.Fatalf("message %d with wrong %q: %v, want %v", i, bad[i], err, want)
			}
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	var all []batchEntry
	for i := range 400 {
		if i%5 < 4 {
			all = append(all, entryOf(b, i))
		}
	}
	for _, n := range []int{1, 4, 16, 64, 94, 128, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				batch := Batch{entries: all[:n]}
				for _, err := range batch.Verify() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/signature")
		})
	}
}
