package cose

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, kind device.KeyType, s string) device.PublicKey {
	t.Helper()
	k, err := device.NewPublicKey(kind, unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The COSE working group's examples (github.com/cose-wg/Examples, public domain).
func TestExamples(t *testing.T) {
	// x = usWx..., y is even, so the compressed point begins with 02.
	p256 := key(t, device.P256, "02bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff")
	ed := key(t, device.Ed25519, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	for _, tt := range []struct {
		name     string
		key      device.PublicKey
		external string
		raw      string
		want     error
	}{
		{"sign-pass-01: algorithm not protected", p256, "", "D28441A0A201260442313154546869732069732074686520636F6E74656E742E584087DB0D2E5571843B78AC33ECB2830DF7B6E0A4D5B7376DE336B23C591C90C425317E56127FBE04370097CE347087B233BF722B64072BEB4486BDA4031D27244F", nil},
		{"sign-pass-02: external data", p256, "11aa22bb33cc44dd55006699", "D28443A10126A10442313154546869732069732074686520636F6E74656E742E584010729CD711CB3813D8D8E944A8DA7111E7B258C9BDCA6135F7AE1ADBEE9509891267837E1E33BD36C150326AE62755C6BD8E540C3E8F92D7D225E8DB72B8820B", nil},
		{"sign-pass-02 without the external data", p256, "", "D28443A10126A10442313154546869732069732074686520636F6E74656E742E584010729CD711CB3813D8D8E944A8DA7111E7B258C9BDCA6135F7AE1ADBEE9509891267837E1E33BD36C150326AE62755C6BD8E540C3E8F92D7D225E8DB72B8820B", ErrSignature},
		{"sign-pass-03: no tag", p256, "", "8443A10126A10442313154546869732069732074686520636F6E74656E742E58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", nil},
		{"ecdsa-sig-01", p256, "", "D28445A201260300A10442313154546869732069732074686520636F6E74656E742E58406520BBAF2081D7E0ED0F95F76EB0733D667005F7467CEC4B87B9381A6BA1EDE8E00DF29F32A37230F39A842A54821FDD223092819D7728EFB9D3A0080B75380B", nil},
		{"eddsa-sig-01", ed, "", "D28445A201270300A10442313154546869732069732074686520636F6E74656E742E58407142FD2FF96D56DB85BEE905A76BA1D0B7321A95C8C4D3607C5781932B7AFB8711497DFA751BF40B58B3BCC32300B1487F3DB34085EEF013BF08F4A44D6FEF0D", nil},
		{"sign-fail-01: wrong tag", p256, "", "D903E68443A10126A10442313154546869732069732074686520636F6E74656E742E58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", ErrMalformed},
		{"sign-fail-02: payload changed", p256, "", "D28443A10126A10442313154546869732069732074686520636F6E74656E742F58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", ErrSignature},
		{"sign-fail-03: unknown algorithm", p256, "", "D28445A1013903E6A10442313154546869732069732074686520636F6E74656E742E58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", ErrSignature},
		{"sign-fail-04: algorithm is a text", p256, "", "D2844AA10167756E6B6E6F776EA10442313154546869732069732074686520636F6E74656E742E58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", ErrSignature},
		{"sign-fail-06: protected header added", p256, "", "D28445A201260300A10442313154546869732069732074686520636F6E74656E742E58408EB33E4CA31D1C465AB05AAC34CC6B23D58FEF5C083106C4D25A91AEF0B0117E2AF9A291AA32E14AB834DC56ED2A223444547E01F11D3B0916E5A4C345CACB36", ErrSignature},
		{"sign-fail-07: protected header removed", p256, "", "D28443A10126A10442313154546869732069732074686520636F6E74656E742E58406520BBAF2081D7E0ED0F95F76EB0733D667005F7467CEC4B87B9381A6BA1EDE8E00DF29F32A37230F39A842A54821FDD223092819D7728EFB9D3A0080B75380B", ErrSignature},
		{"another curve's key", ed, "", "D28445A201260300A10442313154546869732069732074686520636F6E74656E742E58406520BBAF2081D7E0ED0F95F76EB0733D667005F7467CEC4B87B9381A6BA1EDE8E00DF29F32A37230F39A842A54821FDD223092819D7728EFB9D3A0080B75380B", ErrSignature},
	} {
		m, err := Parse(unhex(t, tt.raw))
		if err == nil {
			err = m.Verify(tt.key, unhex(t, tt.external))
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if _, quickly := quick(unhex(t, tt.raw)); quickly != (err == nil || errors.Is(err, ErrSignature)) {
			t.Errorf("%s: read quickly: %v", tt.name, quickly)
		}
		if err == nil && (string(m.Payload) != "This is the content." || string(m.KeyID()) != "11") {
			t.Errorf("%s: payload %q, key id %q", tt.name, m.Payload, m.KeyID())
		}
	}
}

func TestSignAndVerify(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		private := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "seed"))
		public, err := device.NewPublicKey(device.Ed25519, private.Public().(ed25519.PublicKey))
		if err != nil {
			r.Fatal(err)
		}
		payload := rapid.SliceOf(rapid.Byte()).Draw(r, "payload")
		if payload == nil {
			payload = []byte{}
		}
		counter := int64(rapid.Uint32().Draw(r, "counter"))
		raw, err := Sign(public, func(p []byte) ([]byte, error) { return ed25519.Sign(private, p), nil }, payload, []byte("here"), Header{-70001: counter})
		if err != nil {
			r.Fatal(err)
		}
		m, err := Parse(raw)
		if err != nil || m.Verify(public, []byte("here")) != nil || string(m.Payload) != string(payload) || m.Protected[-70001] != counter {
			r.Fatalf("%+v, %v", m, err)
		}
		id := public.ID()
		if string(m.KeyID()) != string(id[:]) {
			r.Fatalf("key id %x, want %x", m.KeyID(), id)
		}
		raw[rapid.IntRange(0, len(raw)-1).Draw(r, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(r, "bit"))
		if m, err := Parse(raw); err == nil && m.Verify(public, []byte("here")) == nil && string(m.Payload) != string(payload) {
			r.Fatal("a changed payload verifies")
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nothing":           {},
		"too large":         make([]byte, MaxSize+1),
		"detached payload":  unhex(t, "8443A10126A0F640"),
		"critical header":   unhex(t, "8445A201260280A04040"),
		"label in both":     unhex(t, "8443A10126A101264040"),
		"duplicate label":   unhex(t, "8445A201260126A04040"),
		"trailing bytes":    unhex(t, "8443A10126A0404000"),
		"an array of three": unhex(t, "8343A10126A040"),
		"indefinite length": unhex(t, "9F43A10126A04040FF"),
	} {
		if m, err := Parse(raw); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// What quick reads it reads as the decoder does.
func FuzzQuick(f *testing.F) {
	for _, s := range []string{
		"D28443A10126A10442313154546869732069732074686520636F6E74656E742E5840", "8443A10126A04040", "8440A04040", "8441A0A10442313100404040", "8441A0A1044231314040",
		"8443A10126A1046231314040", "8445A201260126A04040", "844AA10167756E6B6E6F776EA104423131404058", "8443A10126A1613104404040", "84430A0126A04040", "8443A10126A0404000",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := quick(raw)
		if !ok {
			return
		}
		want, err := parse(raw)
		if err != nil || !bytes.Equal(got.protected, want.protected) {
			t.Fatalf("%x: %+v, want %+v, %v", raw, got, want, err)
		}
		got.protected, want.protected = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%x: %+v, want %+v", raw, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(unhex(f, "D28443A10126A10442313154546869732069732074686520636F6E74656E742E5840"))
	f.Add(unhex(f, "8443A10126A04040"))
	k := key(f, device.Ed25519, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := Parse(raw); err == nil && m.Verify(k, nil) == nil {
			t.Fatal("noise verifies")
		}
	})
}
