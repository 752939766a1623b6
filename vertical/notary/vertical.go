package notary

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
)

// Name of the vertical and kind of its offers.
const Name = "notary"

// SlotSeconds is how often a device can be seen: once in each slot of an epoch.
const SlotSeconds = 2

// Sight says that Device answered Witness; both are ed25519 keys.
type Sight struct {
	Device  [32]byte `parquet:"device,dict"`
	Witness [32]byte `parquet:"witness,dict"`
	Time    int64    `parquet:"time,delta"` // Unix seconds
	Answer  [64]byte `parquet:"answer"`     // of the device
	Seal    [64]byte `parquet:"seal"`       // of the witness
}

// Sights is the kind of segments with evidence of notaries.
var Sights = segment.Kind[Sight]{Name: "sights", Leaf: func(b []byte, s *Sight) []byte {
	b = append(append(b, s.Device[:]...), s.Witness[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Time))
	return append(append(b, s.Answer[:]...), s.Seal[:]...)
}}

// message is what is signed: an answer or a seal over the other's key and the
// time, a stamp over a hash and the time.
func message(what string, about [32]byte, time int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte("grange/notary/v1/"+what), about[:]...), uint64(time))
}

func (s Sight) segment() segment.Name {
	return segment.Name{Day: segment.Day(min(max(s.Time, 0), 1<<36) / 86400)}
}

func (s Sight) signed() bool {
	return ed25519.Verify(s.Device[:], message("answer", s.Witness, s.Time), s.Answer[:]) &&
		ed25519.Verify(s.Witness[:], message("seal", s.Device, s.Time), s.Seal[:])
}

// Vertical is the notary vertical.
type Vertical struct{}

// Info implements vertical.Vertical.
func (Vertical) Info() vertical.Info {
	return vertical.Info{
		Name: Name, Class: vertical.DRN, Evidence: []string{Sights.Name},
		Units: []vertical.Unit{{Kind: Name, Use: "stamp"}},
	}
}

// Score weighs a device by the slots in which others saw it, shared among the
// devices of one owner that were seen at all.
func (Vertical) Score(ctx context.Context, in vertical.Input) ([]vertical.Line, error) {
	type slot struct {
		device vertical.Device
		number int64
	}
	seen, slots, devices := map[slot]bool{}, map[vertical.Device]uint64{}, map[string]uint64{}
	for s, err := range evidence.Rows(in.Evidence, Sights) {
		if err != nil || ctx.Err() != nil {
			return nil, fmt.Errorf("read sights: %w", errors.Join(err, ctx.Err()))
		}
		of, known := vertical.Ed25519(in.Registry, s.Device)
		by, known2 := vertical.Ed25519(in.Registry, s.Witness)
		at := slot{of, (s.Time - in.Began) / SlotSeconds}
		if !known || !known2 || of.Owner == by.Owner || s.Time < in.Began || s.Time >= in.Ended || seen[at] || !s.signed() {
			continue
		}
		if seen[at] = true; slots[of] == 0 {
			devices[of.Owner]++
		}
		slots[of]++
	}
	lines := make([]vertical.Line, 0, len(slots))
	for d, n := range slots {
		lines = append(lines, vertical.Line{Device: d.ID, Parts: []vertical.Part{{Name: "uptime", Terms: []vertical.Term{
			{Name: "slots seen by others", Value: n}, {Name: "device of its owner", Value: 1, Of: devices[d.Owner]},
		}}}})
	}
	return lines, nil
}
