package advise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// ErrProfile is returned for a profile that makes no sense.
var ErrProfile = errors.New("profile")

// Number is an optional quantity: nil is "not said".
type Number = *atlas.Decimal

// Own is what a supplier owns. Everything but Asset may be left out; what is
// left out is never taken for zero.
type Own struct {
	Asset   string `json:"asset"`             // a key of atlas.Assets
	Segment string `json:"segment,omitempty"` // one of its segments; derived from the rest when empty
	Region  string `json:"region,omitempty"`  // country code or region, lower case

	GPU          string `json:"gpu,omitempty"` // model, as the maker writes it
	VRAM         Number `json:"vram_gb,omitempty"`
	Count        Number `json:"count,omitempty"` // machines or cards
	Disk         Number `json:"disk_tb,omitempty"`
	Uplink       Number `json:"uplink_mbps,omitempty"`
	Uptime       Number `json:"uptime_percent,omitempty"`
	HoursPerDay  Number `json:"hours_per_day,omitempty"`
	Satellites   Number `json:"satellites,omitempty"` // seen with a good signal
	Solar        Number `json:"solar_kw,omitempty"`
	Battery      Number `json:"battery_kwh,omitempty"`
	TrafficMonth Number `json:"traffic_gb_month,omitempty"` // expected to be carried

	Capex      Number `json:"capex_usd,omitempty"`
	Watts      Number `json:"watts,omitempty"`
	PowerPrice Number `json:"power_usd_kwh,omitempty"`
}

// Need is what a buyer wants.
type Need struct {
	Service      string   `json:"service"`              // one of atlas.Services
	Compliance   []string `json:"compliance,omitempty"` // soc2, hipaa, fedramp
	Features     []string `json:"features,omitempty"`   // tee, s3, kubernetes, proofs, encryption, sla, ...
	Availability Number   `json:"availability_percent,omitempty"`
	Region       string   `json:"region,omitempty"`
	Latency      Number   `json:"latency_ms,omitempty"`
	Quantity     Number   `json:"quantity_tb,omitempty"`
	Budget       Number   `json:"budget_usd_month,omitempty"`
	Prefer       string   `json:"prefer,omitempty"` // cheap, reliable or easy
}

// Compliances are the certificates a need may ask for.
var Compliances = []string{"soc2", "hipaa", "fedramp"}

// preferences are the features that each preference looks for.
var preferences = map[string][]string{
	"cheap":    {"low-cost", "pay-once", "no-special-hardware"},
	"reliable": {"sla", "proofs", "support"},
	"easy":     {"s3", "card-payment", "pre-built-models", "kubernetes", "passive"},
}

// MaxProfile is the largest profile read as JSON, in bytes.
const MaxProfile = 16 << 10

// ParseOwn reads a profile from JSON, with no unknown field.
func ParseOwn(r io.Reader) (Own, error) {
	var o Own
	if err := parse(r, &o); err != nil {
		return Own{}, err
	}
	return o, o.Validate()
}

// ParseNeed reads a need from JSON, with no unknown field.
func ParseNeed(r io.Reader) (Need, error) {
	var n Need
	if err := parse(r, &n); err != nil {
		return Need{}, err
	}
	return n, n.Validate()
}

func parse(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxProfile+1))
	if err != nil {
		return fmt.Errorf("read profile: %w", err)
	}
	if len(b) > MaxProfile {
		return fmt.Errorf("%w: read profile: longer than %d bytes", ErrProfile, MaxProfile)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("read profile: %w: %w", ErrProfile, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read profile: more than one value: %w", ErrProfile)
	}
	return nil
}

// Validate says what makes no sense in o.
func (o Own) Validate() error {
	segments, ok := atlas.Assets[o.Asset]
	if !ok {
		return fmt.Errorf("%w: asset %.40q: want one of %s", ErrProfile, o.Asset, strings.Join(slices.Sorted(maps.Keys(atlas.Assets)), ", "))
	}
	if o.Segment != "" && !slices.Contains(segments, o.Segment) {
		return fmt.Errorf("%w: segment %.40q of %s: want one of %s", ErrProfile, o.Segment, o.Asset, strings.Join(segments, ", "))
	}
	for _, f := range o.facts() {
		if f.value != nil && (f.value.Sign() < 0 || f.value.Rat().Cmp(big.NewRat(f.most, 1)) > 0) {
			return fmt.Errorf("%w: %s %s: want 0 to %d", ErrProfile, f.name, f.value, f.most)
		}
	}
	return nil
}

