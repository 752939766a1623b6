package sidecar

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/hidden"
)

// sentence is a line of NMEA with its checksum.
func sentence(body string) string {
	sum := byte(0)
	for _, c := range []byte(body) {
		sum ^= c
	}
	return fmt.Sprintf("$%s*%02X", body, sum)
}

func TestDetections(t *testing.T) {
	const car = `{"name": "car", "class": 2, "confidence": 0.9, "box": {"x1": 0.1, "y1": 0.1, "x2": 0.5, "y2": 0.6}}`
	frame := func(pose string, objects ...string) string {
		return "{" + pose + `"objects": [` + strings.Join(objects, ",") + "]}"
	}
	const posed = `"latitude": 48.1374, "longitude": 11.5755, "heading": 90, `
	gga, rmc := sentence("GPGGA,110000,4808.244,N,01134.530,E,1,08,0.9,519.2,M,46.9,M,,"), sentence("GPRMC,110000,A,4808.244,N,01134.530,E,019.4,084.4,010326,003.1,W")
	kite := strings.Replace(car, "car", "kite", 1)
	doubtful := strings.Replace(car, "0.9", "0.2", 1)
	for _, tt := range []struct {
		name, body string
		nmea       []string
		hide       bool
		status     int
		answer     string
		batches    int
	}{
		{name: "with its pose", body: frame(posed, car, car, kite, doubtful), status: 200, answer: "2 events; left out are 1 objects of no class, 1 with a confidence below 0.3\n", batches: 1},
		{name: "pose by NMEA", body: frame("", car), nmea: []string{gga, rmc}, status: 200, answer: "1 events\n", batches: 1},
		{name: "place by NMEA and no heading", body: frame("", car), nmea: []string{gga}, status: 400, answer: "heading"},
		{name: "no pose", body: frame("", car), status: 400, answer: "does not say where it was taken"},
		{name: "no pose at that time", body: frame(fmt.Sprintf(`"time": %d, `, clock.Add(-time.Minute).UnixMilli()), car), nmea: []string{gga, rmc}, status: 400, answer: "does not say where it was taken"},
		{name: "nothing seen", body: frame(posed), status: 200, answer: "0 events\n"},
		{name: "too old", body: frame(fmt.Sprintf(`"time": %d, `, clock.Add(-100*time.Hour).UnixMilli())+posed, car), status: 400, answer: "nobody takes"},
		{name: "of a thousand and more", body: strings.Repeat(frame(posed, car), 1001), status: 200, answer: "1001 events\n", batches: 2},
		{name: "at home", body: frame(posed, car), hide: true, status: 200, answer: "0 events, 1 more in hidden places and not signed\n"},
		{name: "no frame", body: "[]", status: 400, answer: "no frame"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sidecar(t)
			if tt.hide {
				var err error
				if s.cfg.Hidden, err = hidden.New([]byte("key"), []hidden.Place{{Lat: 48.1374, Lon: 11.5755, Radius: 300}}); err != nil {
					t.Fatal(err)
				}
			}
			for _, line := range tt.nmea {
				s.located(line)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(tt.body)))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.answer) {
				t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, tt.status, tt.answer)
			}
			got := signed(t, s)
			if len(got) != tt.batches {
				t.Fatalf("%d batches are signed, want %d", len(got), tt.batches)
			}
			for _, b := range got {
				all, err := events.Decode(b.Payload)
				if err != nil || b.Content != events.Content || all[0].Class != events.Car || all[0].Pose.Lat != 481374000 || all[0].Pose.Lon != 115755000 {
					t.Errorf("signed is %s %+v, %v", b.Content, all, err)
				}
				if len(tt.nmea) > 0 && (all[0].Pose.Heading != 844 || all[0].Pose.Speed != 998) {
					t.Errorf("by NMEA the pose is %+v", all[0].Pose)
				}
			}
		})
	}
}
