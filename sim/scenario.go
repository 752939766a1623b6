package sim

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grange-network/grange/core/price"
)

// MaxScenarioSize bounds a scenario file, in bytes.
const MaxScenarioSize = 64 << 10

//go:embed scenarios/*.yaml
var shipped embed.FS

// Scenario is a world to run: its rules, its agents and their number. Money is
// in ucredit (10⁻⁶ USD), shares in bps (10⁻⁴) or ppm (10⁻⁶), sizes in GB.
type Scenario struct {
	Name   string `json:"name" yaml:"name"`
	About  string `json:"about" yaml:"about"`
	Days   int    `json:"days" yaml:"days"`     // epochs to run, 1 to 3650
	Rounds int    `json:"rounds" yaml:"rounds"` // price rounds a day, 1 to 8640 (one in 10 s, as on the ledger)

	Rules      Rules      `json:"rules" yaml:"rules"`
	Exchange   Exchange   `json:"exchange" yaml:"exchange"`
	Demand     Demand     `json:"demand" yaml:"demand"`
	Providers  Providers  `json:"providers" yaml:"providers"`
	Validators Validators `json:"validators" yaml:"validators"`
	Whales     Whales     `json:"whales" yaml:"whales"`
	Attackers  []Attacker `json:"attackers" yaml:"attackers"`
}

// Exchange is where GRAIN is traded for dollars: a random walk with jumps, and
// trades that push the price until others push it back.
type Exchange struct {
	SupplyGrain       uint64 `json:"supply_grain" yaml:"supply_grain"`             // GRAIN at genesis
	Price             uint64 `json:"price" yaml:"price"`                           // ucredit per GRAIN at the start
	DriftPPM          int64  `json:"drift_ppm" yaml:"drift_ppm"`                   // a day
	VolatilityPPM     uint64 `json:"volatility_ppm" yaml:"volatility_ppm"`         // standard deviation of a day
	JumpsPPM          uint64 `json:"jumps_ppm" yaml:"jumps_ppm"`                   // chance of a jump in a day
	JumpBPS           uint64 `json:"jump_bps" yaml:"jump_bps"`                     // size of a jump, up or down
	FallsOnly         bool   `json:"falls_only" yaml:"falls_only"`                 // jumps go down only
	DepthUSD          uint64 `json:"depth_usd" yaml:"depth_usd"`                   // USD that move the price by 1 %
	ResilienceSeconds uint64 `json:"resilience_seconds" yaml:"resilience_seconds"` // in which a push fades to 1/e
	FeeBPS            uint64 `json:"fee_bps" yaml:"fee_bps"`                       // of a trade
}

// Demand is what buyers want to store and read.
type Demand struct {
	StartGB       uint64 `json:"start_gb" yaml:"start_gb"`             // held at the start price
	GrowthPPM     int64  `json:"growth_ppm" yaml:"growth_ppm"`         // a day
	ElasticityBPS uint64 `json:"elasticity_bps" yaml:"elasticity_bps"` // % less demand per % higher price
	ReadPPM       uint64 `json:"read_ppm" yaml:"read_ppm"`             // of what is held, read in a day
	ShocksPPM     uint64 `json:"shocks_ppm" yaml:"shocks_ppm"`         // chance of a shock in a day
	ShockBPS      uint64 `json:"shock_bps" yaml:"shock_bps"`           // of the demand, gone at a shock
	RecoveryPPM   uint64 `json:"recovery_ppm" yaml:"recovery_ppm"`     // of what a shock took, back in a day
	Buyers        int    `json:"buyers" yaml:"buyers"`                 // the first has 1, the second 1/2, the third 1/3 ...
}

// Providers is supply and what it costs.
type Providers struct {
	Start        int    `json:"start" yaml:"start"`
	Max          int    `json:"max" yaml:"max"`
	CapacityGB   uint64 `json:"capacity_gb" yaml:"capacity_gb"`         // of the smallest; the largest has 8 times as much
	CapexPerTB   uint64 `json:"capex_per_tb" yaml:"capex_per_tb"`       // ucredit
	OpexPerTBDay uint64 `json:"opex_per_tb_day" yaml:"opex_per_tb_day"` // ucredit
	HurdleBPS    int64  `json:"hurdle_bps" yaml:"hurdle_bps"`           // 90-day return on capex at which some enter
	EntryPerDay  int    `json:"entry_per_day" yaml:"entry_per_day"`     // at most
	LeadDays     int    `json:"lead_days" yaml:"lead_days"`             // from decision to service
	PatienceDays int    `json:"patience_days" yaml:"patience_days"`     // of service before anyone thinks of leaving
	FaultPPM     uint64 `json:"fault_ppm" yaml:"fault_ppm"`             // chance of failing an epoch
	HoldPrice    uint64 `json:"hold_price" yaml:"hold_price"`           // ucredit per TB and day at the start
	UsePrice     uint64 `json:"use_price" yaml:"use_price"`             // ucredit per TB read at the start
	TargetBPS    int64  `json:"target_bps" yaml:"target_bps"`           // utilisation at which prices stand still
	SpeedPPM     int64  `json:"speed_ppm" yaml:"speed_ppm"`             // price change a day at 100 % off the target
	FloorBPS     uint64 `json:"floor_bps" yaml:"floor_bps"`             // of the start price, below which nobody offers
}

