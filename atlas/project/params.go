package project

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grange-network/grange/atlas"
)

//go:embed params/*.yaml
var builtin embed.FS

// ErrParams is returned for parameters that make no sense.
var ErrParams = errors.New("scenario parameters")

// The bounds of a scenario.
const (
	MaxMonths = 240
	MaxRuns   = 2000
	MaxFile   = 64 << 10
)

// Amount is a number in a parameter file with millionths: dollars, tokens.
type Amount struct{ atlas.Decimal }

// Micro is the amount in millionths, rounded down; ok is false when it does not
// fit or is negative.
func (a Amount) Micro() (int64, bool) {
	r := new(big.Rat).Mul(a.Rat(), big.NewRat(1_000_000, 1))
	q := new(big.Int).Quo(r.Num(), r.Denom())
	return q.Int64(), q.IsInt64() && q.Sign() >= 0
}

// Start is the network in month 0.
type Start struct {
	Providers   int64  `yaml:"providers"`
	Capacity    int64  `yaml:"capacity-per-provider"` // units each provider offers
	Demand      int64  `yaml:"demand"`                // units wanted a month
	Price       Amount `yaml:"price"`                 // USD a unit and month
	Cost        Amount `yaml:"provider-cost"`         // USD a provider pays a month to run
	Capex       Amount `yaml:"provider-capex"`        // USD to become a provider
	TokenPrice  Amount `yaml:"token-price"`           // USD
	Supply      Amount `yaml:"supply"`                // tokens
	Treasury    Amount `yaml:"treasury"`              // USD
	Spend       Amount `yaml:"spend"`                 // USD the treasury spends a month
	LargeShares []PPM  `yaml:"large-shares"`          // part of the capacity each large operator holds
}

// PPM counts millionths; negative ones shrink.
type PPM int64

const million = 1_000_000

// Emission is a supply that halves: what is left of Total after m months is
// Total·2^(−m/half-life).
type Emission struct {
	Total    Amount `yaml:"total"` // tokens still to be issued
	HalfLife uint64 `yaml:"half-life-months"`
	Treasury PPM    `yaml:"to-treasury"` // the rest goes to providers
}

// Change is what happens each month, in millionths of what is there.
type Change struct {
	Demand       PPM `yaml:"demand"`
	Price        PPM `yaml:"price"`
	Token        PPM `yaml:"token-price"`
	DemandSpread PPM `yaml:"demand-spread"` // standard deviation
	TokenSpread  PPM `yaml:"token-spread"`
	Large        PPM `yaml:"large-shares"` // growth of a large share, times what is not large
}

// Take is what the network keeps of revenue.
type Take struct {
	Take PPM `yaml:"take"`
	Burn PPM `yaml:"burn"` // part of the take that buys and burns tokens; the rest is the treasury's
}

// Entry says how providers come and go.
type Entry struct {
	Payback  PPM `yaml:"payback-months"` // months, in millionths: they come below it
	MaxJoin  PPM `yaml:"max-join"`       // of the providers, a month
	MaxLeave PPM `yaml:"max-leave"`
}

// Event may strike in one month: factors in millionths, a million is no change.
type Event struct {
	Name        string `yaml:"name"`
	Month       int    `yaml:"month"`
	Probability PPM    `yaml:"probability"`
	Demand      PPM    `yaml:"demand"`
	Price       PPM    `yaml:"price"`
	Token       PPM    `yaml:"token-price"`
}

// Params is one scenario.
type Params struct {
	ID       string   `yaml:"id"`
	Name     string   `yaml:"name"`
	About    string   `yaml:"about"`
	Months   int      `yaml:"months"`
	Runs     int      `yaml:"runs"`
	Seed     uint64   `yaml:"seed"`
	Start    Start    `yaml:"start"`
	Emission Emission `yaml:"emission"`
	Change   Change   `yaml:"change"`
	Take     Take     `yaml:"take"`
	Entry    Entry    `yaml:"entry"`
	Events   []Event  `yaml:"events"`
	Basis    []Basis  `yaml:"basis"`  // where the parameters come from
	Points   []string `yaml:"points"` // what the source expects besides, in words
	Source   string   `yaml:"source"` // of the points
}

// Basis says why a parameter has its value.
type Basis struct {
	Parameter string `yaml:"parameter" json:"parameter"`
	Why       string `yaml:"why" json:"why"`
	Source    string `yaml:"source" json:"source"`
}

