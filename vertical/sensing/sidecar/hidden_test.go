package sidecar

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/hidden"
)

// What was observed near a hidden place is answered as ever, and is in no batch, by
// whichever way it came.
func TestHidden(t *testing.T) {
	const home, away = 48.1374, 48.1674 // 3.3 km
	places, err := hidden.New([]byte("key"), []hidden.Place{{Lat: home, Lon: 11.5755, Radius: 300}})
	if err != nil {
		t.Fatal(err)
	}
	scan := func(lat float64) string {
		return fmt.Sprintf(`{"items": [{"position": {"latitude": %v, "longitude": 11.57549, "accuracy": 12}, "wifiAccessPoints": [{"macAddress": "00:1a:2b:3c:4d:5e", "signalStrength": -60}, {"macAddress": "00:1a:2b:3c:4d:5f", "signalStrength": -70}]}]}`, lat)
	}
	point := func(lat float64, at time.Time) string {
		return fmt.Sprintf(`<trkpt lat="%v" lon="11.57549"><time>%s</time><extensions><laeq>61.4</laeq></extensions></trkpt>`, lat, at.Format(time.RFC3339))
	}
	gpx := func(points ...string) string {
		return "<gpx><trk><trkseg>" + strings.Join(points, "") + "</trkseg></trk></gpx>"
	}
	for _, tt := range []struct {
		name, path, body, answer string
		batches                  int
	}{
		{"scan at home", "/v2/geosubmit", scan(home), "{}\n", 0},
		{"scan away", "/v2/geosubmit", scan(away), "{}\n", 1},
		{"track at home", "/v1/tracks", gpx(point(home, clock)), "1 points, 1 of them in hidden places and not signed\n", 0},
		{"track away", "/v1/tracks", gpx(point(away, clock)), "1 points\n", 1},
		{"track from home", "/v1/tracks", gpx(point(home, clock.Add(-time.Minute)), point(away, clock)), "2 points, 1 of them in hidden places and not signed\n", 1},
		{"reading without a place", "/v1/push-sensor-data/", communityOne, "{}\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sidecar(t)
			s.cfg.Hidden = places
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body)))
			if w.Code >= 300 || w.Body.String() != tt.answer {
				t.Errorf("answered %d %q, want %q", w.Code, w.Body, tt.answer)
			}
			got := signed(t, s)
			if len(got) != tt.batches {
				t.Errorf("%d batches are signed, want %d", len(got), tt.batches)
			}
			for _, b := range got {
				if strings.Contains(fmt.Sprintf("%s %v", b.Payload, b.Records), fmt.Sprint(home)) {
					t.Errorf("a batch tells the hidden place: %s %v", b.Payload, b.Records)
				}
			}
		})
	}
	t.Run("reading with a place of NMEA", func(t *testing.T) {
		for lat, want := range map[string]int{"4808.244": 0, "4810.044": 1} { // 48.1374, 48.1674
			s := sidecar(t)
			s.cfg.Hidden = places
			s.located(sentence(fmt.Sprintf("GPGGA,123519,%s,N,01134.529,E,1,08,0.9,545.4,M,46.9,M,,", lat)))
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/push-sensor-data/", strings.NewReader(communityOne)))
			if got := len(signed(t, s)); w.Code != http.StatusCreated || got != want {
				t.Errorf("at %s: answered %d, %d batches are signed, want %d", lat, w.Code, got, want)
			}
		}
	})
}
