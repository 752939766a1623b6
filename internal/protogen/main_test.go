package main

import (
	"strings"
	"testing"
)

// The committed code is what the protos generate, and generating twice gives the
// same bytes: -check compares without writing.
func TestCommittedCodeIsCurrent(t *testing.T) {
	t.Chdir("../..")
	if err := run(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownModule(t *testing.T) {
	t.Chdir("../..")
	if err := run(t.Context(), true, []string{"nothing-here"}); err == nil || !strings.Contains(err.Error(), "nothing-here") {
		t.Fatalf("error is %v", err)
	}
}
