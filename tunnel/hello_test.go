package tunnel

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The committed vectors of the router's two frames.
const (
	vectorHello  = "4752543102000000" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	vectorAnswer = "4752543101000000"
)

func TestHelloVectors(t *testing.T) {
	h := hello{kind: helloDial}
	for i := range h.key {
		h.key[i] = byte(i)
	}
	frame := h.encode()
	if got := hex.EncodeToString(frame[:]); got != vectorHello {
		t.Errorf("hello is %s, want %s", got, vectorHello)
	}
	answer := encodeAnswer(statusUnknown)
	if got := hex.EncodeToString(answer[:]); got != vectorAnswer {
		t.Errorf("answer is %s, want %s", got, vectorAnswer)
	}
}

func TestHelloRefusals(t *testing.T) {
	good := hello{kind: helloRegister}.encode()
	for name, spoil := range map[string]func(b []byte){
		"magic":    func(b []byte) { b[0]++ },
		"kind 0":   func(b []byte) { b[4] = 0 },
		"kind 3":   func(b []byte) { b[4] = 3 },
		"reserved": func(b []byte) { b[7] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			b := good
			spoil(b[:])
			if _, err := decodeHello(b); err == nil {
				t.Error("decoded")
			}
		})
	}
	if _, err := readHello(bytes.NewReader(good[:39])); err == nil || !strings.Contains(err.Error(), "read hello") {
		t.Errorf("short hello: %v", err)
	}
}

func FuzzHello(f *testing.F) {
	seed, _ := hex.DecodeString(vectorHello)
	f.Add(seed)
	f.Add([]byte(vectorAnswer))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := readHello(bytes.NewReader(in)); err == nil {
			frame := h.encode()
			if !bytes.Equal(frame[:], in[:helloSize]) {
				t.Fatalf("%x decodes to %+v, which encodes as %x", in[:helloSize], h, frame)
			}
		}
		if status, err := readAnswer(bytes.NewReader(in)); err == nil {
			frame := encodeAnswer(status)
			if !bytes.Equal(frame[:], in[:answerSize]) {
				t.Fatalf("%x decodes to status %d, which encodes as %x", in[:answerSize], status, frame)
			}
		}
		if e, err := ParseEndpoint(string(in)); err == nil && e.String() != string(in) {
			t.Fatalf("endpoint %q prints as %q", in, e)
		}
	})
}
