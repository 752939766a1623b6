package api

import (
	"context"
	"encoding/json"
	"math/big"
	"time"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/project"
	"github.com/grange-network/grange/atlas/source"
	"github.com/grange-network/grange/explorer/index"
)

// exportDePINScan writes our devices as DePINScan takes them: centres of published
// cells.
func (s *Server) exportDePINScan(r *request) (any, error) {
	var places []source.Place
	for p := (index.Page{Limit: index.MaxLimit}); len(places) < source.MaxPlaces; {
		l, err := s.Index.Devices(r.Context(), index.DeviceFilter{Status: "active"}, p)
		if err != nil {
			return nil, err
		}
		for _, d := range l.Items {
			if d.Latitude != nil && len(places) < source.MaxPlaces {
				places = append(places, source.Place{Publisher: d.ID.String(), Latitude: *d.Latitude, Longitude: *d.Longitude})
			}
		}
		if l.Next == nil {
			break
		}
		p.After = *l.Next
	}
	raw, err := source.DePINScan(s.ChainID, places)
	return json.RawMessage(raw), err
}

// micro is millionths as a decimal.
func micro(n *big.Int) atlas.Decimal {
	d, err := atlas.DecimalFromRat(new(big.Rat).SetFrac(n, big.NewInt(1_000_000)), 6)
	if err != nil {
		return atlas.DecimalOf(0) // a quotient with six places always is one
	}
	return d
}

// exportRevenue writes what users paid by day as DePIN.Ninja lists projects.
func (s *Server) exportRevenue(r *request) (any, error) {
	points, err := s.points(r.Context(), "", maxFlowEpochs)
	if err != nil {
		return nil, err
	}
	p := source.Project{
		ID: s.ChainID, Name: "Grange " + s.ChainID, Category: "storage", Chain: s.ChainID, Type: source.Gross,
		Source: "settlements indexed from the ledger", Disclaimer: "gross: everything users paid, the take included; related payers are listed at /v1/sustainability",
	}
	for _, day := range byPeriod(points, time.DateOnly) {
		p.Days = append(p.Days, source.DayRevenue{Date: day.period, Revenue: micro(day.paid)})
	}
	if err := p.Fill(time.Now()); err != nil {
		return nil, err
	}
	raw, err := source.Revenue([]source.Project{p}, 1, 100)
	return json.RawMessage(raw), err
}

// maxFlowEpochs are the newest epochs that accounts are made from.
const maxFlowEpochs = 20_000

type flow struct {
	period  string
	paid    *big.Int // ucredit
	emitted *big.Int // ucredit, the bonus at the epoch's price; nil where no price is known
	issued  *big.Int // ugrain
}

// byPeriod adds points up by day or month of their start.
func byPeriod(points []seriesPoint, layout string) []flow {
	var out []flow
	for _, p := range points {
		period := p.Started.UTC().Format(layout)
		if len(out) == 0 || out[len(out)-1].period != period {
			out = append(out, flow{period, new(big.Int), nil, new(big.Int)})
		}
		f := &out[len(out)-1]
		f.paid.Add(f.paid, big.NewInt(int64(p.Paid)))
		f.issued.Add(f.issued, big.NewInt(int64(p.Claimed)))
		if p.Mid != nil {
			if f.emitted == nil {
				f.emitted = new(big.Int)
			}
			worth := new(big.Int).Mul(big.NewInt(int64(p.Claimed)), big.NewInt(int64(*p.Mid)))
			f.emitted.Add(f.emitted, worth.Quo(worth, big.NewInt(1_000_000)))
		}
	}
	return out
}

type flagged struct {
	Payer string       `json:"payer"`
	Owner string       `json:"owner"`
	Paid  index.Amount `json:"paid_ucredit"`
	Why   string       `json:"why"`
}

type revenueSplit struct {
	Gross   index.Amount   `json:"gross_ucredit"`
	Related index.Amount   `json:"related_ucredit"`
	Net     index.Amount   `json:"net_ucredit"`
	Payers  int            `json:"payers"`
	Top5    *atlas.Decimal `json:"top5_percent"`
	HHI     *atlas.Decimal `json:"hhi"`
	Flagged []flagged      `json:"flagged"`
}

