package ledgerview

import (
	"strings"
	"testing"
)

func TestNothingToProveIsNoFault(t *testing.T) {
	for name, c := range map[string]struct {
		x             Explanation
		outcome, says string
	}{
		"held nothing": {Explanation{Outcome: Outcome{Outcome: "faulted"}, Leases: []LeaseTerms{{Outcome: "faulted"}}}, Idle, "nothing to prove"},
		"not drawn":    {Explanation{Outcome: Outcome{Outcome: "proven"}, Leases: []LeaseTerms{}}, Idle, "nothing to prove"},
		"no lease":     {Explanation{Outcome: Outcome{Outcome: "faulted"}}, Idle, "nothing to prove"},
		"held and did not prove": {
			Explanation{Outcome: Outcome{Outcome: "faulted"}, Leases: []LeaseTerms{{Lease: "a", Outcome: "faulted", UnitsHeld: 1}}}, "faulted", "gets nothing"},
		"slashed, lease gone": {Explanation{Outcome: Outcome{Outcome: "faulted"}, Slashed: 1}, "faulted", "cost 1 ugrain"},
		"proven":              {Explanation{Outcome: Outcome{Outcome: "proven"}, Leases: []LeaseTerms{{Lease: "a", Outcome: "proven", UnitsHeld: 1}}}, "proven", "answered every challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			x := c.x
			x.idle()
			if text := strings.Join(x.sentences(), " "); x.Outcome.Outcome != c.outcome || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s", x.Outcome.Outcome, text)
			}
		})
	}
}
