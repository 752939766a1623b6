package radio

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// documented is the request in Ichnaea's documentation of geosubmit version 2.
const documented = `{"items": [{"timestamp": 1405602028568,
	"position": {"latitude": -22.7539192, "longitude": -43.4371081, "accuracy": 10.0, "age": 1000, "altitude": 100.0,
		"altitudeAccuracy": 50.0, "heading": 45.0, "pressure": 1013.25, "speed": 3.6, "source": "gps"},
	"connection": {"ip": "192.168.1.15"},
	"bluetoothBeacons": [{"macAddress": "ff:74:27:89:5a:77", "age": 2000, "name": "beacon", "signalStrength": -110}],
	"cellTowers": [{"radioType": "lte", "mobileCountryCode": 208, "mobileNetworkCode": 1, "locationAreaCode": 2, "cellId": 12345,
		"age": 3000, "asu": 31, "primaryScramblingCode": 5, "serving": 1, "signalStrength": -51, "timingAdvance": 1}],
	"wifiAccessPoints": [
		{"macAddress": "01:23:45:67:89:ab", "age": 5000, "channel": 6, "frequency": 2437, "radioType": "802.11n", "signalToNoiseRatio": 13, "signalStrength": -77},
		{"macAddress": "23:45:67:89:ab:cd"}]}]}`

// submitted has access points of every sort.
const submitted = `{"items": [{"timestamp": 1405602028568, "position": {"latitude": 48.13743, "longitude": 11.57549, "source": "phone of Ada"},
	"wifiAccessPoints": [{"macAddress": "00-1a-2b-3c-4d-5e", "ssid": "home", "radioType": "Ada's"}, {"macAddress": "001A2B3C4D5F", "signalStrength": -60},
		{"macAddress": "00:1a:2b:3c:4d:60", "ssid": "mine_nomap"}, {"macAddress": "02:1a:2b:3c:4d:61"}, {"macAddress": "nonsense"}]}]}`

