package sidecar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Packets as they are documented: the first is the example of CWOP's guide by
// station CW0003, the second a home-made station's, the third of the APRS protocol
// reference's chapter on weather without a place.
const (
	cw0003 = "CW0003>APRS,TCPIP*:/241505z4220.45N/07128.59W_032/005g008t054r001p078P048h50b10245e1w"
	fw0690 = "FW0690>APRS,TCPIP*:@011157z4427.67N/02608.03E_.../...g...t044h86b10201L001WxSta"
	placed = "AB1CD>APRS:_10090556c220s004g005t077r000p000P000h50b09900wRSW"
)

func TestAPRS(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []senml.Record
	}{
		{"CWOP's example, its clock is off", cw0003, []senml.Record{
			reading("wind_direction", "deg", clock, 32), reading("wind_speed", "m/s", clock, 2.2352), reading("wind_gust", "m/s", clock, 3.5763),
			reading("temperature", "Cel", clock, 12.2222), reading("precipitation_hour", "mm", clock, 0.254), reading("precipitation_24h", "mm", clock, 19.812),
			reading("precipitation_day", "mm", clock, 12.192), reading("humidity", "%RH", clock, 50), reading("pressure_sea_level", "hPa", clock, 1024.5),
		}},
		{"no wind", fw0690, []senml.Record{
			reading("temperature", "Cel", clock.Add(-3*time.Minute), 6.6667), reading("humidity", "%RH", clock.Add(-3*time.Minute), 86),
			reading("pressure_sea_level", "hPa", clock.Add(-3*time.Minute), 1020.1), reading("illuminance", "lx", clock.Add(-3*time.Minute), 126.7),
		}},
		{"without a place", placed, []senml.Record{
			reading("wind_direction", "deg", clock, 220), reading("wind_speed", "m/s", clock, 1.7882), reading("wind_gust", "m/s", clock, 2.2352),
			reading("temperature", "Cel", clock, 25), reading("precipitation_hour", "mm", clock, 0), reading("precipitation_24h", "mm", clock, 0),
			reading("precipitation_day", "mm", clock, 0), reading("humidity", "%RH", clock, 50), reading("pressure_sea_level", "hPa", clock, 990),
		}},
		{"frost and full humidity", "X>APRS:!4220.45N/07128.59W_000/000t-04h00", []senml.Record{
			reading("wind_direction", "deg", clock, 0), reading("wind_speed", "m/s", clock, 0), reading("temperature", "Cel", clock, -20), reading("humidity", "%RH", clock, 100),
		}},
	} {
		if got, err := APRS(tt.in, clock); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ name, in, want string }{
		{"no packet", "hello", "no packet"}, {"a message", "X>APRS::ALL :hi", "is no weather report"},
		{"a car", "X>APRS:!4220.45N/07128.59W>hello", "symbol of a weather station"}, {"cut off", "X>APRS:@0124", "ends in its time"},
		{"nothing measured", "X>APRS:!4220.45N/07128.59W_.../...t...", "no weather"},
	} {
		if _, err := APRS(tt.in, clock); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A station logs in as at a server of APRS-IS and sends; what is not understood
// it can read.
func TestServeAPRS(t *testing.T) {
	s := sidecar(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.ServeAPRS(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(3 * time.Minute))
	in := bufio.NewReader(c)
	for _, step := range []struct{ say, hear string }{
		{"", "# grange\r\n"}, {cw0003, "# log in first: user CW0003 pass -1 vers program 1.0\r\n"},
		{"user CW0003 pass -1 vers weewx 4.10", "# logresp CW0003 unverified, server GRANGE\r\n"},
		{cw0003 + "\r\n" + "nonsense", "# report is not understood: no packet, as CW0003>APRS,TCPIP*:…\r\n"},
	} {
		if step.say != "" {
			if _, err := io.WriteString(c, step.say+"\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := in.ReadString('\n'); err != nil || got != step.hear {
			t.Fatalf("behind %q: %q, %v, want %q", step.say, got, err, step.hear)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = c.Close()
	if b := signed(t, s); len(b) != 1 || len(b[0].Records) != 10 { // its nine values, and a counter of rain
		t.Errorf("signed %+v, want the one packet", b)
	}
}

// rtl_433's own lines: a weather station's, with another's of the neighbourhood.
const (
	mine       = `{"time" : "2020-08-01 14:03:52", "model" : "Fineoffset-WH24", "id" : 247, "battery_ok" : 1, "temperature_C" : 30.600, "humidity" : 45, "wind_dir_deg" : 149, "wind_avg_m_s" : 0.000, "wind_max_m_s" : 0.000, "rain_mm" : 6.600, "uv" : 783, "uvi" : 1, "light_lux" : 28025.000, "mic" : "CRC"}`
	neighbours = `{"time" : "2020-08-01 14:03:55", "model" : "Prologue-TH", "id" : 9, "temperature_C" : 21.0, "humidity" : 60}`
	syslog     = `<165>1 2020-08-01T14:03:52Z raspi rtl_433 - - - `
)

var wantMine = []senml.Record{
	reading("temperature", "Cel", clock, 30.6), reading("humidity", "%RH", clock, 45), reading("wind_speed", "m/s", clock, 0), reading("wind_gust", "m/s", clock, 0),
	reading("wind_direction", "deg", clock, 149), reading("precipitation_accumulated", "mm", clock, 6.6), reading("illuminance", "lx", clock, 28025),
}

func own(t testing.TB) *Sensors {
	t.Helper()
	s, err := NewSensors("Fineoffset-WH24/247")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSensors(t *testing.T) {
	s := own(t)
	if got, err := s.Read([]byte(mine), clock); err != nil || !reflect.DeepEqual(got, wantMine) {
		t.Errorf("%v, %v, want %v", got, err, wantMine)
	}
	for _, tt := range []struct {
		name, in string
		at       time.Time
		readings int
		err      error
	}{
		{"said again", mine, clock.Add(time.Second), 0, nil}, {"said anew", mine, clock.Add(time.Minute), 7, nil},
		{"the neighbour's", neighbours, clock, 0, nil}, {"no JSON", "{", clock, 0, ErrReport},
		{"no number", `{"model":"Fineoffset-WH24","id":247,"humidity":"wet"}`, clock.Add(time.Hour), 0, ErrReport},
	} {
		if got, err := s.Read([]byte(tt.in), tt.at); len(got) != tt.readings || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
	if _, err := NewSensors("Fineoffset-WH24"); err == nil {
		t.Error("a sensor without an id is taken")
	}
}

// A sensor that sends all the time, quicker than what counts as said again, is heard
// each time that this is over.
func TestSensorThatSendsAllTheTime(t *testing.T) {
	s, heard := own(t), 0
	for at := time.Duration(0); at < time.Minute; at += 4 * time.Second {
		got, err := s.Read([]byte(mine), clock.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 0 {
			heard++
		}
	}
	if heard != 5 { // at 0, 12, 24, 36 and 48 seconds
		t.Errorf("heard %d times in a minute, want 5", heard)
	}
}

func TestReadSensors(t *testing.T) {
	s := sidecar(t)
	if err := s.ReadSensors(t.Context(), strings.NewReader(neighbours+"\n"+mine+"\nnoise\n"), own(t)); err != nil {
		t.Fatal(err)
	}
	if b := signed(t, s); len(b) != 1 || !reflect.DeepEqual(b[0].Records, wantMine) {
		t.Errorf("signed %+v", b)
	}
}

// await waits for the first batch that is signed.
func await(t *testing.T, s *Sidecar, again func()) *sensing.Batch {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		if b := signed(t, s); len(b) > 0 {
			return b[0]
		}
		again()
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("nothing is signed")
	return nil
}

func TestServeSensorsAndPlaces(t *testing.T) {
	s := sidecar(t)
	for _, line := range nmeaLines {
		s.located(line)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.ServeSensors(ctx, c, own(t)) }()
	to, err := net.Dial("udp", c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	b := await(t, s, func() { _, _ = to.Write([]byte(syslog + mine)) })
	if want := append(append([]senml.Record{}, wantMine...), wantPlace...); !reflect.DeepEqual(b.Records, want) {
		t.Errorf("signed %v, want %v", b.Records, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// everybody may do everything.
type everybody struct{}

func (everybody) Connect(name string, _ []byte) (string, error) { return name, nil }
func (everybody) MayPublish(string, string) bool                { return true }
func (everybody) MaySubscribe(string, string) bool              { return true }
func (everybody) Publish(_ context.Context, messages []mqttx.Message) {
	for i := range messages {
		messages[i].Deliver = true
	}
}
func (everybody) ErrorTopic(string, string) string { return "error" }

// A broker goes away and comes back; the subscription finds it again.
func TestSubscribeSensors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker, err := mqttx.New(t.Context(), l, everybody{}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	s := sidecar(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- s.SubscribeSensors(ctx, fmt.Sprintf("mqtt://anybody:any@%s/rtl_433/+/events", l.Addr()), own(t))
	}()
	b := await(t, s, func() { _ = broker.Publish("rtl_433/raspi/events", []byte(mine), false) })
	if !reflect.DeepEqual(b.Records, wantMine) {
		t.Errorf("signed %v", b.Records)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.SubscribeSensors(t.Context(), "http://x/y", own(t)); err == nil {
		t.Error("a URL of HTTP is taken")
	}
}

// nmeaLines are the classic examples of the two sentences.
var (
	nmeaLines = []string{
		"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n",
		"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
		"$GPGSV,2,1,08,01,40,083,46*00", "nonsense",
	}
	wantPlace = []senml.Record{
		reading("speed", "m/s", clock, 11.52355), reading("latitude", "lat", clock, 48.1173), reading("longitude", "lon", clock, 11.51667),
		reading("altitude", "m", clock, 545.4), reading("accuracy", "m", clock, 4.5),
	}
)

func TestPlaces(t *testing.T) {
	var p Places
	noise := []senml.Record{reading("laeq", "dB", clock, 55)}
	if got := p.With(noise, clock); len(got) != 1 {
		t.Errorf("a place before there is one: %v", got)
	}
	for i, line := range nmeaLines {
		if err := p.Sentence(line, clock); (err != nil) != (i > 1) {
			t.Errorf("%q: %v", line, err)
		}
	}
	if got, want := p.With(noise, clock.Add(fresh)), append(append([]senml.Record{}, noise...), wantPlace...); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := p.With(noise, clock.Add(fresh+time.Second)); len(got) != 1 {
		t.Errorf("an old place: %v", got)
	}
	if err := p.Sentence("$GPGGA,123519,,,,,0,00,,,M,,M,,*6B", clock); err != nil {
		t.Errorf("without a fix: %v", err)
	}
}

// A track of GPX 1.1 with readings in its extensions, one point without.
const track = `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="noise app" xmlns="http://www.topografix.com/GPX/1/1" xmlns:n="http://example.org/noise">
<trk><name>walk</name><trkseg>
<trkpt lat="48.137431" lon="11.575490"><ele>519.2</ele><time>2026-03-01T11:00:00Z</time><extensions><n:laeq>61.4</n:laeq><n:accuracy>6</n:accuracy></extensions></trkpt>
<trkpt lat="48.137500" lon="11.575600"><time>2026-03-01T11:00:05Z</time></trkpt>
<trkpt lat="48.137550" lon="11.575700"><time>2026-03-01T13:00:10+02:00</time><extensions><n:laeq>63.0</n:laeq></extensions></trkpt>
</trkseg></trk></gpx>`

func TestGPX(t *testing.T) {
	at := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	want := [][]senml.Record{
		{reading("latitude", "lat", at, 48.13743), reading("longitude", "lon", at, 11.57549), reading("altitude", "m", at, 519.2), reading("laeq", "dB", at, 61.4), reading("accuracy", "m", at, 6)},
		{reading("latitude", "lat", at.Add(10*time.Second), 48.13755), reading("longitude", "lon", at.Add(10*time.Second), 11.5757), reading("laeq", "dB", at.Add(10*time.Second), 63)},
	}
	if got, err := GPX([]byte(track)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"no readings", strings.ReplaceAll(track, "laeq", "heart"), "none has a time and a reading"}, {"no number", strings.Replace(track, "61.4", "loud", 1), "is not a number"},
		{"no time", strings.Replace(track, "2026-03-01T11:00:00Z", "yesterday", 1), "time \"yesterday\""}, {"no XML", "x", "0 points"}, {"cut off", track[:400], "unexpected EOF"},
	} {
		if _, err := GPX([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	s := sidecar(t)
	points := make([][]senml.Record, 400)
	for i := range points {
		points[i] = want[0]
	}
	if _, err := s.Track(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range signed(t, s) {
		n += len(b.Records)
	}
	if n != 2000 {
		t.Errorf("%d readings are signed, want 2000", n)
	}
}

func FuzzAPRS(f *testing.F) {
	for _, s := range []string{cw0003, fw0690, placed} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, err := APRS(line, clock)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%v, %v", got, err)
		}
		for _, r := range got {
			if d := clock.Sub(r.Time); d < 0 || d > near {
				t.Fatalf("time %s is not near", r.Time)
			}
		}
	})
}

func FuzzSensors(f *testing.F) {
	f.Add([]byte(mine))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := own(t).Read(line, clock); err != nil && !errors.Is(err, ErrReport) {
			t.Fatal(err)
		}
	})
}

func FuzzNMEA(f *testing.F) {
	for _, s := range nmeaLines {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var p Places
		_ = p.Sentence(line, clock)
		for _, r := range p.With([]senml.Record{reading("laeq", "dB", clock, 1)}, clock) {
			if r.Name == "latitude" && (r.Value < -90 || r.Value > 90) {
				t.Fatalf("%q is at %v degrees", line, r.Value)
			}
		}
	})
}

func FuzzGPX(f *testing.F) {
	f.Add([]byte(track))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := GPX(raw)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
