package sim

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestScenarioStrict(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"base with a name", "name: mine\n", ""},
		{"a rule of its own", "name: mine\nrules: {burn_bps: 500}\n", ""},
		{"no name", "days: 10\n", "scenario has no name"},
		{"empty", "", "scenario has no name"},
		{"unknown field", "name: mine\ndayz: 10\n", "field dayz not found"},
		{"unknown field deep down", "name: mine\ndemand: {start_tb: 1}\n", "field start_tb not found"},
		{"same field twice", "name: mine\ndays: 1\ndays: 2\n", "already defined"},
		{"second document", "name: mine\n---\nname: other\n", "second document"},
		{"not a mapping", "- name: mine\n", "cannot unmarshal"},
		{"a number that is none", "name: mine\ndays: many\n", "cannot unmarshal"},
		{"below zero", "name: mine\nexchange: {depth_usd: -1}\n", "cannot unmarshal"},
		{"a fraction", "name: mine\nexchange: {depth_usd: 1.5}\n", "cannot unmarshal"},
		{"too many days", "name: mine\ndays: 100000\n", "days is 100000, want 1 to 3650"},
		{"rebate of all", "name: mine\nrules: {rebate_bps: 10000}\n", "rebate_bps is 10000"},
		{"halt above warn", "name: mine\nrules: {halt_bps: 9600}\n", "halt_bps is 9600, above warn_bps 9500"},
		{"take of more than half", "name: mine\nrules: {burn_bps: 6000}\n", "take is 6000"},
		{"no price", "name: mine\nexchange: {price: 0}\n", "price 0"},
		{"unknown attack", "name: mine\nattackers: [{kind: magic, usd: 1}]\n", `kind is "magic", which is none of self`},
		{"attack with nothing", "name: mine\nattackers: [{kind: self}]\n", "usd is 0"},
		{"attack after the end", "name: mine\ndays: 5\nattackers: [{kind: self, usd: 1, start_day: 5}]\n", "start_day is 5, want 0 to 4"},
		{"most of the power", "name: mine\nattackers: [{kind: cartel, usd: 1, power_bps: 9000}]\n", "power_bps is 9000"},
		{"too large", "name: " + strings.Repeat("x", MaxScenarioSize), "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestLoadUnknown(t *testing.T) {
	for _, name := range []string{"", "nope", "../base", "base.yaml"} {
		if _, err := Load(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// TestEveryAttackHasItsScenario, and the base names every field of a world, so
// that a person who copies it sees all there is to change.
func TestEveryAttackHasItsScenario(t *testing.T) {
	for _, k := range Attacks {
		if _, err := Load("attack-" + k.Kind); err != nil {
			t.Error(err)
		}
		rules := DefaultRules()
		for _, name := range k.Safeguards {
			if err := rules.Without(name); err != nil {
				t.Error(err)
			}
		}
		if opened := rules != DefaultRules(); opened != (k.Held != "") {
			t.Errorf("%s: what holds it is %q, turning off %v changes the rules: %v", k.Kind, k.Held, k.Safeguards, opened)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		// Whatever is valid must run with books that add up.
		s.Days, s.Rounds = 2, min(s.Rounds, 4)
		s.Providers.Start, s.Providers.Max = min(s.Providers.Start, 5), max(min(s.Providers.Max, 8), 1)
		for i := range s.Attackers {
			s.Attackers[i].StartDay, s.Attackers[i].Parties = 0, min(s.Attackers[i].Parties, 4)
		}
		if s.Valid() != nil {
			return
		}
		if _, err := Run(s, 1); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		v    int64
		unit string
		want string
	}{
		{0, "usd", "$0"}, {1, "usd", "$0.000001"}, {33_500, "usd", "$0.0335"}, {-2_345_678, "usd", "-$2.35"},
		{1_999_999, "usd", "$2.00"}, {1_234_567_890_123, "usd", "$1,234,568"}, {12_345, "bps", "123.5 %"}, {-5, "bps", "-0.1 %"},
		{665_369, "ppm", "66.5 %"}, {-1_234_567, "count", "-1,234,567"}, {999, "count", "999"},
	} {
		if got := Format(c.v, c.unit); got != c.want {
			t.Errorf("%d %s: got %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	values := make([]int64, 100)
	for i := range values {
		values[i] = int64(100 - i)
	}
	if got, want := SpreadOf(values), (Spread{5, 25, 50, 75, 95, 100}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := SpreadOf([]int64{7}), (Spread{7, 7, 7, 7, 7, 7}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFiles(t *testing.T) {
	s, err := Load("attack-self")
	if err != nil {
		t.Fatal(err)
	}
	s.Days, s.About = 40, "a < b & \"c\""
	r, err := Run(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	var table, plot bytes.Buffer
	if err := errors.Join(WriteCSV(&table, []Result{r}), WriteSVG(&plot, s, []Result{r})); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 41 {
		t.Errorf("%d rows, want 41: %v", len(rows), err)
	}
	d := xml.NewDecoder(&plot)
	panels := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "g" {
				panels++
			}
			if e.Name.Local == "script" || e.Name.Local == "image" {
				t.Errorf("the plot has a %s", e.Name.Local)
			}
		}
	}
	if panels != len(plotted) {
		t.Errorf("%d panels, want %d", panels, len(plotted))
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []Spread{{}, {P95: 1}, {P95: 7}, {P95: 999_999}, {P5: -3, P95: 40}, {P5: -1_000_000, P95: 1}, {P95: 1 << 60}} {
		low, high, step := axis([]Spread{c})
		if low > c.P5 || high < c.P95 || step < 1 || (high-low)/step > 7 {
			t.Errorf("%v: axis from %d to %d in steps of %d", c, low, high, step)
		}
	}
}

// TestNormal checks the mean and the spread of the random steps.
func TestNormal(t *testing.T) {
	r := stream(1, 99)
	const n = 100_000
	var sum, squares int64
	for range n {
		v := normal(r)
		sum += v
		squares += v * v / ppm
	}
	if mean := sum / n; mean < -10_000 || mean > 10_000 {
		t.Errorf("mean is %d ppm, want 0", mean)
	}
	if variance := squares / n; variance < 980_000 || variance > 1_020_000 {
		t.Errorf("variance is %d ppm, want %d", variance, ppm)
	}
}
