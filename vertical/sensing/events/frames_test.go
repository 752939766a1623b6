package events

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// As Ultralytics prints it, with a pose around it.
const seenFrame = `{"time": "2026-03-01T11:00:00.25Z", "latitude": 48.1371, "longitude": 11.5754, "heading": 359.97, "speed": 8.4, "width": 1280, "height": 720,
	"objects": [
		{"name": "car", "class": 2, "confidence": 0.91423, "box": {"x1": 128.0, "y1": 72, "x2": 640.0, "y2": 721.2}},
		{"name": "traffic light", "class": 9, "confidence": 0.5, "box": {"x1": 0.0, "y1": 0.0, "x2": 0.01, "y2": 0.01}},
		{"name": "person", "class": 0, "confidence": 0.29, "box": {"x1": 1, "y1": 1, "x2": 2, "y2": 2}},
		{"name": "kite", "class": 33, "confidence": 0.9, "box": {"x1": 1, "y1": 1, "x2": 2, "y2": 2}}]}`

func TestFrames(t *testing.T) {
	at := time.Date(2026, 3, 1, 11, 0, 0, 250e6, time.UTC)
	pose := Pose{Lat: 481371000, Lon: 115754000, Heading: 0, Speed: 840}
	want := []Event{
		{Time: at, Class: Car, Confidence: 914, Box: Box{Left: 1000, Top: 1000, Right: 5000, Bottom: 10000}, Pose: pose},
		{Time: at, Class: TrafficLight, Confidence: 500, Box: Box{Right: 1, Bottom: 1}, Pose: pose},
	}
	for name, text := range map[string]string{"one": seenFrame, "array": "[" + seenFrame + "]"} {
		frames, err := Frames([]byte(text))
		if err != nil || len(frames) != 1 || frames[0].Unknown != 1 || frames[0].Unclear != 1 {
			t.Fatalf("%s: %+v, %v", name, frames, err)
		}
		if got := frames[0].Events(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if _, err := Encode(frames[0].Events()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bare := `{"time": 1772362800250, "objects": []}` + "\n" + `{}`
	frames, err := Frames([]byte(bare))
	if err != nil || len(frames) != 2 || !frames[0].Time.Equal(at) || !frames[1].Time.IsZero() || !math.IsNaN(frames[1].Lat) || !math.IsNaN(frames[1].Heading) {
		t.Errorf("lines without a pose: %+v, %v", frames, err)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", "no frame"}, {"empty array", "[]", "no frame"}, {"no JSON", "car", "invalid character"}, {"cut off", seenFrame[:200], "unexpected EOF"},
		{"no frame", "7", "cannot unmarshal number"}, {"time of day", `{"time": "noon"}`, `time "noon", want RFC 3339`}, {"seconds as text", `{"time": "1772362800"}`, "want RFC 3339"},
		{"not on earth", strings.Replace(seenFrame, "48.1371", "148", 1), "latitude 148, want -90 to 90"}, {"half a place", `{"latitude": 1}`, "without longitude"},
		{"too sure", strings.Replace(seenFrame, "0.91423", "91", 1), "object 0: confidence 91, want 0 to 1"},
		{"pixels of no picture", strings.Replace(seenFrame, `"width": 1280, "height": 720,`, "", 1), "want parts of it, or pixels"},
		{"beside the picture", strings.Replace(seenFrame, "640.0", "1400", 1), "not in the picture"}, {"turned round", strings.Replace(seenFrame, "640.0", "100", 1), "not in the picture"},
		{"width only", strings.Replace(seenFrame, `"height": 720,`, "", 1), "not in the picture"}, {"too much", strings.Repeat(" ", MaxBody+1), "want at most"},
	} {
		if _, err := Frames([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What is read of anything can be signed once its time and pose are known.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(seenFrame))
	f.Add([]byte(`[{"time": 1772362800250}, {}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		frames, err := Frames(raw)
		if err != nil {
			return
		}
		for _, x := range frames {
			if x.Time.IsZero() {
				x.Time = time.Unix(1772362800, 0)
			}
			if math.IsNaN(x.Lat) {
				x.Lat, x.Lon = 48, 11
			}
			if math.IsNaN(x.Heading) {
				x.Heading = 0
			}
			all := x.Events()
			if len(all) == 0 || len(all) > MaxEvents {
				continue
			}
			if _, err := Encode(all); err != nil {
				t.Fatalf("%s gives what cannot be signed: %v", raw, err)
			}
		}
	})
}
