package senml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/grange-network/grange/vertical/sensing/internal/strictcbor"
)

// Limits of a pack.
const (
	MaxRecords = 10_000
	MaxSize    = 1 << 20 // bytes
	maxName    = 255
)

// version of SenML that is understood, and all before it (RFC 8428 section 4.4).
const version = 10

// relative is the least absolute time in seconds; smaller ones count from now
// (RFC 8428 section 4.5.3), which a signed record must not.
const relative = 1 << 28

// ErrMalformed says that a pack cannot be read.
var ErrMalformed = errors.New("malformed SenML")

// Record is a resolved reading.
type Record struct {
	Name  string
	Unit  string // of the SenML units registry; may be empty
	Time  time.Time
	Value float64
}

// IsLatitude reports whether the value is a latitude in degrees, by its unit (RFC
// 8428 section 12.1) or its name.
func (r *Record) IsLatitude() bool {
	return r.Unit == "lat" || r.Name == "lat" || r.Name == "latitude"
}

// IsLongitude is like IsLatitude.
func (r *Record) IsLongitude() bool {
	return r.Unit == "lon" || r.Name == "lon" || r.Name == "longitude"
}

// record is one entry of a pack as sent.
type record struct {
	Version  *int     `json:"bver,omitempty" cbor:"-1,keyasint,omitempty"`
	BaseName string   `json:"bn,omitempty" cbor:"-2,keyasint,omitempty"`
	BaseTime float64  `json:"bt,omitempty" cbor:"-3,keyasint,omitempty"`
	BaseUnit string   `json:"bu,omitempty" cbor:"-4,keyasint,omitempty"`
	BaseVal  *float64 `json:"bv,omitempty" cbor:"-5,keyasint,omitempty"`
	BaseSum  *float64 `json:"bs,omitempty" cbor:"-6,keyasint,omitempty"`
	Name     string   `json:"n,omitempty" cbor:"0,keyasint,omitempty"`
	Unit     string   `json:"u,omitempty" cbor:"1,keyasint,omitempty"`
	Value    *float64 `json:"v,omitempty" cbor:"2,keyasint,omitempty"`
	Text     *string  `json:"vs,omitempty" cbor:"3,keyasint,omitempty"`
	Bool     *bool    `json:"vb,omitempty" cbor:"4,keyasint,omitempty"`
	Sum      *float64 `json:"s,omitempty" cbor:"5,keyasint,omitempty"`
	Time     float64  `json:"t,omitempty" cbor:"6,keyasint,omitempty"`
	Update   *float64 `json:"ut,omitempty" cbor:"7,keyasint,omitempty"`
	Data     any      `json:"vd,omitempty" cbor:"8,keyasint,omitempty"`
}

var known = map[string]bool{
	"bver": true, "bn": true, "bt": true, "bu": true, "bv": true, "bs": true, "n": true, "u": true,
	"v": true, "vs": true, "vb": true, "s": true, "t": true, "ut": true, "vd": true,
}

// ParseJSON reads a pack in JSON.
func ParseJSON(raw []byte) ([]Record, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrMalformed, len(raw), MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%w: want a JSON array", ErrMalformed)
	}
	var r resolver
	for d.More() {
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrMalformed, r.n, err)
		}
		if err := checkFields(one); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrMalformed, r.n, err)
		}
		var rec record
		if err := json.Unmarshal(one, &rec); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrMalformed, r.n, err)
		}
		if err := r.add(&rec); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.More() || len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		return nil, fmt.Errorf("%w: more follows the array", ErrMalformed)
	}
	return r.out, nil
}

// checkFields refuses what encoding/json would let pass: fields that are there
// twice, that differ in case, or that are mandatory to understand and unknown.
func checkFields(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want an object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("field %.20q is there twice", name)
		}
		seen[name] = true
		if strings.HasSuffix(name, "_") || !known[name] && known[strings.ToLower(name)] {
			return fmt.Errorf("field %.20q is not supported", name)
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return err
		}
	}
	return nil
}