type sustainabilityAnswer struct {
	Ours    project.Health   `json:"ours"`
	Others  []project.Health `json:"others"`
	Revenue revenueSplit     `json:"revenue"`
	Height  int64            `json:"height"`
}

func (s *Server) sustainability(r *request) (any, error) {
	return once(s, "sustainability", func() (sustainabilityAnswer, error) {
		a := sustainabilityAnswer{Others: project.FromAtlas(s.Catalog), Height: s.Index.Height()}
		if a.Others == nil {
			a.Others = []project.Health{}
		}
		points, err := s.points(r.Context(), "", maxFlowEpochs)
		if err != nil {
			return a, err
		}
		payers := map[string]*big.Int{}
		if a.Revenue, err = s.split(r.Context(), payers); err != nil {
			return a, err
		}
		a.Ours = project.Measure(s.ChainID, flows(points, payers))
		return a, nil
	})
}

// flows are our monthly accounts. Payers are those of all indexed time.
func flows(points []seriesPoint, payers map[string]*big.Int) []project.Flow {
	var out []project.Flow
	for _, m := range byPeriod(points, "2006-01") {
		month, err := atlas.ParseDate(m.period)
		if err != nil {
			continue // it was formatted as one
		}
		revenue, issued := micro(m.paid), micro(m.issued)
		f := project.Flow{Month: month, Revenue: &revenue, Issued: &issued}
		if m.emitted != nil {
			emission := micro(m.emitted)
			f.Emission = &emission
		}
		out = append(out, f)
	}
	if len(out) > 0 {
		for _, p := range sorted(payers) {
			out[len(out)-1].Payers = append(out[len(out)-1].Payers, micro(payers[p]))
		}
	}
	return out
}

// hops is how far money is followed back from a payer.
const hops = 3

// split tells revenue of strangers from that of related payers: a payer is
// related to whom he pays when he is that owner, or got money from him within
// three steps.
func (s *Server) split(ctx context.Context, payers map[string]*big.Int) (revenueSplit, error) {
	x := revenueSplit{Flagged: []flagged{}}
	all, err := s.Index.Payments(ctx)
	if err != nil {
		return x, err
	}
	sources := map[string]map[string]int{}
	for _, p := range all {
		x.Gross += p.Paid
		if payers[p.Payer] == nil {
			payers[p.Payer] = new(big.Int)
		}
		payers[p.Payer].Add(payers[p.Payer], big.NewInt(int64(p.Paid)))
		if sources[p.Payer] == nil {
			if sources[p.Payer], err = s.funders(ctx, p.Payer); err != nil {
				return x, err
			}
		}
		why := ""
		if n, ok := sources[p.Payer][p.Owner]; ok && n > 0 {
			why = "the provider's owner sent the payer money, " + plural(n, "step", "steps") + " back"
		}
		if p.Payer == p.Owner {
			why = "the payer owns the device"
		}
		if why != "" {
			x.Related += p.Paid
			x.Flagged = append(x.Flagged, flagged{p.Payer, p.Owner, p.Paid, why})
		}
	}
	x.Net, x.Payers = x.Gross-x.Related, len(payers)
	var parts []*big.Rat
	for _, p := range sorted(payers) {
		parts = append(parts, new(big.Rat).SetInt(payers[p]))
	}
	x.HHI, x.Top5 = project.HHI(parts), project.Top(parts, 5)
	x.Flagged = x.Flagged[:min(200, len(x.Flagged))]
	return x, nil
}

// funders are the accounts that money of an account came from, with the number of
// steps; at most a thousand.
func (s *Server) funders(ctx context.Context, account string) (map[string]int, error) {
	found := map[string]int{account: 0}
	edge := []string{account}
	for step := 1; step <= hops && len(found) < 1000; step++ {
		var next []string
		for _, a := range edge {
			from, err := s.Index.Funders(ctx, a)
			if err != nil {
				return nil, err
			}
			for _, f := range from {
				if _, ok := found[f]; !ok {
					found[f] = step
					next = append(next, f)
				}
			}
		}
		edge = next
	}
	return found, nil
}
