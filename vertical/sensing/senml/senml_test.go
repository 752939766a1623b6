package senml

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(s float64) time.Time { return time.UnixMilli(int64(s * 1000)).UTC() }

// The examples of RFC 8428 sections 5.1 and 6.
func TestRFCExamples(t *testing.T) {
	json51 := `[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1,"t":1.320067464e+09}]`
	json513 := `[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":10,"n":"voltage","u":"V","v":120.1},
		{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","v":1.7}]`
	cbor6 := "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666" +
		"a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666" +
		"a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"
	got, err := ParseJSON([]byte(json51))
	if want := []Record{{"urn:dev:ow:10e2073a01080063", "Cel", at(1.320067464e9), 23.1}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("section 5.1.1: %v, %v, want %v", got, err, want)
	}
	base := "urn:dev:ow:10e2073a0108006:"
	want := []Record{
		{base + "voltage", "V", at(1276020076.001), 120.1}, {base + "current", "A", at(1276020071.001), 1.2},
		{base + "current", "A", at(1276020072.001), 1.3}, {base + "current", "A", at(1276020076.001), 1.7},
	}
	if got, err := ParseJSON([]byte(json513)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("section 5.1.3: %v, %v, want %v", got, err, want)
	}
	raw, err := hex.DecodeString(cbor6)
	if err != nil {
		t.Fatal(err)
	}
	got, err = ParseCBOR(raw)
	if err != nil || len(got) != 7 {
		t.Fatalf("section 6: %v, %v, want 7 records", got, err)
	}
	for i, v := range []float64{120.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7} {
		w := Record{base + "current", "A", at(1276020076.001 - 6 + float64(i)), v}
		if i == 0 {
			w = Record{base + "voltage", "V", at(1276020076.001), v}
		}
		if got[i] != w {
			t.Errorf("section 6, record %d: %v, want %v", i, got[i], w)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no array", `{"n":"a","v":1}`, "want a JSON array"},
		{"text behind", `[{"n":"a","v":1,"t":1.5e9}] x`, "more follows"},
		{"relative time", `[{"n":"a","v":1}]`, "time 0 s, want an absolute one"},
		{"no name", `[{"v":1,"t":1.5e9}]`, "name of 0 bytes"},
		{"name with a space", `[{"n":"a b","v":1,"t":1.5e9}]`, "name \"a b\" has ' '"},
		{"no value", `[{"n":"a","t":1.5e9}]`, "0 values, want one"},
		{"two values", `[{"n":"a","v":1,"vb":true,"t":1.5e9}]`, "2 values, want one"},
		{"field twice", `[{"n":"a","v":1,"v":2,"t":1.5e9}]`, "field \"v\" is there twice"},
		{"field in capitals", `[{"n":"a","v":1,"V":2,"t":1.5e9}]`, "field \"V\" is not supported"},
		{"mandatory extension", `[{"n":"a","v":1,"t":1.5e9,"x_":1}]`, "field \"x_\" is not supported"},
		{"other version", `[{"bver":11,"n":"a","v":1,"t":1.5e9}]`, "version 11, want at most 10"},
		{"overflow", `[{"bv":1.7e308,"n":"a","v":1.7e308,"t":1.5e9}]`, "value +Inf"},
	} {
		if got, err := ParseJSON([]byte(tt.in)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Record {
			return Record{
				Name: rapid.StringMatching(`[a-z][a-z0-9:/_.-]{0,20}`).Draw(t, "name"), Unit: rapid.SampledFrom([]string{"", "Cel", "%RH"}).Draw(t, "unit"),
				Time: time.UnixMilli(rapid.Int64Range(1_500_000_000_000, 1_900_000_000_000).Draw(t, "time")).UTC(), Value: rapid.Float64Range(-1e6, 1e6).Draw(t, "value"),
			}
		}), 1, 20).Draw(t, "records")
		raw, err := MarshalCBOR(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := ParseCBOR(raw)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v, %v, want %v", out, err, in)
		}
	})
}

// What quick reads it reads as the decoder does.
func FuzzQuick(f *testing.F) {
	for _, s := range []string{
		"81a40061612167", "81a522fb41d303a15b0010620061610161620602", "82a4006161016143" + "02f93e0006fb41d303a15b001062" + "a2006161023b001fffffffffffff",
		"81a300616102f97e0006fb41d303a15b001062", "81a3006161021a4996b43822fb41d303a15b001062", "81a400616102182a21656269617322fb41d303a15b001062", "80",
		"81a30061610201061a59682f00", "81a3006161020106fa4eb2d05e", "81a4006161020106fa4eb2d05e24fb3ff0000000000000", "81a30061ff020106fa4eb2d05e", "81a3006161020103fa4eb2d05e",
	} {
		raw, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := quick(raw)
		if !ok {
			return
		}
		if want, err := parseCBOR(raw); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%x: %v, want %v, %v", raw, got, want, err)
		}
	})
}

// What is written here is read quickly.
func TestQuick(t *testing.T) {
	raw, err := MarshalCBOR([]Record{{"a", "Cel", at(1.5e9), 1}, {"a", "", at(1.5e9 + 1), -20.5}, {"b", "", at(1.5e9 + 1), 3.14}, {"b", "", at(1.5e9 + 1), 1e300}})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := quick(raw); !ok || len(got) != 4 {
		t.Errorf("%v, %v", got, ok)
	}
	if testing.AllocsPerRun(10, func() { _, _ = quick(raw) }) > 8 {
		t.Error("more allocations than for the records, a value, three names and a unit")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"bn":"a:","bt":1.5e9,"n":"x","v":1},{"n":"y","vs":"z"}]`))
	raw, err := MarshalCBOR([]Record{{"a", "Cel", at(1.5e9), 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, parse := range []func([]byte) ([]Record, error){ParseJSON, ParseCBOR} {
			got, err := parse(raw)
			if err != nil {
				continue
			}
			again, err := MarshalCBOR(got)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseCBOR(again); err != nil || len(back) != len(got) {
				t.Fatalf("%v becomes %v, %v", got, back, err)
			}
		}
	})
}
