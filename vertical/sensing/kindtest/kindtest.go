// Package kindtest runs the conformance suite of verticals over one kind of
// observation: signed batches in, through evidence, to weights.
package kindtest

import (
	"testing"
	"time"

	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// Device is one device of a world: who it is, where it stands and what it signs.
type Device struct {
	Signer  sensingtest.Signer
	Owner   string
	Cell    uint64
	Records []senml.Record // one batch in SenML
	Payload []byte         // or one in the kind's own format
	More    [][]byte       // and further ones in that format
}

// Ended is when a world's epoch ends. Readings of the 24 hours until Window.Ended
// count.
var Ended = time.Date(2026, 3, 2, 0, 10, 0, 0, time.UTC)

// Conform runs the suite. world makes the devices of an epoch: the first k belong
// to one owner, who does with them what he could do with one; the others are the
// same for every k.
func Conform(t *testing.T, k sensing.Kind, world func(n int) []Device, decoders ...conformance.Decoder) {
	t.Helper()
	conformance.Run(t, sensing.Vertical{Kinds: []sensing.Kind{k}}, func(n int) conformance.World {
		w := conformance.World{Epoch: 3, Began: Ended.Unix() - 3600, Ended: Ended.Unix()}
		var rows []sensing.Row
		for i, d := range world(n) {
			id := d.Signer.PublicKey().ID()
			w.Devices = append(w.Devices, vertical.Device{ID: id, Owner: d.Owner, Class: vertical.PRN, Cell: d.Cell, Registered: 7})
			if i < n {
				w.Subject = append(w.Subject, id)
			}
			rows = append(rows, d.rows(t, k)...)
		}
		w.Evidence = []conformance.Rows{conformance.Of(sensing.Batches, func(sensing.Row) segment.Name {
			return segment.Name{Kind: sensing.Batches.Name}
		}, rows...)}
		return w
	}, decoders...)
}

// rows are the device's batches in their order.
func (d Device) rows(t *testing.T, k sensing.Kind) (rows []sensing.Row) {
	t.Helper()
	var b *sensing.Batch
	var err error
	if d.Payload != nil {
		b, err = sensing.SealPayload(d.Signer, conformance.ChainID, 1, sensing.Hash{}, k.Info().Format.Content(), d.Payload)
	} else {
		b, err = sensing.Seal(d.Signer, conformance.ChainID, 1, sensing.Hash{}, d.Records)
	}
	if err != nil {
		t.Fatal(err)
	}
	rows = append(rows, sensing.RowOf(d.Signer.PublicKey(), b.Raw))
	for _, p := range d.More {
		if b, err = sensing.SealPayload(d.Signer, conformance.ChainID, b.Counter+1, b.Hash, k.Info().Format.Content(), p); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, sensing.RowOf(d.Signer.PublicKey(), b.Raw))
	}
	return rows
}
