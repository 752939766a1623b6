package main

import (
	"testing"

	"github.com/grange-network/grange/core/money"
)

func TestParseCredits(t *testing.T) {
	for text, want := range map[string]money.Credit{
		"1": 1_000_000, "0.5": 500_000, "0.000001": 1, "1e3": 1_000_000_000, "18446744073709.551615": 1<<64 - 1,
	} {
		if got, err := parseCredits(text); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "0.0000001", "18446744073709.551616", "1/3", "NaN"} {
		if got, err := parseCredits(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}
