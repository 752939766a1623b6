package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/e2e/network"
)

// weight is the part of grange reward explain --json that the test judges.
type weight struct {
	Granted uint64 `json:"granted_ugrain"`
	Weight  uint64
}

// stations reads which devices replay, the faulty one last.
func stations(t *testing.T, n *network.Network) (devices []string) {
	var plan struct {
		Sensing struct{ Replayed []struct{ Device string } }
	}
	raw, err := os.ReadFile(filepath.Join(n.Home, "network.json"))
	if err == nil {
		err = json.Unmarshal(raw, &plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range plan.Sensing.Replayed {
		devices = append(devices, r.Device)
	}
	return devices
}

// Twelve stations replay real observations: they are weighed and rewarded, the
// faulty one less and with the reason, anybody recomputes it, and a kill -9 loses
// nothing that was acknowledged. A console's report gets in beside them.
func TestWeatherStationsAreRewarded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network: not with -short")
	}
	n := network.Start(t, "--epoch", "10s", "--providers", "2", "--demo", "weather")
	devices := stations(t, n)
	sound, faulty := devices[1], devices[len(devices)-1]
	epoch := scored(n, sound)
	good, bad := weighed(n, sound, epoch), weighed(n, faulty, epoch)
	if good.Granted == 0 || bad.Weight >= good.Weight {
		t.Errorf("the sound station weighs %d and gets %d ugrain, the faulty one weighs %d", good.Weight, good.Granted, bad.Weight)
	}
	if text := n.Must("reward", "explain", faulty, fmt.Sprint(epoch)); !strings.Contains(text, `what cost it most is "hours its neighbours agree with"`) {
		t.Errorf("explain does not say what is wrong with the faulty station:\n%s", text)
	}
	n.Until(patience, "the ledger's root is the one that anybody computes", func() bool {
		out, err := n.Run("verify", "--vertical", "sensing", "--epoch", fmt.Sprint(epoch)) // until then no report is accepted
		return err == nil && strings.Contains(out, "equal")
	})
	buy(t, n)
	console(t, n)
	phone(t, n)
	n.Kill()
	n.Up()
	console(t, n)
	if later := scored(n, sound); later <= epoch {
		t.Errorf("after a kill epoch %d was scored, want one after %d", later, epoch)
	}
}

// scored waits for an epoch, after those that are known, in which the device was
// weighed, and returns it.
func scored(n *network.Network, device string) (epoch uint64) {
	from := n.Status().Chain.Epoch.Number
	n.Until(patience, "the stations are weighed", func() bool {
		for e := from; e < n.Status().Chain.Epoch.Number; e++ {
			if weighed(n, device, e).Weight > 0 {
				epoch = e
				return true
			}
		}
		return false
	})
	return epoch
}

// weighed is what an epoch gave a device for its evidence; zero when it was not
// weighed.
func weighed(n *network.Network, device string, epoch uint64) (w weight) {
	var x struct{ Evidence []weight }
	n.JSON(&x, "reward", "explain", device, fmt.Sprint(epoch))
	for _, w = range x.Evidence {
	}
	return w
}

// buy asks for a station's readings with proof, which costs a unit a row, and
// checks them.
func buy(t *testing.T, n *network.Network) {
	t.Helper()
	var known struct {
		Stations []struct{ Cell string }
	}
	n.JSON(&known, "sensing", "data", "stations")
	if len(known.Stations) < 12 {
		t.Fatalf("%d stations are known, want 12", len(known.Stations))
	}
	path := filepath.Join(t.TempDir(), "answer.json")
	n.Must("sensing", "data", "query", known.Stations[0].Cell, "--var", "temperature", "--proof", "--out", path)
	if out := n.Must("sensing", "data", "check", path); !strings.Contains(out, "are signed by their devices and published") {
		t.Errorf("check of an answer: %s", out)
	}
}

// console reports as a Weather Underground console does.
func console(t *testing.T, n *network.Network) {
	t.Helper()
	resp, err := http.Get(n.Station + "/weatherstation/updateweatherstation.php?dateutc=now&tempf=68&humidity=50&windspeedmph=5&baromin=29.9")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != "success\n" {
		t.Errorf("the console is told %s %q, %v", resp.Status, body, err)
	}
}
