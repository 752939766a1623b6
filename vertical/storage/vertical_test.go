package storage

import (
	"testing"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
)

// Two providers were paid for reads; the first may have been k, which share its
// reads.
func TestConformance(t *testing.T) {
	conformance.Run(t, Vertical{}, func(k int) conformance.World {
		w := conformance.World{Epoch: 7}
		add := func(id byte, burned money.Credit) {
			d := [32]byte{id}
			w.Devices = append(w.Devices, vertical.Device{ID: d, Owner: "o", Class: vertical.DRN})
			w.Usage = append(w.Usage, vertical.Usage{Device: d, Kind: "storage", Paid: 33 * burned, Burned: burned})
		}
		for i := range k {
			add(byte(1+i), 10_000/money.Credit(k))
			w.Subject = append(w.Subject, [32]byte{byte(1 + i)})
		}
		add(200, 777)
		return w
	})
}
