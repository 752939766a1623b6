package sidecar

import (
	"bytes"
	"compress/gzip"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// sidecar opens one whose gateway is never asked.
func sidecar(t testing.TB) *Sidecar {
	t.Helper()
	s, err := Open(Config{Dir: t.TempDir(), ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: "http://127.0.0.1:1", Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// signed are the batches in a sidecar's log.
func signed(t testing.TB, s *Sidecar) []*sensing.Batch {
	t.Helper()
	var out []*sensing.Batch
	for r, err := range s.log.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := sensing.Open(r.Data, s.cfg.Signer.PublicKey(), chainID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func reading(name, unit string, at time.Time, v float64) senml.Record {
	return senml.Record{Name: name, Unit: unit, Time: at, Value: v}
}

// What Sensor.Community's firmware sends: to the project itself, one sensor at a
// time (its wiki, page "APIs"), and to an address of the owner, all at once.
const (
	communityOne = `{"software_version": "NRZ-2020-129", "sensordatavalues":[{"value_type":"P1","value":"66.04"},{"value_type":"P2","value":"53.32"}]}`
	communityAll = `{"esp8266id": "1234567", "software_version": "NRZ-2020-129", "sensordatavalues":[
		{"value_type":"SDS_P1","value":"8.03"},{"value_type":"SDS_P2","value":"3.50"},{"value_type":"BME280_temperature","value":"21.37"},
		{"value_type":"BME280_pressure","value":"98765.43"},{"value_type":"BME280_humidity","value":"44.60"},{"value_type":"DNMS_noise_LAeq","value":52.1},
		{"value_type":"samples","value":"5027553"},{"value_type":"signal","value":"-72"}]}`
)

func TestCommunity(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []senml.Record
	}{
		{"one sensor", communityOne, []senml.Record{reading("pm10", "ug/m3", clock, 66.04), reading("pm2_5", "ug/m3", clock, 53.32)}},
		{"all sensors", communityAll, []senml.Record{
			reading("pm10", "ug/m3", clock, 8.03), reading("pm2_5", "ug/m3", clock, 3.5), reading("temperature", "Cel", clock, 21.37),
			reading("pressure", "hPa", clock, 987.6543), reading("humidity", "%RH", clock, 44.6), reading("laeq", "dB", clock, 52.1),
		}},
	} {
		if got, err := Community([]byte(tt.in), clock); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ name, in, want string }{
		{"no JSON", `P1=3`, "invalid character"},
		{"no number", `{"sensordatavalues":[{"value_type":"P1","value":"many"}]}`, "is not a number"},
		{"nothing known", `{"sensordatavalues":[{"value_type":"signal","value":"-72"}]}`, "no value that is known"},
	} {
		if _, err := Community([]byte(tt.in), clock); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

const scans = `{"items": [{"position": {"latitude": 48.137431, "longitude": 11.575490, "accuracy": 12}, "wifiAccessPoints": [
	{"macAddress": "00:1a:2b:3c:4d:5e", "signalStrength": -60}, {"macAddress": "00:1a:2b:3c:4d:5f", "ssid": "guests"}]}]}`

// Everything that comes over HTTP is answered as its service does, and signed.
func TestHTTP(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(scans))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := sidecar(t)
	for _, tt := range []struct {
		name, method, path, body string
		gzip                     bool
		status                   int
		answer                   string
	}{
		{"Weather Underground", "GET", wu, "", false, 200, "success\n"},
		{"Ecowitt", "POST", "/data/report/", ec, false, 200, "OK\n"},
		{"Sensor.Community", "POST", "/v1/push-sensor-data/", communityOne, false, 201, "{}\n"},
		{"Sensor.Community without a slash", "POST", "/v1/push-sensor-data", communityAll, false, 201, "{}\n"},
		{"geosubmit", "POST", "/v2/geosubmit?key=any", scans, false, 200, "{}\n"},
		{"geosubmit in gzip", "POST", "/v2/geosubmit", packed.String(), true, 200, "{}\n"},
		{"no gzip", "POST", "/v2/geosubmit", scans, true, 400, "report is not understood: body is no gzip\n"},
		{"too long", "POST", "/v1/push-sensor-data/", strings.Repeat(" ", maxReport+1), false, 413, "report is too long: send one of at most 16384 bytes\n"},
		{"of another year", "GET", strings.Replace(wu, "dateutc=", "dateutc=2020-01-01+00:00:00&was=", 1), "", false, 400, "report is of a time that nobody takes: temperature at 2020-01-01T00:00:00Z, want from " +
			clock.Add(-sensing.Late).UTC().Format(time.RFC3339) + " to " + clock.Add(sensing.Early).UTC().Format(time.RFC3339) + "; check the station's clock, which must be in UTC\n"},
		{"nothing known", "POST", "/v1/push-sensor-data/", "{}", false, 400, "report is not understood: no value that is known, as P1 or temperature\n"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		if tt.gzip {
			r.Header.Set("Content-Encoding", "gzip")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status || w.Body.String() != tt.answer {
			t.Errorf("%s: %d %q, want %d %q", tt.name, w.Code, w.Body, tt.status, tt.answer)
		}
	}
	batches := signed(t, s)
	if len(batches) != 6 {
		t.Fatalf("%d batches are signed, want 6", len(batches))
	}
	for _, b := range batches[4:] {
		if first, _, err := (radio.Format{}).Times(b.Payload); err != nil || b.Content != radio.Content || !first.Equal(clock) {
			t.Errorf("%s: %v %v", b.Content, first, err)
		}
		if text := string(b.Payload); strings.Contains(text, "guests") || strings.Contains(strings.ToLower(text), "1a:2b") {
			t.Errorf("scans tell more than they may: %s", text)
		}
	}
}

func FuzzCommunity(f *testing.F) {
	f.Add([]byte(communityOne))
	f.Add([]byte(communityAll))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := Community(raw, clock); err == nil && len(got) == 0 {
			t.Fatal("neither readings nor a reason")
		}
	})
}
