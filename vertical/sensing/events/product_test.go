package events

import (
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

// Every sight counts once, and who tells only what another owner tells has no part
// in a count.
func TestCounts(t *testing.T) {
	drive := trip(1, time.Hour)
	later := trip(1, time.Hour)
	for i := range later {
		later[i].Time = later[i].Time.Add(20 * time.Second)
	}
	stations := []sensing.Station{
		station(t, 1, "a", drive), station(t, 2, "a", drive[:600]), // two cameras of one owner that tell the same
		station(t, 3, "b", later), station(t, 4, "copier of b", later),
	}
	got, err := Kind{}.Products()[0].Derive(t.Context(), window, stations)
	if err != nil || len(got) == 0 {
		t.Fatalf("%d counts, %v", len(got), err)
	}
	total := 0.0
	for _, f := range got {
		total += f.Values[0]
		if slices.Contains(f.Devices, [32]byte{3}) || slices.Contains(f.Devices, [32]byte{4}) {
			t.Errorf("%+v: what two owners tell is nobody's", f)
		}
		if f.Time.Minute() != 0 || f.Cell.Resolution() != Resolution || f.Of == "" {
			t.Errorf("%+v", f)
		}
	}
	if total < 2300 || total > 2400 {
		t.Errorf("%v seen of 2400, each told twice", total)
	}
}