// Validators vote on the price and get a part of the take.
type Validators struct {
	Count    int    `json:"count" yaml:"count"`         // with power as 1, 1/2, 1/3 ...
	NoiseBPS uint64 `json:"noise_bps" yaml:"noise_bps"` // greatest error of a vote
	// OutagePPM is the chance in a day that validators stop voting for a while;
	// leases go on and the price grows stale.
	OutagePPM   uint64 `json:"outage_ppm" yaml:"outage_ppm"`
	OutageHours uint64 `json:"outage_hours" yaml:"outage_hours"`
}

// Whales hold much GRAIN and sometimes trade a lot of it, or of credits.
type Whales struct {
	Count    int    `json:"count" yaml:"count"`
	TradePPM uint64 `json:"trade_ppm" yaml:"trade_ppm"` // chance of a trade in a day, for each
	TradeUSD uint64 `json:"trade_usd" yaml:"trade_usd"` // size in GRAIN; a tenth of it in credits
}

// Attacker is one attacker with what it may spend.
type Attacker struct {
	Kind     string `json:"kind" yaml:"kind"`           // see Attacks
	USD      uint64 `json:"usd" yaml:"usd"`             // capital, or volume in a day: see Attacks
	Parties  int    `json:"parties" yaml:"parties"`     // devices, sybils or rounds to hold a price; 0 is the attack's own number
	StartDay int    `json:"start_day" yaml:"start_day"` // from which it acts
	PowerBPS uint64 `json:"power_bps" yaml:"power_bps"` // share of the validators' power it has
}

// Parse reads a scenario. Fields that the file leaves out have the values of
// the shipped base scenario; a field that does not exist is an error, and so
// are a second document and a file above MaxScenarioSize.
func Parse(data []byte) (Scenario, error) {
	base, err := shipped.ReadFile("scenarios/base.yaml")
	if err != nil {
		return Scenario{}, err
	}
	s := Scenario{Rules: DefaultRules()}
	if err := decode(base, &s); err != nil {
		return Scenario{}, fmt.Errorf("read the base scenario: %w", err)
	}
	s.Name, s.About = "", ""
	if err := decode(data, &s); err != nil {
		return Scenario{}, fmt.Errorf("read scenario: %w", err)
	}
	return s, s.Valid()
}

