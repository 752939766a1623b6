package main

import (
	"strings"
	"testing"
)

func TestFromNamesWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		from  string
		names []string
		says  string // of the refusal; empty: none
	}{
		{"", nil, ""},
		{"buyer", []string{"buyer", "sponsor"}, ""},
		{"grange1jlqhtvfdhd946a00yru9laexld0tsgden3g7t4", nil, ""},
		{"operator", []string{"buyer", "sponsor"}, `no key named "operator", it has those of buyer, sponsor`},
		{"operator", nil, "has no account's key"},
	} {
		err := checkFrom(c.from, c.names, "HOME")
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("--from %q of %q: %v, want %q", c.from, c.names, err, c.says)
		}
	}
}