var (
	decode = strictcbor.Decoder(cbor.DecOptions{MaxNestedLevels: 4, MaxArrayElements: MaxRecords + 16, TagsMd: cbor.TagsForbidden})
	encode = strictcbor.Encoder(cbor.EncOptions{Sort: cbor.SortCoreDeterministic, ShortestFloat: cbor.ShortestFloat16, IndefLength: cbor.IndefLengthForbidden})
)

// ParseCBOR reads a pack in CBOR.
func ParseCBOR(raw []byte) ([]Record, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrMalformed, len(raw), MaxSize)
	}
	if out, ok := quick(raw); ok {
		return out, nil
	}
	return parseCBOR(raw)
}

// parseCBOR decodes a pack, however it is written.
func parseCBOR(raw []byte) ([]Record, error) {
	var recs []record
	if err := decode.Unmarshal(raw, &recs); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var r resolver
	for i := range recs {
		if err := r.add(&recs[i]); err != nil {
			return nil, err
		}
	}
	return r.out, nil
}

// resolver applies base fields (RFC 8428 section 4.6).
type resolver struct {
	n    int
	base record
	out  []Record
}

func (r *resolver) add(in *record) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: record %d: %w", ErrMalformed, r.n, fmt.Errorf(format, args...))
	}
	if r.n >= MaxRecords {
		return bad("more than %d records", MaxRecords)
	}
	if in.Version != nil && *in.Version > version {
		return bad("version %d, want at most %d", *in.Version, version)
	}
	r.rebase(in)
	out := Record{Name: r.base.BaseName + in.Name, Unit: in.Unit}
	if out.Unit == "" {
		out.Unit = r.base.BaseUnit
	}
	if err := checkName(out.Name); err != nil {
		return bad("%w", err)
	}
	n, err := numeric(in)
	if err != nil {
		return bad("%w", err)
	}
	r.n++
	if !n {
		return nil
	}
	if out.Time, err = absolute(r.base.BaseTime + in.Time); err != nil {
		return bad("%w", err)
	}
	out.Value = *in.Value
	if r.base.BaseVal != nil {
		out.Value += *r.base.BaseVal
	}
	if math.IsInf(out.Value, 0) || math.IsNaN(out.Value) {
		return bad("value %v", out.Value)
	}
	r.out = append(r.out, out)
	return nil
}

func (r *resolver) rebase(in *record) {
	if in.BaseName != "" {
		r.base.BaseName = in.BaseName
	}
	if in.BaseTime != 0 {
		r.base.BaseTime = in.BaseTime
	}
	if in.BaseUnit != "" {
		r.base.BaseUnit = in.BaseUnit
	}
	if in.BaseVal != nil {
		r.base.BaseVal = in.BaseVal
	}
}

// numeric reports whether a record has a number to keep; it must have exactly
// one kind of value, or a sum.
func numeric(in *record) (bool, error) {
	kinds := 0
	for _, there := range []bool{in.Value != nil, in.Text != nil, in.Bool != nil, in.Data != nil} {
		if there {
			kinds++
		}
	}
	if kinds > 1 || kinds == 0 && in.Sum == nil {
		return false, fmt.Errorf("%d values, want one", kinds)
	}
	return in.Value != nil, nil
}

// checkName checks the characters of section 4.5.1.
func checkName(s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("name of %d bytes, want 1 to %d", len(s), maxName)
	}
	for i, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("-:./_", rune(c))) {
			return fmt.Errorf("name %.40q has %q", s, c)
		}
	}
	return nil
}

// absolute turns seconds of SenML into a time, to the millisecond.
func absolute(s float64) (time.Time, error) {
	if !(s >= relative && s < 1<<34) {
		return time.Time{}, fmt.Errorf("time %v s, want an absolute one", s)
	}
	return time.UnixMilli(int64(math.Round(s * 1000))).UTC(), nil
}

// MarshalCBOR writes records as a pack that ParseCBOR reads back; times are
// relative to the first record's.
func MarshalCBOR(records []Record) ([]byte, error) {
	out := make([]record, len(records))
	for i, r := range records {
		out[i] = record{Name: r.Name, Unit: r.Unit, Value: &r.Value, Time: seconds(r.Time) - seconds(records[0].Time)}
	}
	if len(out) > 0 {
		out[0].BaseTime = seconds(records[0].Time)
	}
	return encode.Marshal(out)
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
