package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/e2e/network"
)

// A browser walks every page of the explorer over a network that stores
// something: no error, no request elsewhere, no barrier, no text that runs.
func TestWebApp(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network: not with -short")
	}
	browser := chromium(t)
	walk, err := filepath.Abs("../web/test/walk.mjs")
	if err != nil {
		t.Fatal(err)
	}
	n := network.Start(t, "--epoch", epoch)
	var at struct {
		Explorer string `json:"explorer"`
	}
	decode(t, filepath.Join(n.Home, "endpoints.json"), &at)
	if !hasApp(t, at.Explorer) {
		t.Skip("the web app is not in this program: make web")
	}
	if _, err := exec.LookPath("aws"); err == nil {
		file := filepath.Join(t.TempDir(), "some.bin")
		network.RandomFile(t, file, 8<<20, 7)
		n.AWS("s3", "mb", "s3://walked")
		n.AWS("s3", "cp", file, "s3://walked/some.bin")
		n.AWS("s3", "cp", "s3://walked/some.bin", file)
		n.WaitEpochs(2)
	}
	observe(t, n, at.Explorer)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", walk)
	cmd.Env = append(os.Environ(), "URL="+at.Explorer, "CHROMIUM="+browser, "SHOTS="+os.Getenv("GRANGE_SHOTS"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the walk: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// observe makes a station that is heard and an area of which images are wanted, and
// waits until the explorer knows of both.
func observe(t *testing.T, n *network.Network, explorer string) {
	t.Helper()
	console(t, n)
	n.Until(patience, "a bounty is put up", func() bool {
		_, err := n.Run("sensing", "data", "bounty", "place", "851f8d47fffffff", "--price", "0.02", "--most", "10")
		return err == nil
	})
	for _, list := range []string{"stations", "bounties"} {
		n.Until(patience, "the explorer shows "+list, func() bool {
			r, err := http.Get(explorer + "/v1/observations/" + list)
			if err != nil {
				return false
			}
			defer r.Body.Close()
			var got struct{ Items []json.RawMessage }
			return json.NewDecoder(r.Body).Decode(&got) == nil && len(got.Items) > 0
		})
	}
}

// chromium is the path of a browser, with all that the walk needs beside it.
func chromium(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: make test installs it where it may")
	}
	if _, err := os.Stat("../web/node_modules/playwright-core/package.json"); err != nil {
		t.Skip("web/node_modules is not there: make web installs it")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("chromium is not installed: make test installs it where it may")
	return ""
}

func hasApp(t *testing.T, url string) bool {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatalf("the explorer: %v", err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("the explorer: %v", err)
	}
	return strings.Contains(string(page), `id="app"`)
}