func TestSubmittedAndClean(t *testing.T) {
	reports, err := Submitted([]byte(documented), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	clean := Clean(reports, Salt("test-1"))
	// Both addresses of the example are of groups or locally administered.
	if len(clean) != 1 || len(clean[0].Towers) != 1 || len(clean[0].Points) != 0 || clean[0].Position.Latitude != -22.7539 {
		t.Fatalf("cleaned to %+v", clean)
	}
	reports, err = Submitted([]byte(submitted), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	clean = Clean(reports, Salt("test-1"))
	if len(clean) != 1 || len(clean[0].Points) != 2 {
		t.Fatalf("cleaned to %+v, want the first two access points", clean)
	}
	other := Clean(reports, Salt("test-2"))
	payloads, err := Payloads(clean, 48<<10)
	if err != nil || len(payloads) != 1 {
		t.Fatal(payloads, err)
	}
	if text := strings.ToLower(string(payloads[0])); strings.Contains(text, "1a2b3c") || strings.Contains(text, "home") || strings.Contains(text, "ada") || strings.Contains(text, "ssid") {
		t.Errorf("the payload tells addresses or names: %s", text)
	}
	if clean[0].Points[0].Address == other[0].Points[0].Address {
		t.Error("two networks hash an address alike")
	}
	if back, err := Parse(payloads[0]); err != nil || back[0].Points[0].Address != clean[0].Points[0].Address {
		t.Errorf("payload comes back as %+v, %v", back, err)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", `{"items":[]}`, "0 reports"},
		{"not on earth", `{"items":[{"timestamp":1405602028568,"position":{"latitude":91,"longitude":1},"cellTowers":[{}]}]}`, "want a place on earth"},
		{"no place", `{"items":[{"timestamp":1405602028568,"cellTowers":[{}]}]}`, "want a place on earth"},
		{"seconds", `{"items":[{"timestamp":1405602028,"position":{"latitude":1,"longitude":1}}]}`, "want milliseconds"},
		{"nothing heard", `{"items":[{"timestamp":1405602028568,"position":{"latitude":1,"longitude":1}}]}`, "want two or a tower"},
		{"raw address", `{"items":[{"timestamp":1405602028568,"position":{"latitude":1,"longitude":1},"wifiAccessPoints":[{"macAddress":"001a2b3c4d5e"},{"macAddress":"001a2b3c4d5f"}]}]}`, "by its address or name"},
		{"subscriber", `{"items":[{"timestamp":1405602028568,"imsi":"262011234567890","position":{"latitude":1,"longitude":1}}]}`, "unknown field \"imsi\""},
		{"no tower of earth", `{"items":[{"timestamp":1405602028568,"position":{"latitude":1,"longitude":1},"cellTowers":[{"radioType":"lte","mobileCountryCode":0}]}]}`, "has tower {lte 0 0 0 0}"},
		{"words", `{"items":[{"timestamp":1405602028568,"position":{"latitude":1,"longitude":1,"source":"Ada"}}]}`, `place from "Ada"`},
		{"words of a radio", `{"items":[{"timestamp":1405602028568,"position":{"latitude":1,"longitude":1},"wifiAccessPoints":[{"macAddress":"0011223344556677","radioType":"Ada's"}]}]}`, "radioType \"Ada's\""},
		{"more behind", `{"items":[]} {}`, "more follows"},
	} {
		if _, err := Parse([]byte(tt.in)); !errors.Is(err, ErrScan) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestPayloadsSplit(t *testing.T) {
	reports, err := Submitted([]byte(documented), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for len(reports) < 200 {
		reports = append(reports, reports[0])
	}
	reports = Clean(reports, Salt("x"))
	payloads, err := Payloads(reports, 10_000)
	n := 0
	for _, p := range payloads {
		back, err := Parse(p)
		if err != nil || len(p) > 10_000 {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		n += len(back)
	}
	if err != nil || n != 200 {
		t.Errorf("%d reports in %d payloads, %v", n, len(payloads), err)
	}
}

// The values in Ichnaea's table of weights.
func TestWeights(t *testing.T) {
	at := func(x float64) *float64 { return &x }
	for _, tt := range []struct {
		name      string
		p         Position
		age       *float64
		worst     float64
		want      float64
		tolerance float64
	}{
		{"nothing is known", Position{}, nil, 200, 1, 0}, {"as good as can be", Position{Accuracy: at(10), Speed: at(5)}, at(2000), 200, 1, 0},
		{"40 m", Position{Accuracy: at(40)}, nil, 200, 0.5, 1e-9}, {"90 m", Position{Accuracy: at(90)}, nil, 200, 0.33, 0.01},
		{"200 m of Wi-Fi", Position{Accuracy: at(200)}, nil, 200, 0, 0}, {"200 m of a tower", Position{Accuracy: at(200)}, nil, 1000, 0.22, 0.01},
		{"8 s", Position{}, at(8000), 200, 0.5, 1e-9}, {"8 s after", Position{}, at(-8000), 200, 0.5, 1e-9}, {"20 s", Position{}, at(20_000), 200, 0, 0},
		{"20 m/s", Position{Speed: at(20)}, nil, 200, 0.5, 1e-9}, {"50 m/s", Position{Speed: at(50)}, nil, 200, 0, 0},
		{"all halves", Position{Accuracy: at(40), Speed: at(20)}, at(8000), 200, 0.125, 1e-9}, {"no number", Position{Accuracy: at(math.NaN())}, nil, 200, 0, 0},
	} {
		if got := tt.p.weight(tt.age, tt.worst); math.Abs(got-tt.want) > tt.tolerance {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		radio string
		dBm   float64
		want  float64
	}{{"wifi", -80, 1}, {"wifi", -98.9, 0.5}, {"wifi", -64.1, 2}, {"wifi", -50.7, 4}, {"gsm", -113.9, 0.5}, {"wcdma", -84.1, 2}, {"lte", -75.7, 4}} {
		if got := Signal(tt.radio, &tt.dBm); math.Abs(got-tt.want) > 0.01*tt.want {
			t.Errorf("%s at %v dBm: %v, want %v", tt.radio, tt.dBm, got, tt.want)
		}
	}
	if Signal("lte", nil) != 1 {
		t.Error("a signal that is not known does not count 1")
	}
}

func TestStation(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	var s Station
	s.See(day(0), 48.0, 11.0, 1, ReachOfPoint)
	s.See(day(1), 48.01, 11.0, 1, ReachOfPoint)
	if math.Abs(s.Latitude-48.005) > 1e-9 || s.Blocked(day(1)) {
		t.Errorf("two near: %+v", s)
	}
	s.See(day(2), 49.0, 11.0, 1, ReachOfPoint)
	if !s.Blocked(day(3)) || s.Blocked(day(4)) {
		t.Errorf("found elsewhere: %+v, want it blocked for two days", s)
	}
	s.See(day(3), 49.0, 11.0, 1, ReachOfPoint)
	if s.Weight != 0 {
		t.Errorf("seen while blocked: %+v", s)
	}
	s.See(day(5), 49.0, 11.0, 1, ReachOfPoint)
	s.See(day(6), 50.0, 11.0, 1, ReachOfPoint)
	if !s.Blocked(day(60)) || s.Blocked(day(90)) {
		t.Errorf("found elsewhere twice: %+v, want it blocked until it is three months old", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(documented))
	f.Add([]byte(submitted))
	reports, err := Submitted([]byte(submitted), time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	clean, err := json.Marshal(body{Clean(reports, Salt("x"))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(clean)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if reports, err := Submitted(raw, time.UnixMilli(1405602028568)); err == nil {
			payloads, err := Payloads(Clean(reports, Salt("x")), 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Parse(payloads[0]); err != nil && len(Clean(reports, Salt("x"))) > 0 {
				t.Fatalf("what was cleaned is refused: %v, %+v", err, back)
			}
		}
		if first, last, err := (Format{}).Times(raw); err == nil && last.Before(first) {
			t.Fatalf("from %v to %v", first, last)
		}
	})
}
