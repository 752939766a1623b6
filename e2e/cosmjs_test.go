package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A wallet library that knows nothing of us signs, sends, queries, uses one of
// our own messages, and gets a typed refusal.
func TestCosmJS(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: make test installs it where it may")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		b, err := os.ReadFile(filepath.Join("cosmjs", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("CosmJS cannot be installed from the npm registry here: %v\n%s", err, out)
	}
	n := shared(t)
	check := exec.CommandContext(ctx, "node", "check.mjs")
	check.Dir = dir
	check.Env = append(os.Environ(), "RPC="+n.RPC, "KEY="+sponsorKey(t, n.Home))
	out, err := check.CombinedOutput()
	if err != nil {
		t.Fatalf("CosmJS: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// sponsorKey reads the private key of the local network's sponsor account.
func sponsorKey(t *testing.T, home string) string {
	t.Helper()
	var plan struct {
		Sponsor struct{ Key string }
	}
	decode(t, filepath.Join(home, "network.json"), &plan)
	var file struct {
		PrivateKey string `json:"private"`
	}
	decode(t, filepath.Join(home, plan.Sponsor.Key), &file)
	if file.PrivateKey == "" {
		t.Fatalf("no private key in %s", plan.Sponsor.Key)
	}
	return file.PrivateKey
}

func decode(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
