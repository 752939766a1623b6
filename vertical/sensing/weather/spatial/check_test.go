package spatial

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

var nan = math.NaN()

func stations(lat, lon, elev []float64) []Station {
	out := make([]Station, len(lat))
	for i := range out {
		out[i] = Station{Lat: lat[i], Lon: lon[i], Elevation: elev[i]}
	}
	return out
}

func flags(v ...int) []bool {
	out := make([]bool, len(v))
	for i, x := range v {
		out[i] = x == 1
	}
	return out
}

func flagged(v []Verdict) []bool {
	out := make([]bool, len(v))
	for i := range v {
		out[i] = v[i].Flagged
	}
	return out
}

// The numbers of the tests here are those of titanlib's own vectors.

func TestBuddies(t *testing.T) {
	var lat, lon, elev []float64
	for i := range 10 {
		lat, lon, elev = append(lat, 60), append(lon, 10.001+0.001*float64(i)), append(elev, 0)
	}
	s := stations(lat, lon, elev)
	values := []float64{0, 0, 0, 0, 0, 0, 0, 0, 0.1, 1}
	base := Buddies{Radius: 10_000, Least: 1, Threshold: 1, MaxElevation: 200, Gradient: -0.0065, LeastStd: 0.01, Rounds: 2}
	for _, tt := range []struct {
		name   string
		change func(*Buddies)
		want   []bool
	}{
		{"two rounds", func(*Buddies) {}, flags(0, 0, 0, 0, 0, 0, 0, 0, 1, 1)},
		{"deviation of at least 0.3", func(b *Buddies) { b.LeastStd = 0.3 }, flags(0, 0, 0, 0, 0, 0, 0, 0, 0, 1)},
		{"deviation of at least 1", func(b *Buddies) { b.LeastStd = 1 }, flags(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"too few neighbours", func(b *Buddies) { b.Least = 20 }, flags(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
	} {
		b := base
		tt.change(&b)
		got, err := b.Check(s, values)
		if err != nil || !reflect.DeepEqual(flagged(got), tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, flagged(got), err, tt.want)
		}
	}
	if _, err := base.Check(s, values[1:]); err == nil {
		t.Error("fewer values than stations are accepted")
	}
}

func TestDuplicates(t *testing.T) {
	normal := stations([]float64{0, 0, 0, 0, 1, 1.001, 1}, []float64{0, 0, 0, 1, 1, 1.001, 0}, []float64{0, 0, 1, 0, 0, 0, 0})
	noElevation := stations([]float64{0, 0, 0, 1, 1, 1}, []float64{0, 0, 0, 1, 1, 1}, []float64{nan, 0, 100, 0, nan, 100})
	noPlace := stations([]float64{0, nan, 0, 1, 1, 1}, []float64{0, 0, 0, 1, 1, nan}, []float64{0, 0, 0, 0, 0, 0})
	for _, tt := range []struct {
		name             string
		s                []Station
		radius, vertical float64
		want             []bool
	}{
		{"10 km", normal, 10000, nan, flags(0, 1, 1, 0, 0, 1, 0)},
		{"1 m", normal, 1, nan, flags(0, 1, 1, 0, 0, 0, 0)},
		{"same elevation", normal, 10000, 0, flags(0, 1, 0, 0, 0, 1, 0)},
		{"unknown elevation", noElevation, 10000, 50, flags(1, 0, 0, 0, 1, 0)},
		{"unknown place", noPlace, 10000, 50, flags(0, 0, 1, 0, 1, 0)},
	} {
		if got := Duplicates(tt.s, tt.radius, tt.vertical); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

var scattered = stations([]float64{0, 1, 2, nan, nan, 5, 6, 7, 8}, []float64{0, 1, 2, 3, 4, nan, nan, 7, 8}, []float64{0, 1, 2, 3, 4, 5, 6, nan, nan})

func TestIsolated(t *testing.T) {
	if got, want := Isolated(scattered, 1, 160000, nan), flags(0, 0, 0, 1, 1, 1, 1, 0, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("by distance: %v, want %v", got, want)
	}
	if got, want := Isolated(scattered, 1, 160000, 100), flags(0, 0, 0, 1, 1, 1, 1, 1, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("by distance and elevation: %v, want %v", got, want)
	}
	if got := Isolated(nil, 1, 160000, nan); len(got) != 0 {
		t.Errorf("nothing: %v", got)
	}
}

func TestRangeAndMetadata(t *testing.T) {
	values := []float64{0, 1, nan, 0, nan, 1, nan, 1, nan}
	if got, want := Range(values, 0, 0.5), flags(0, 1, 1, 0, 1, 1, 1, 1, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("range: %v, want %v", got, want)
	}
	s := stations([]float64{60, nan, 62, 63, 64}, []float64{10, 11, nan, 13, 14}, []float64{0, 0, 0, nan, 0})
	if got, want := Metadata(s), flags(0, 1, 1, 1, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("metadata: %v, want %v", got, want)
	}
}

// Many stations of one owner cannot vouch for each other.
func TestOneOwnerIsNoNeighbour(t *testing.T) {
	var s []Station
	var v []float64
	for i := range 8 {
		s = append(s, Station{Lat: 48 + 0.001*float64(i), Lon: 11, Owner: "liar"})
		v = append(v, 40)
	}
	for i := range 6 {
		s = append(s, Station{Lat: 48, Lon: 11.01 + 0.001*float64(i), Owner: string(rune('a' + i))})
		v = append(v, 15+0.1*float64(i))
	}
	got, err := Buddies{Radius: 30_000, Least: 5, Threshold: 3, LeastStd: 1, Rounds: 2}.Check(s, v)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if !got[i].Flagged || got[i].Neighbours != 6 {
			t.Errorf("the liar's station %d: %+v, want flagged by 6 others", i, got[i])
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		s, v := make([]Station, n), make([]float64, n)
		for i := range n {
			s[i] = Station{Lat: float64(rapid.IntRange(0, 9).Draw(t, "lat")) / 100, Lon: float64(rapid.IntRange(0, 9).Draw(t, "lon")) / 100, Elevation: float64(rapid.IntRange(0, 3).Draw(t, "elev"))}
			v[i] = float64(rapid.IntRange(-20, 20).Draw(t, "value"))
		}
		order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Perm(n)
		s2, v2 := make([]Station, n), make([]float64, n)
		for i, j := range order {
			s2[i], v2[i] = s[j], v[j]
		}
		a, err := DefaultBuddies.Check(s, v)
		if err != nil {
			t.Fatal(err)
		}
		b, err := DefaultBuddies.Check(s2, v2)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := range order {
			if a[j].Flagged != b[i].Flagged {
				t.Fatalf("station %d: %+v, in another order %+v", j, a[j], b[i])
			}
		}
	})
}
