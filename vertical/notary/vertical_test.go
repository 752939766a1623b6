package notary

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
)

func key(n byte) ed25519.PrivateKey {
	seed := [32]byte{n}
	return ed25519.NewKeyFromSeed(seed[:])
}

func registeredDevice(k ed25519.PrivateKey, owner string) vertical.Device {
	pub, _ := device.NewPublicKey(device.Ed25519, k.Public().(ed25519.PublicKey))
	return vertical.Device{ID: pub.ID(), Owner: owner, Class: vertical.DRN}
}

// world is an epoch of 8 s in which a's k devices, b's and c's see each other in
// every slot, a's also themselves. b is away for half of it.
func world(k int) conformance.World {
	w := conformance.World{Epoch: 3, Began: 1000, Ended: 1008}
	b, c := key(100), key(101)
	keys := []ed25519.PrivateKey{b, c}
	w.Devices = []vertical.Device{registeredDevice(b, "b"), registeredDevice(c, "c")}
	for i := range k {
		d := registeredDevice(key(byte(i)), "a")
		keys, w.Devices, w.Subject = append(keys, key(byte(i))), append(w.Devices, d), append(w.Subject, d.ID)
	}
	var rows []Sight
	for t := w.Began - SlotSeconds; t < w.Ended+SlotSeconds; t++ {
		for _, of := range keys {
			for _, by := range keys {
				if of.Equal(b) && t < 1004 {
					continue
				}
				rows = append(rows, see(of, by, t))
			}
		}
	}
	w.Evidence = []conformance.Rows{conformance.Of(Sights, Sight.segment, rows...)}
	return w
}

func see(of, by ed25519.PrivateKey, t int64) Sight {
	s := Sight{Device: [32]byte(of.Public().(ed25519.PublicKey)), Witness: [32]byte(by.Public().(ed25519.PublicKey)), Time: t}
	s.Answer = [64]byte(ed25519.Sign(of, message("answer", s.Witness, t)))
	s.Seal = [64]byte(ed25519.Sign(by, message("seal", s.Device, t)))
	return s
}

func TestConformance(t *testing.T) {
	stamp := conformance.Decoder{Name: "stamp request", Valid: make([]byte, receipt.Size+sha256.Size), Decode: func(raw []byte) error {
		_, _, err := prepaid.Split(raw, sha256.Size)
		return err
	}}
	conformance.Run(t, Vertical{}, world, stamp)
}

// The example is to be read whole: its package, comments included and tests not,
// stays below 300 lines, as docs/new-vertical.md says.
func TestExampleIsSmall(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") {
			lines += bytes.Count(raw, []byte("\n"))
		}
	}
	if lines == 0 || lines >= 300 {
		t.Errorf("the example has %d lines, want fewer than 300", lines)
	}
}