func decode(data []byte, s *Scenario) error {
	if len(data) > MaxScenarioSize {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(data), MaxScenarioSize)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err == nil {
		if err := whole(&tree); err != nil {
			return err
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := d.Decode(new(Scenario)); !errors.Is(err, io.EOF) {
		return errors.New("there is a second document: one file is one scenario")
	}
	return nil
}

// whole refuses numbers with a fraction, which the decoder would cut off.
func whole(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!float" {
		return fmt.Errorf("line %d: cannot unmarshal %s: numbers are whole here", n.Line, n.Value)
	}
	for _, c := range n.Content {
		if err := whole(c); err != nil {
			return err
		}
	}
	return nil
}

// Names lists the shipped scenarios.
func Names() []string {
	files, err := shipped.ReadDir("scenarios")
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return names
}

// ErrUnknown is returned for a scenario that is not shipped.
var ErrUnknown = errors.New("no such scenario")

// Source is the file of a shipped scenario.
func Source(name string) ([]byte, error) {
	data, err := shipped.ReadFile(path.Join("scenarios", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("%w: %q; shipped are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	return data, nil
}

// Load reads a shipped scenario by its name.
func Load(name string) (Scenario, error) {
	data, err := Source(name)
	if err != nil {
		return Scenario{}, err
	}
	s, err := Parse(data)
	if err != nil {
		return s, fmt.Errorf("scenario %s: %w", name, err)
	}
	return s, nil
}

// Valid reports everything in s that cannot be run, or nil.
func (s Scenario) Valid() error {
	errs := []error{s.Rules.Valid(), price.Check(s.Exchange.Price)}
	within := func(what string, v, least, most uint64) {
		if v < least || v > most {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d", what, v, least, most))
		}
	}
	signed := func(what string, v, least, most int64) {
		if v < least || v > most {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d", what, v, least, most))
		}
	}
	if s.Name == "" {
		errs = append(errs, errors.New("scenario has no name"))
	}
	signed("days", int64(s.Days), 1, 3650)
	signed("rounds", int64(s.Rounds), 1, 8640)
	e := s.Exchange
	within("exchange.supply_grain", e.SupplyGrain, 1_000_000, 400_000_000)
	signed("exchange.drift_ppm", e.DriftPPM, -50_000, 50_000)
	within("exchange.volatility_ppm", e.VolatilityPPM, 0, 300_000)
	within("exchange.jumps_ppm", e.JumpsPPM, 0, ppm)
	within("exchange.jump_bps", e.JumpBPS, 0, 8000)
	within("exchange.depth_usd", e.DepthUSD, 1, 1_000_000_000_000)
	within("exchange.resilience_seconds", e.ResilienceSeconds, 1, 1<<32)
	within("exchange.fee_bps", e.FeeBPS, 0, 1000)
	d := s.Demand
	within("demand.start_gb", d.StartGB, 0, 1_000_000_000)
	signed("demand.growth_ppm", d.GrowthPPM, -50_000, 50_000)
	within("demand.elasticity_bps", d.ElasticityBPS, 0, 50_000)
	within("demand.read_ppm", d.ReadPPM, 0, 10*ppm)
	within("demand.shocks_ppm", d.ShocksPPM, 0, ppm)
	within("demand.shock_bps", d.ShockBPS, 0, 9900)
	within("demand.recovery_ppm", d.RecoveryPPM, 0, ppm)
	signed("demand.buyers", int64(d.Buyers), 1, 100)
	p := s.Providers
	signed("providers.max", int64(p.Max), 1, 5000)
	signed("providers.start", int64(p.Start), 0, int64(p.Max))
	within("providers.capacity_gb", p.CapacityGB, 1, 100_000_000)
	within("providers.capex_per_tb", p.CapexPerTB, 1, 1_000_000_000_000)
	within("providers.opex_per_tb_day", p.OpexPerTBDay, 0, 1_000_000_000)
	signed("providers.hurdle_bps", p.HurdleBPS, -10_000, 100_000)
	signed("providers.entry_per_day", int64(p.EntryPerDay), 0, 1000)
	signed("providers.lead_days", int64(p.LeadDays), 0, 365)
	signed("providers.patience_days", int64(p.PatienceDays), 0, 3650)
	within("providers.fault_ppm", p.FaultPPM, 0, ppm)
	within("providers.hold_price", p.HoldPrice, 1, 1_000_000_000)
	within("providers.use_price", p.UsePrice, 0, 1_000_000_000)
	signed("providers.target_bps", p.TargetBPS, 0, 10_000)
	signed("providers.speed_ppm", p.SpeedPPM, 0, 200_000)
	within("providers.floor_bps", p.FloorBPS, 0, 10_000)
	v := s.Validators
	signed("validators.count", int64(v.Count), 1, 200)
	within("validators.noise_bps", v.NoiseBPS, 0, 2000)
	within("validators.outage_ppm", v.OutagePPM, 0, ppm)
	within("validators.outage_hours", v.OutageHours, 0, 24*90)
	signed("whales.count", int64(s.Whales.Count), 0, 100)
	within("whales.trade_ppm", s.Whales.TradePPM, 0, ppm)
	within("whales.trade_usd", s.Whales.TradeUSD, 0, 1_000_000_000)
	if len(s.Attackers) > 16 {
		errs = append(errs, fmt.Errorf("%d attackers, at most 16 are allowed", len(s.Attackers)))
	}
	for i, a := range s.Attackers {
		if !slices.ContainsFunc(Attacks, func(k Attack) bool { return k.Kind == a.Kind }) {
			errs = append(errs, fmt.Errorf("attackers[%d].kind is %q, which is none of %s", i, a.Kind, strings.Join(attackKinds(), ", ")))
		}
		within(fmt.Sprintf("attackers[%d].usd", i), a.USD, 1, 1_000_000_000)
		signed(fmt.Sprintf("attackers[%d].parties", i), int64(a.Parties), 0, 512)
		signed(fmt.Sprintf("attackers[%d].start_day", i), int64(a.StartDay), 0, int64(s.Days)-1)
		within(fmt.Sprintf("attackers[%d].power_bps", i), a.PowerBPS, 0, 6600)
	}
	return errors.Join(errs...)
}