// Builtin lists the scenarios in this program.
func Builtin() []string {
	names, err := fs.Glob(builtin, "params/*.yaml")
	if err != nil {
		return nil
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(n, "params/"), ".yaml")
	}
	slices.Sort(names)
	return names
}

// Load returns a scenario of this program by name.
func Load(name string) (Params, error) {
	if !slices.Contains(Builtin(), name) {
		return Params{}, fmt.Errorf("scenario %.40q: want one of %s: %w", name, strings.Join(Builtin(), ", "), atlas.ErrNotFound)
	}
	f, err := builtin.Open("params/" + name + ".yaml")
	if err != nil {
		return Params{}, err
	}
	defer f.Close()
	return Parse(f)
}

// Parse reads a scenario from YAML with no unknown key.
func Parse(r io.Reader) (Params, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return Params{}, fmt.Errorf("read scenario: %w", err)
	}
	if len(b) > MaxFile {
		return Params{}, fmt.Errorf("read scenario: longer than %d bytes: %w", MaxFile, ErrParams)
	}
	var p Params
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil {
		return Params{}, fmt.Errorf("read scenario: %w: %w", ErrParams, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Params{}, fmt.Errorf("read scenario: more than one document: %w", ErrParams)
	}
	return p, p.Validate()
}

// Validate says what makes no sense in p.
func (p Params) Validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("scenario %q: "+format+": %w", append(append([]any{p.ID}, args...), ErrParams)...)
	}
	switch {
	case p.ID == "" || p.Name == "":
		return fail("no id or name")
	case p.Months < 1 || p.Months > MaxMonths:
		return fail("%d months, want 1 to %d", p.Months, MaxMonths)
	case p.Runs < 1 || p.Runs > MaxRuns:
		return fail("%d runs, want 1 to %d", p.Runs, MaxRuns)
	case p.Start.Providers < 1 || p.Start.Providers > 1e9 || p.Start.Capacity < 1 || p.Start.Capacity > 1e6 || p.Start.Demand < 0 || p.Start.Demand > 1e12:
		return fail("%d providers of %d units for %d wanted: out of range", p.Start.Providers, p.Start.Capacity, p.Start.Demand)
	case p.Emission.HalfLife < 1 || p.Emission.HalfLife > 1e6:
		return fail("half-life of %d months", p.Emission.HalfLife)
	}
	for _, a := range []struct {
		name string
		of   Amount
	}{
		{"price", p.Start.Price}, {"provider cost", p.Start.Cost}, {"capex", p.Start.Capex}, {"token price", p.Start.TokenPrice},
		{"treasury", p.Start.Treasury}, {"spend", p.Start.Spend}, {"supply", p.Start.Supply}, {"emission", p.Emission.Total},
	} {
		if m, ok := a.of.Micro(); !ok || m > 1e18 {
			return fail("%s of %s: want 0 to 10^12", a.name, a.of)
		}
	}
	if m, _ := p.Start.TokenPrice.Micro(); m == 0 {
		return fail("a token costs nothing")
	}
	shares := PPM(0)
	for _, s := range p.Start.LargeShares {
		if s < 0 {
			return fail("large share of %d ppm", s)
		}
		shares += s
	}
	for _, x := range []struct {
		name  string
		of    PPM
		least PPM
	}{
		{"large shares", shares, 0}, {"emission to treasury", p.Emission.Treasury, 0}, {"take", p.Take.Take, 0}, {"burn", p.Take.Burn, 0},
		{"join", p.Entry.MaxJoin, 0}, {"leave", p.Entry.MaxLeave, 0}, {"demand spread", p.Change.DemandSpread, 0}, {"token spread", p.Change.TokenSpread, 0},
		{"monthly change of demand", p.Change.Demand, -900_000}, {"monthly change of price", p.Change.Price, -900_000},
		{"monthly change of token price", p.Change.Token, -900_000}, {"monthly change of large shares", p.Change.Large, -900_000},
	} {
		if x.of < x.least || x.of > million {
			return fail("%s of %d ppm: want %d to %d", x.name, x.of, x.least, million)
		}
	}
	for _, e := range p.Events {
		for _, f := range []PPM{e.Demand, e.Price, e.Token} {
			if f < 0 || f > 10*million {
				return fail("event %q: factor %d ppm: want 0 to %d", e.Name, f, 10*million)
			}
		}
		if e.Probability < 0 || e.Probability > million || e.Month < 0 {
			return fail("event %q in month %d with %d ppm: out of range", e.Name, e.Month, e.Probability)
		}
	}
	return nil
}
