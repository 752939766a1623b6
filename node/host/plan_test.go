package host

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// What is told at a start holds at the next, until it is told again.
func TestPlanKeepsWhatAStartWasTold(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Dir(planPath(home)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(planPath(home), Plan{Name: "alpha"}); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("other")
	if err != nil {
		t.Fatal(err)
	}
	const bucket, verifier = "https://s3.example/bucket", "http://192.0.2.1:26670"
	for _, start := range []struct {
		name string
		told StartOptions
		want Plan
	}{
		{"nothing", StartOptions{}, Plan{Name: "alpha"}},
		{"both", StartOptions{Evidence: bucket, Verifiers: []string{verifier, "other"}}, Plan{Name: "alpha", Evidence: bucket, Verifiers: []string{verifier, here}}},
		{"nothing again", StartOptions{}, Plan{Name: "alpha", Evidence: bucket, Verifiers: []string{verifier, here}}},
		{"other evidence", StartOptions{Evidence: "other"}, Plan{Name: "alpha", Evidence: here, Verifiers: []string{verifier, here}}},
		{"other verifiers", StartOptions{Verifiers: []string{verifier}}, Plan{Name: "alpha", Evidence: here, Verifiers: []string{verifier}}},
		{"no verifiers", StartOptions{Verifiers: []string{""}}, Plan{Name: "alpha", Evidence: here}},
	} {
		p, err := ReadPlan(home)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := start.told.plan(home, p); err != nil {
			t.Fatal(err)
		}
		if p, err = ReadPlan(home); err != nil || !reflect.DeepEqual(p, start.want) {
			t.Fatalf("%s: %+v, %v; want %+v", start.name, p, err, start.want)
		}
	}
}
