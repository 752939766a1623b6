package benchtable

import "testing"

func TestRow(t *testing.T) {
	for _, c := range []struct {
		name string
		row  Row
		want string
	}{
		{"more is better", Row{What: "w", Unit: "/s", Ours: 20_500, Target: 10_000, Bound: 41_000, BoundIs: "b"}, "| w | 20.5 k /s | 10.0 k /s | met | 41.0 k /s | 0.50 | b |"},
		{"less is better", Row{What: "w", Unit: "s", Ours: 31, Target: 30, Less: true}, "| w | 31 s | 30 s | missed |  |  |  |"},
		{"no target", Row{What: "w", Unit: "MB", Ours: 0.1234, Bound: 1, BoundIs: "b"}, "| w | 0.123 MB |  |  | 1 MB | 0.12 | b |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.row.String(); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
