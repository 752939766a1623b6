package place

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// Errors of this package.
var (
	ErrWorkload = errors.New("workload")
	ErrOffer    = errors.New("offer")
)

// The bounds of a problem.
const (
	MaxReplicas = 6
	MaxOffers   = 64
	MaxInput    = 256 << 10 // bytes of JSON
)

const hoursPerMonth = 730

// Workload is what has to run. Zero and nil fields ask for nothing.
type Workload struct {
	Name        string         `json:"name,omitempty"`
	Service     string         `json:"service,omitempty"` // selects offers made from the atlas
	Units       int            `json:"units"`             // GPUs or machines a replica needs, on one node
	Spread      bool           `json:"spread,omitempty"`  // they may also be on several nodes
	Target      *atlas.Decimal `json:"availability_percent,omitempty"`
	Compliance  []string       `json:"compliance,omitempty"`
	Region      string         `json:"region,omitempty"` // data must stay here
	Latency     int            `json:"latency_ms,omitempty"`
	GPU         string         `json:"gpu,omitempty"`
	TEE         bool           `json:"tee,omitempty"`
	WithinDays  int            `json:"within_days,omitempty"` // must be usable by then
	Budget      *atlas.Decimal `json:"budget_usd_month,omitempty"`
	MaxReplicas int            `json:"max_replicas,omitempty"` // at most MaxReplicas; 0 is that
}

// Offer is capacity for rent: equal nodes of independent providers in one network.
type Offer struct {
	ID           string         `json:"id"`
	Network      string         `json:"network"` // what fails together, in part
	Kind         string         `json:"kind"`    // hyperscaler, shared or ours
	Price        atlas.Decimal  `json:"usd_unit_hour"`
	Availability *atlas.Decimal `json:"availability_percent"` // of one node; null is unknown
	Providers    int            `json:"providers"`            // independent ones: the most replicas this offer gives
	Units        int            `json:"units"`                // free on one node; 0 is enough
	Region       string         `json:"region,omitempty"`     // empty: no promise; *: the customer chooses
	Latency      int            `json:"latency_ms,omitempty"` // 0: unknown
	GPUs         []string       `json:"gpus,omitempty"`
	TEE          bool           `json:"tee,omitempty"`
	Compliance   []string       `json:"compliance,omitempty"`
	LeadDays     int            `json:"lead_days,omitempty"`
	MTBF         int            `json:"mtbf_hours,omitempty"` // 0: unknown
	Rank         int            `json:"rank,omitempty"`       // between offers of one price the lower goes first
	Sources      []string       `json:"sources,omitempty"`
	Assumed      []string       `json:"assumed,omitempty"` // what no source says
}

// Validate says what makes no sense in w.
func (w Workload) Validate() error {
	switch {
	case w.Units < 1 || w.Units > 10_000:
		return fmt.Errorf("%w: units %d: want 1 to 10000", ErrWorkload, w.Units)
	case w.MaxReplicas < 0 || w.MaxReplicas > MaxReplicas:
		return fmt.Errorf("%w: replicas %d: want at most %d", ErrWorkload, w.MaxReplicas, MaxReplicas)
	case w.Target != nil && (w.Target.Sign() <= 0 || w.Target.Rat().Cmp(big.NewRat(100, 1)) >= 0):
		return fmt.Errorf("%w: availability %s %%: want more than 0 and less than 100", ErrWorkload, w.Target)
	case w.Budget != nil && (w.Budget.Sign() < 0 || w.Budget.Rat().Cmp(big.NewRat(1_000_000_000_000, 1)) > 0):
		return fmt.Errorf("%w: budget %s: want 0 to 10^12", ErrWorkload, w.Budget)
	case w.Latency < 0 || w.WithinDays < 0:
		return fmt.Errorf("%w: latency %d ms within %d days: want no negative", ErrWorkload, w.Latency, w.WithinDays)
	}
	return nil
}

// Validate says what makes no sense in o.
func (o Offer) Validate() error {
	switch {
	case o.ID == "" || o.Network == "":
		return fmt.Errorf("%w: %q of network %q: want an id and a network", ErrOffer, o.ID, o.Network)
	case o.Price.Sign() < 0 || o.Price.Rat().Cmp(big.NewRat(10_000, 1)) > 0:
		return fmt.Errorf("%w: %s: price %s: want 0 to 10000 USD", ErrOffer, o.ID, o.Price)
	case o.Availability != nil && (o.Availability.Sign() <= 0 || o.Availability.Rat().Cmp(big.NewRat(100, 1)) > 0):
		return fmt.Errorf("%w: %s: availability %s %%: want more than 0 to 100", ErrOffer, o.ID, o.Availability)
	case o.Providers < 1 || o.Units < 0 || o.Latency < 0 || o.LeadDays < 0 || o.MTBF < 0:
		return fmt.Errorf("%w: %s: %d providers, %d units, %d ms, %d days, %d hours: want at least one provider and no negative", ErrOffer, o.ID, o.Providers, o.Units, o.Latency, o.LeadDays, o.MTBF)
	}
	return nil
}

