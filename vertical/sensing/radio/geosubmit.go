package radio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Content is the media type of cleaned scans in a signed batch.
const Content = "application/vnd.grange.geosubmit+json"

// Limits of a body.
const (
	MaxBody    = 1 << 20 // bytes, of what a phone submits
	maxReports = 1000
	maxHeard   = 100 // transmitters of one kind in a report
)

// ErrScan says that a body is no geosubmit version 2 or not cleaned.
var ErrScan = errors.New("scan is not understood")

// body is geosubmit version 2 (Ichnaea's documentation, "Geosubmit Version 2");
// what is not named here is not kept.
type body struct {
	Items []Report `json:"items"`
}

// Report is one scan.
type Report struct {
	Timestamp int64    `json:"timestamp"` // milliseconds of Unix time
	Position  Position `json:"position"`
	Towers    []Tower  `json:"cellTowers,omitempty"`
	Points    []Point  `json:"wifiAccessPoints,omitempty"`
}

// Position is where the phone was. What it does not know is absent.
type Position struct {
	Latitude  float64  `json:"latitude"`
	Longitude float64  `json:"longitude"`
	Accuracy  *float64 `json:"accuracy,omitempty"` // metres
	Age       *float64 `json:"age,omitempty"`      // milliseconds
	Altitude  *float64 `json:"altitude,omitempty"` // metres
	Heading   *float64 `json:"heading,omitempty"`  // degrees
	Speed     *float64 `json:"speed,omitempty"`    // m/s
	Source    string   `json:"source,omitempty"`   // gps, manual, fused
}

// Tower is a cell of a mobile network.
type Tower struct {
	Radio    string   `json:"radioType"` // gsm, wcdma, lte, nr
	Country  int      `json:"mobileCountryCode"`
	Network  int      `json:"mobileNetworkCode"`
	Area     int      `json:"locationAreaCode"`
	Cell     int64    `json:"cellId"`
	Age      *float64 `json:"age,omitempty"` // milliseconds
	Asu      *int     `json:"asu,omitempty"`
	Code     *int     `json:"primaryScramblingCode,omitempty"`
	Serving  *int     `json:"serving,omitempty"`
	Strength *float64 `json:"signalStrength,omitempty"` // dBm
	Advance  *int     `json:"timingAdvance,omitempty"`
}

// Point is a Wi-Fi access point.
type Point struct {
	Address   string   `json:"macAddress"`    // of a cleaned report: its hash
	Age       *float64 `json:"age,omitempty"` // milliseconds
	Channel   int      `json:"channel,omitempty"`
	Frequency int      `json:"frequency,omitempty"` // MHz
	Radio     string   `json:"radioType,omitempty"`
	Ratio     *float64 `json:"signalToNoiseRatio,omitempty"` // dB
	Strength  *float64 `json:"signalStrength,omitempty"`     // dBm
	Name      string   `json:"ssid,omitempty"`               // never of a cleaned report
}

// Time is when the scan was made.
func (r Report) Time() time.Time { return time.UnixMilli(r.Timestamp).UTC() }

// Salt is what the addresses of a network are hashed with.
func Salt(chainID string) [32]byte {
	return sha256.Sum256([]byte("grange/radio/address/v1\x00" + chainID))
}

// Submitted reads what a phone posts. A report without a time is of now.
func Submitted(raw []byte, now time.Time) ([]Report, error) {
	if len(raw) > MaxBody {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrScan, len(raw), MaxBody)
	}
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	for i := range b.Items {
		if b.Items[i].Timestamp == 0 {
			b.Items[i].Timestamp = now.UnixMilli()
		}
	}
	return b.Items, check(b.Items)
}

