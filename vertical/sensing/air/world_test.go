package air

import (
	"compress/gzip"
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// places of Beijing's stations.
var places = map[string][2]float64{
	"Aotizhongxin": {39.982, 116.397}, "Changping": {40.217, 116.23}, "Dingling": {40.292, 116.22}, "Dongsi": {39.929, 116.417},
	"Guanyuan": {39.929, 116.339}, "Gucheng": {39.914, 116.184}, "Huairou": {40.328, 116.628}, "Nongzhanguan": {39.937, 116.461},
	"Shunyi": {40.127, 116.655}, "Tiantan": {39.886, 116.407}, "Wanliu": {39.987, 116.287}, "Wanshouxigong": {39.878, 116.352},
}

// beijing is the real data by day and station.
type beijing map[time.Time]map[string][]senml.Record

func load(t testing.TB) beijing {
	t.Helper()
	f, err := os.Open("testdata/beijing.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := beijing{}
	for _, row := range rows[1:] {
		at, err := time.Parse("2006-01-02T15Z", row[1])
		if err != nil {
			t.Fatal(err)
		}
		day := at.Truncate(24 * time.Hour)
		if out[day] == nil {
			out[day] = map[string][]senml.Record{}
		}
		for i, name := range rows[0][2:] {
			if v, err := strconv.ParseFloat(row[2+i], 64); err == nil {
				out[day][row[0]] = append(out[day][row[0]], senml.Record{Name: name, Time: at, Value: v})
			}
		}
	}
	return out
}

// station makes a station of a name, which is its owner's too.
func station(name string, place [2]float64, records []senml.Record) sensing.Station {
	s := sensing.Station{Device: vertical.Device{Owner: name, Cell: uint64(h3.At(place[0], place[1], 8)), Registered: 5}}
	copy(s.ID[:], name)
	s.Batches = slices.Values([]*sensing.Batch{{Device: s.ID, Counter: 1, Records: records}})
	return s
}

func (b beijing) stations(day time.Time) []sensing.Station {
	var out []sensing.Station
	for name, place := range places { // Weigh's result does not depend on the order
		if r := b[day][name]; len(r) > 0 {
			out = append(out, station(name, place, r))
		}
	}
	return out
}

func window(day time.Time) sensing.Window {
	return sensing.Window{Began: day, Ended: day.Add(24 * time.Hour)}
}

func weigh(t testing.TB, day time.Time, stations []sensing.Station) (map[string]uint64, map[string][]vertical.Term) {
	t.Helper()
	parts, err := Kind{}.Weigh(t.Context(), window(day), stations)
	if err != nil {
		t.Fatal(err)
	}
	weights, terms := map[string]uint64{}, map[string][]vertical.Term{}
	for i, s := range stations {
		line := vertical.Line{Device: s.ID, Parts: parts[i]}
		w, err := line.Weight()
		if err != nil {
			t.Fatal(err)
		}
		weights[s.Owner], terms[s.Owner] = w, parts[i][0].Terms
	}
	return weights, terms
}
