package query_test

import (
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
)

// Phones' scans are sold as what was received where at least three of them were,
// and paid to each.
func TestCoverageOfRadio(t *testing.T) {
	strong, weak, wifi := -80.0, -100.0, -60.0
	w := &world{t: t, log: storetest.NewLog(), till: querytest.NewTill(1000)}
	for i := range 4 {
		lat := 48.14
		if i == 3 {
			lat++ // alone
		}
		payloads, err := radio.Payloads(radio.Clean([]radio.Report{{
			Timestamp: start.Add(time.Minute).UnixMilli(), Position: radio.Position{Latitude: lat, Longitude: 11.57},
			Towers: []radio.Tower{{Radio: "lte", Country: 262, Network: 1, Area: 7, Cell: 9, Strength: &weak}, {Radio: "lte", Country: 262, Network: 1, Area: 7, Cell: 8, Strength: &strong}},
			Points: []radio.Point{{Address: "00:1a:2b:3c:4d:5e", Strength: &wifi}, {Address: "00:1a:2b:3c:4d:5f", Strength: &weak}},
		}}, radio.Salt(storetest.Chain)), sensing.MaxBatch)
		if err != nil {
			t.Fatal(err)
		}
		s := storetest.NewStation(t, 200+i)
		w.log.Add(s, 0, s.Payload(t, radio.Content, payloads[0]))
	}
	w.serve(radio.Kind{})
	for variable, want := range map[string]float64{"signal/262-1/lte": strong, "signal/wifi": wifi} {
		sums := w.answer(obs(munich.Parent(7), "&kind=radio&agg=mean:1h&var="+variable)).Sums
		if len(sums) != 1 || sums[0].Devices != 3 || sums[0].Value < want-0.001 || sums[0].Value > want+0.001 || sums[0].Unit != "dBm" {
			t.Errorf("%s: %+v, want %v of 3 devices", variable, sums, want)
		}
	}
	if alone := w.answer(obs(h3.At(49.14, 11.57, 7), "&kind=radio&agg=mean:1h")).Sums; len(alone) != 0 {
		t.Errorf("one phone alone is told of: %+v", alone)
	}
	if reply, _ := w.ask(obs(munich.Parent(7), "&kind=radio")); reply.StatusCode != 403 {
		t.Errorf("single scans: %s, want 403", reply.Status)
	}
}