// Clean makes of scans what may be signed and stored: places to the fourth decimal
// (11 m), hashed addresses, no names. It leaves out access points that must not be
// mapped, and reports in which nothing is left.
func Clean(reports []Report, salt [32]byte) []Report {
	var out []Report
	for _, r := range reports {
		r.Position.Latitude = math.Round(r.Position.Latitude*1e4) / 1e4
		r.Position.Longitude = math.Round(r.Position.Longitude*1e4) / 1e4
		var points []Point
		for _, p := range r.Points {
			if address, ok := hashed(p, salt); ok {
				if p.Address, p.Name = address, ""; !standards[p.Radio] {
					p.Radio = ""
				}
				points = append(points, p)
			}
		}
		if !sources[r.Position.Source] {
			r.Position.Source = ""
		}
		if r.Points = points; len(points) < 2 {
			r.Points = nil // one alone may be the phone owner's
		}
		if len(r.Towers)+len(r.Points) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// noMap ends the name of a network whose owner does not want it mapped.
const noMap = "_nomap"

// hashed is an access point's address as it is kept; false for one that must not
// be: by its name, or since its address is locally administered, which phones that
// share their link and privacy features use.
func hashed(p Point, salt [32]byte) (string, bool) {
	mac, ok := address(p.Address)
	if !ok || mac[0]&3 != 0 || mac == [6]byte{} || strings.HasSuffix(strings.ToLower(p.Name), noMap) {
		return "", false
	}
	sum := sha256.Sum256(append(salt[:], mac[:]...))
	return hex.EncodeToString(sum[:hashBytes]), true
}

// hashBytes of an address: too many for two of a town to meet, and not the length
// of an address.
const hashBytes = 8

// address reads a MAC address with or without separators.
func address(text string) (mac [6]byte, ok bool) {
	plain := strings.NewReplacer(":", "", "-", "", ".", "").Replace(text)
	if len(plain) != 2*len(mac) {
		return mac, false
	}
	_, err := hex.Decode(mac[:], []byte(plain))
	return mac, err == nil
}

// Payloads writes cleaned reports as payloads of at most size bytes.
func Payloads(reports []Report, size int) ([][]byte, error) {
	raw, err := json.Marshal(body{reports})
	if err != nil {
		return nil, fmt.Errorf("encode scans: %w", err)
	}
	if len(raw) <= size {
		return [][]byte{raw}, nil
	}
	if len(reports) < 2 {
		return nil, fmt.Errorf("%w: a report of %d bytes, want at most %d", ErrScan, len(raw), size)
	}
	half := len(reports) / 2
	first, err := Payloads(reports[:half], size)
	if err != nil {
		return nil, err
	}
	rest, err := Payloads(reports[half:], size)
	return append(first, rest...), err
}

// Parse reads a payload, which must be cleaned.
func Parse(payload []byte) ([]Report, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields() // nothing that could name a phone
	var b body
	if err := d.Decode(&b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more follows the object", ErrScan)
	}
	for i, r := range b.Items {
		if !sources[r.Position.Source] {
			return nil, fmt.Errorf("%w: report %d has its place from %.20q, want gps, manual or fused", ErrScan, i, r.Position.Source)
		}
		for _, p := range r.Points {
			if !standards[p.Radio] {
				return nil, fmt.Errorf("%w: report %d has an access point of radioType %.20q, want one of 802.11", ErrScan, i, p.Radio)
			}
			if raw, err := hex.DecodeString(p.Address); err != nil || len(raw) != hashBytes || p.Name != "" {
				return nil, fmt.Errorf("%w: report %d has an access point by its address or name, want the hash of %d hex digits", ErrScan, i, 2*hashBytes)
			}
		}
	}
	return b.Items, check(b.Items)
}

func check(reports []Report) error {
	if len(reports) == 0 || len(reports) > maxReports {
		return fmt.Errorf("%w: %d reports, want 1 to %d", ErrScan, len(reports), maxReports)
	}
	for i, r := range reports {
		lat, lon := r.Position.Latitude, r.Position.Longitude
		switch {
		case !(math.Abs(lat) <= 90 && math.Abs(lon) <= 180) || lat == 0 && lon == 0:
			return fmt.Errorf("%w: report %d is at %v %v, want a place on earth", ErrScan, i, lat, lon)
		case r.Timestamp < 1e12 || r.Timestamp > 1e13:
			return fmt.Errorf("%w: report %d has timestamp %d, want milliseconds since 1970", ErrScan, i, r.Timestamp)
		case len(r.Towers) > maxHeard || len(r.Points) > maxHeard:
			return fmt.Errorf("%w: report %d has %d towers and %d access points, want at most %d", ErrScan, i, len(r.Towers), len(r.Points), maxHeard)
		case len(r.Towers) == 0 && len(r.Points) < 2:
			return fmt.Errorf("%w: report %d has %d access points and no tower, want two or a tower", ErrScan, i, len(r.Points))
		}
		for _, t := range r.Towers {
			if !t.valid() {
				return fmt.Errorf("%w: report %d has tower %v with signal %s", ErrScan, i, t.key(), show(t.Strength))
			}
		}
	}
	return nil
}

func show(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprint(*v, " dBm")
}

// strongest and weakest signals that phones report, in dBm.
const (
	weakest   = -150.0
	strongest = 0.0
)

func (t Tower) valid() bool {
	signal := t.Strength == nil || *t.Strength >= weakest && *t.Strength <= strongest
	return generations[t.Radio] && t.Country >= 1 && t.Country <= 999 && t.Network >= 0 && t.Network <= 999 &&
		t.Area >= 0 && t.Area < 1<<24 && t.Cell >= 0 && t.Cell < 1<<36 && signal
}

// Words that may stand in a payload; others could name a phone.
var (
	sources   = map[string]bool{"": true, "gps": true, "manual": true, "fused": true}
	standards = map[string]bool{
		"": true, "802.11": true, "802.11a": true, "802.11b": true, "802.11g": true, "802.11n": true,
		"802.11ac": true, "802.11ax": true, "802.11be": true,
	}
)

var generations = map[string]bool{"gsm": true, "wcdma": true, "lte": true, "nr": true}

// transmitter names a tower, or an access point by its address, among all in the
// world.
type transmitter struct {
	name                   string // of the radio, or the address
	country, network, area int
	cell                   int64
}

func (t Tower) key() transmitter { return transmitter{t.Radio, t.Country, t.Network, t.Area, t.Cell} }

// network is its operator and technology: "262-1 lte".
func (t Tower) network() string {
	return strconv.Itoa(t.Country) + "-" + strconv.Itoa(t.Network) + " " + t.Radio
}

// Format is the format of payloads.
type Format struct{}

// Content implements sensing.Format.
func (Format) Content() string { return Content }

// Times implements sensing.Format.
func (Format) Times(payload []byte) (first, last time.Time, err error) {
	reports, err := Parse(payload)
	if err != nil {
		return first, last, err
	}
	first, last = reports[0].Time(), reports[0].Time()
	for _, r := range reports {
		if t := r.Time(); t.Before(first) {
			first = t
		} else if t.After(last) {
			last = t
		}
	}
	return first, last, nil
}