// Validate says what makes no sense in n.
func (n Need) Validate() error {
	if !slices.Contains(atlas.Services, n.Service) {
		return fmt.Errorf("%w: service %.40q: want one of %s", ErrProfile, n.Service, strings.Join(atlas.Services, ", "))
	}
	for _, c := range n.Compliance {
		if !slices.Contains(Compliances, c) {
			return fmt.Errorf("%w: compliance %.40q: want one of %s", ErrProfile, c, strings.Join(Compliances, ", "))
		}
	}
	if _, ok := preferences[n.Prefer]; n.Prefer != "" && !ok {
		return fmt.Errorf("%w: prefer %.40q: want one of %s", ErrProfile, n.Prefer, strings.Join(slices.Sorted(maps.Keys(preferences)), ", "))
	}
	for _, f := range []fact{{"availability-percent", n.Availability, 100}, {"latency-ms", n.Latency, 1e6}, {"quantity-tb", n.Quantity, 1e9}, {"budget-usd-month", n.Budget, 1e12}} {
		if f.value != nil && (f.value.Sign() < 0 || f.value.Rat().Cmp(big.NewRat(f.most, 1)) > 0) {
			return fmt.Errorf("%w: %s %s: want 0 to %d", ErrProfile, f.name, f.value, f.most)
		}
	}
	return nil
}

type fact struct {
	name  string
	value Number
	most  int64
}

func (o Own) facts() []fact {
	return []fact{
		{"vram-gb", o.VRAM, 1e6}, {"count", o.Count, 1e9}, {"disk-tb", o.Disk, 1e9}, {"uplink-mbps", o.Uplink, 1e9},
		{"uptime-percent", o.Uptime, 100}, {"hours-per-day", o.HoursPerDay, 24}, {"satellites", o.Satellites, 1000},
		{"solar-kw", o.Solar, 1e9}, {"battery-kwh", o.Battery, 1e9}, {"traffic-gb-month", o.TrafficMonth, 1e12},
		{"capex-usd", o.Capex, 1e12}, {"watts", o.Watts, 1e9}, {"power-usd-kwh", o.PowerPrice, 1e6},
	}
}

func (o Own) fact(name string) Number {
	for _, f := range o.facts() {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// datacenterGPUs are models made for servers.
var datacenterGPUs = []string{"h100", "h200", "a100", "b100", "b200", "gh200", "gb200", "l40", "l4", "a40", "a10", "v100", "mi250", "mi300", "mi325"}

// segment is the part of the asset that the profile describes, and the words
// for why, when it was derived. It is empty when the profile leaves it open.
func (o Own) segment() (segment, why string) {
	if o.Segment != "" {
		return o.Segment, ""
	}
	more := func(n Number, least int64) bool { return n != nil && n.Rat().Cmp(big.NewRat(least, 1)) >= 0 }
	switch o.Asset {
	case "gpu":
		return o.gpuSegment()
	case "storage":
		if more(o.Disk, 10) && more(o.Uptime, 99) {
			return "enterprise", "taken as enterprise: at least 10 TB and 99 % uptime"
		}
		if o.Disk != nil {
			return "consumer", "taken as consumer: below 10 TB, or below 99 % uptime, or uptime not said"
		}
	case "bandwidth":
		if more(o.Uplink, 500) {
			return "business", "taken as business: an uplink of at least 500 Mb/s"
		}
		return "home", "taken as home: no uplink of 500 Mb/s or more"
	case "energy":
		switch {
		case o.Battery != nil:
			return "battery", "taken as battery: a battery is given"
		case o.Solar != nil:
			return "solar", "taken as solar: panels are given"
		}
	case "vehicle":
		return "car", "taken as a private car"
	case "phone":
		return "driving", "taken as a phone used while driving"
	case "gnss-station":
		return "rooftop", ""
	}
	return "", ""
}

func (o Own) gpuSegment() (segment, why string) {
	model := strings.ToLower(o.GPU)
	if model == "" {
		return "", ""
	}
	for _, word := range strings.FieldsFunc(model, func(r rune) bool { return r == ' ' || r == '-' || r == '_' }) {
		if slices.Contains(datacenterGPUs, strings.TrimSuffix(strings.TrimSuffix(word, "s"), "x")) {
			return "datacenter", "taken as data centre: " + o.GPU + " is made for servers"
		}
	}
	if o.HoursPerDay != nil && o.HoursPerDay.Rat().Cmp(big.NewRat(20, 1)) < 0 {
		return "gaming", "taken as a gaming machine: idle for part of the day only"
	}
	return "consumer", "taken as consumer: " + o.GPU + " is not known as a server model"
}