// ParseOffers reads a JSON array of offers with no unknown field.
func ParseOffers(r io.Reader) ([]Offer, error) {
	var all []Offer
	if err := decode(r, &all); err != nil {
		return nil, fmt.Errorf("read offers: %w: %w", ErrOffer, err)
	}
	return all, checkOffers(all)
}

func checkOffers(all []Offer) error {
	if len(all) > MaxOffers {
		return fmt.Errorf("%w: %d offers: want at most %d", ErrOffer, len(all), MaxOffers)
	}
	seen := map[string]bool{}
	for _, o := range all {
		if err := o.Validate(); err != nil {
			return err
		}
		if seen[o.ID] {
			return fmt.Errorf("%w: %s appears twice", ErrOffer, o.ID)
		}
		seen[o.ID] = true
	}
	return nil
}

// ParseWorkload reads a workload from JSON with no unknown field.
func ParseWorkload(r io.Reader) (Workload, error) {
	w := Workload{Units: 1}
	if err := decode(r, &w); err != nil {
		return Workload{}, fmt.Errorf("read workload: %w: %w", ErrWorkload, err)
	}
	return w, w.Validate()
}

func decode(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxInput+1))
	if err != nil {
		return err
	}
	if len(b) > MaxInput {
		return fmt.Errorf("longer than %d bytes", MaxInput)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// constraint is one thing a workload asks for, and how to stop asking.
type constraint struct {
	name  string
	asked func(Workload) bool
	relax func(*Workload)
	fails func(Workload, Offer) string // "" when o is eligible
}

// constraints in the order in which offers are checked.
var constraints = []constraint{
	{"compliance", func(w Workload) bool { return len(w.Compliance) > 0 }, func(w *Workload) { w.Compliance = nil },
		func(w Workload, o Offer) string {
			for _, c := range w.Compliance {
				if !slices.Contains(o.Compliance, c) {
					return "no source says it is certified for " + c
				}
			}
			return ""
		}},
	{"region", func(w Workload) bool { return w.Region != "" }, func(w *Workload) { w.Region = "" },
		func(w Workload, o Offer) string {
			switch o.Region {
			case "*", w.Region:
				return ""
			case "":
				return "no source says it can keep data in " + w.Region
			}
			return fmt.Sprintf("is in %s, data must stay in %s", o.Region, w.Region)
		}},
	{"gpu", func(w Workload) bool { return w.GPU != "" }, func(w *Workload) { w.GPU = "" },
		func(w Workload, o Offer) string {
			want := strings.ToLower(w.GPU)
			if slices.ContainsFunc(o.GPUs, func(g string) bool { return strings.Contains(want, strings.ToLower(g)) }) {
				return ""
			}
			return "no source says it has " + w.GPU
		}},
	{"single node", func(w Workload) bool { return w.Units > 1 && !w.Spread }, func(w *Workload) { w.Spread = true },
		func(w Workload, o Offer) string {
			if o.Units != 0 && o.Units < w.Units {
				return fmt.Sprintf("has %d free on one node, %d are needed there", o.Units, w.Units)
			}
			return ""
		}},
	{"tee", func(w Workload) bool { return w.TEE }, func(w *Workload) { w.TEE = false },
		func(w Workload, o Offer) string {
			if !o.TEE {
				return "no source says it has trusted execution"
			}
			return ""
		}},
	{"latency", func(w Workload) bool { return w.Latency > 0 }, func(w *Workload) { w.Latency = 0 },
		func(w Workload, o Offer) string {
			switch {
			case o.Latency > 0 && o.Latency <= w.Latency:
				return ""
			case o.Latency == 0:
				return "its latency is unknown"
			}
			return fmt.Sprintf("answers in %d ms, the limit is %d ms", o.Latency, w.Latency)
		}},
	{"lead time", func(w Workload) bool { return w.WithinDays > 0 }, func(w *Workload) { w.WithinDays = 0 },
		func(w Workload, o Offer) string {
			if o.LeadDays > w.WithinDays {
				return fmt.Sprintf("takes %d days to get, needed within %d", o.LeadDays, w.WithinDays)
			}
			return ""
		}},
	{"availability", func(w Workload) bool { return w.Target != nil }, func(w *Workload) { w.Target = nil },
		func(w Workload, o Offer) string {
			if o.Availability == nil {
				return "no source says how available it is"
			}
			return ""
		}},
	{"budget", func(w Workload) bool { return w.Budget != nil }, func(w *Workload) { w.Budget = nil }, nil},
}

// Rejected is an offer that a constraint excludes, the first one that does.
type Rejected struct {
	Offer string `json:"offer"`
	Rule  string `json:"rule"`
	Why   string `json:"why"`
}

func eligible(w Workload, offers []Offer) (good []Offer, rejected []Rejected) {
	rejected = []Rejected{}
next:
	for _, o := range offers {
		for _, c := range constraints {
			if c.fails == nil || !c.asked(w) {
				continue
			}
			if why := c.fails(w, o); why != "" {
				rejected = append(rejected, Rejected{o.ID, c.name, why})
				continue next
			}
		}
		good = append(good, o)
	}
	return good, rejected
}
