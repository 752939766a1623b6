package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/grange-network/grange/explorer/live"
)

func TestEvidenceInWords(t *testing.T) {
	of := func(s string) *string { return &s }
	e := live.Evidence{Vertical: "sensing", Weight: "3583", WeightAll: "278481", Grant: "18881119", Granted: "242928", Penalty: 250, Parts: []live.Part{
		{Name: "weather", Terms: []live.Term{{Name: "rate", Value: "1000"}, {Name: "good hourly values", Value: "129", Of: of("144")}, {Name: "hours its neighbours agree with", Value: "8", Of: of("24")}, {Name: "odd", Value: "1", Of: of("0")}}},
		{Name: "air", Terms: []live.Term{{Name: "rate", Value: "1000"}, {Name: "hours", Value: "24", Of: of("24")}}},
	}}
	want := []string{
		"What it signed for sensing weighs 3583 of 278481 that all devices weigh together: it gets 0.242928 of 18.881119 GRAIN.",
		`Of its weather, what cost it most is "hours its neighbours agree with": 8 of 24.`,
		"Its evidence for sensing costs it 2.50 % of the bonus on usage there.",
	}
	if got := ofEvidence(e); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for micro, text := range map[string]string{"0": "0", "1": "0.000001", "1500000": "1.5", "20000000": "20", "-3": "-3", "x": "x"} {
		if got := grain(micro); got != text {
			t.Errorf("%s millionths are %s, want %s", micro, got, text)
		}
	}
}

func TestAnEpochThatIsNotWeighedYet(t *testing.T) {
	idle := "idle"
	a := whyAnswer{Outcome: &idle, Ended: true, Bonus: &live.Bonus{Burned: "0"}}
	said := func() string { return strings.Join(a.sentences(), "\n") }
	if s := said(); strings.Contains(s, "verifiers weigh") || !strings.Contains(s, "There is no bonus:") {
		t.Errorf("of a device to which nothing came: %s", s)
	}
	a.Reward.Claimed = 286_900
	if s := said(); !strings.Contains(s, "The 0.2869 GRAIN that came in this epoch are for earlier ones") || strings.Contains(s, "There is no bonus:") {
		t.Errorf("of a device to which GRAIN came: %s", s)
	}
}

func TestFieldsOfTables(t *testing.T) {
	for value, want := range map[string]string{
		`null`: "", `"a"`: "a", `"=1"`: "'=1", `-2`: "-2", `["weather","air"]`: "weather; air", `["=1"]`: "'=1", `[]`: "", `[{"a":1}]`: `[{"a":1}]`, `{"a":1}`: `{"a":1}`,
	} {
		if got := field([]byte(value)); got != want {
			t.Errorf("%s is %q, want %q", value, got, want)
		}
	}
}
