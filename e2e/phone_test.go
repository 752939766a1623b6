package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/e2e/network"
)

// phone posts to a station program what a phone and a car's camera send, of three
// hours ago, and waits until the ledger's epoch weighs each kind of it, as recomputed
// from what was published.
func phone(t *testing.T, n *network.Network) {
	t.Helper()
	began := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	post(t, n, "/v2/geosubmit", "{}\n", scans(began))
	post(t, n, "/v1/tracks", "400 points\n", walk(began))
	post(t, n, "/v1/events", "400 events\n", seen(began))
	for _, kind := range []string{"radio", "noise", "events"} {
		n.Until(patience, kind+" is weighed", func() bool {
			epoch := n.Status().Chain.Epoch.Number
			for e := epoch - 1; e > 0 && e+3 > epoch; e-- {
				var x struct {
					Result  string
					Weights []struct {
						Weight uint64 `json:",string"`
					}
				}
				out, err := n.Run("verify", "--vertical", "sensing", "--epoch", fmt.Sprint(e), "--kind", kind, "--json")
				if err == nil && json.Unmarshal([]byte(out), &x) == nil && x.Result == "equal" && len(x.Weights) == 1 && x.Weights[0].Weight > 0 {
					return true
				}
			}
			return false // until then no report is accepted
		})
	}
}

func post(t *testing.T, n *network.Network, path, want, body string) {
	t.Helper()
	resp, err := http.Post(n.Station+path, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(got) != want {
		t.Fatalf("%s is answered %s %q, %v, want %q", path, resp.Status, got, err, want)
	}
}

// way is where somebody is who goes at a speed in m/s, a step later each time, and
// who turns by up to turn degrees at each.
type way struct {
	rng                 *rand.Rand
	lat, lon, heading   float64
	speed, turn, metres float64
}

func newWay(speed, turn, step float64) *way {
	return &way{rng: rand.New(rand.NewPCG(5, 5)), lat: 48.137, lon: 11.575, heading: 60, speed: speed, turn: turn, metres: speed * step}
}

func (w *way) step() (lat, lon float64) {
	w.heading = math.Mod(w.heading+w.turn*(2*w.rng.Float64()-1)+360, 360)
	far := w.metres * (0.8 + 0.4*w.rng.Float64())
	w.lat += far * math.Cos(w.heading*math.Pi/180) / 111_195
	w.lon += far * math.Sin(w.heading*math.Pi/180) / (111_195 * math.Cos(w.lat*math.Pi/180))
	return w.lat + 1e-5*w.rng.NormFloat64(), w.lon + 1.5e-5*w.rng.NormFloat64()
}

// scans of cells and Wi-Fi from a car, as geosubmit has them.
func scans(began time.Time) string {
	var items []string
	for i, w := 0, newWay(10, 2, 4); i < 400; i++ {
		lat, lon := w.step()
		var heard []string
		for k := range 3 {
			heard = append(heard, fmt.Sprintf(`{"macAddress": "00:1a:2b:%02x:%02x:%02x", "signalStrength": %d}`, i%256, i/256, k, -50-w.rng.IntN(35)))
		}
		items = append(items, fmt.Sprintf(`{"timestamp": %d, "position": {"latitude": %f, "longitude": %f, "accuracy": 8, "speed": %f, "source": "gps"},
			"cellTowers": [{"radioType": "lte", "mobileCountryCode": 262, "mobileNetworkCode": 1, "locationAreaCode": 5, "cellId": %d, "signalStrength": %d}], "wifiAccessPoints": [%s]}`,
			began.UnixMilli()+int64(i)*4000, lat, lon, w.speed, 1000+i/40, -80-w.rng.IntN(20), strings.Join(heard, ",")))
	}
	return `{"items": [` + strings.Join(items, ",") + `]}`
}

// walk with a sound level meter, as GPX.
func walk(began time.Time) string {
	var b strings.Builder
	for i, w := 0, newWay(1.3, 8, 2); i < 400; i++ {
		lat, lon := w.step()
		fmt.Fprintf(&b, `<trkpt lat="%f" lon="%f"><time>%s</time><extensions><laeq>%.1f</laeq><accuracy>6</accuracy></extensions></trkpt>`,
			lat, lon, began.Add(time.Duration(2*i)*time.Second).Format(time.RFC3339), 58+4*math.Sin(float64(i)/15)+2*w.rng.NormFloat64())
	}
	return "<gpx><trk><trkseg>" + b.String() + "</trkseg></trk></gpx>"
}

// seen are objects that a detector found from a car, a frame each.
func seen(began time.Time) string {
	var b strings.Builder
	for i, w := 0, newWay(10, 2, 4); i < 400; i++ {
		lat, lon := w.step()
		fmt.Fprintf(&b, `{"time": %d, "latitude": %f, "longitude": %f, "heading": %f, "speed": 10, "width": 1280, "height": 720, "objects": [
			{"name": "car", "confidence": 0.9, "box": {"x1": %d, "y1": 200, "x2": %d, "y2": 500}}]}`+"\n",
			began.UnixMilli()+int64(i)*4000, lat, lon, w.heading, 100+w.rng.IntN(300), 500+w.rng.IntN(300))
	}
	return b.String()
}
