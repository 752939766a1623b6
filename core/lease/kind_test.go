package lease

import "testing"

func TestVertical(t *testing.T) {
	for kind, want := range map[string]string{"storage": "storage", "sensing/weather": "sensing", "a/b/c": "a", "": "", "/x": ""} {
		if got := Vertical(kind); got != want {
			t.Errorf("vertical of %q is %q, want %q", kind, got, want)
		}
	}
}
