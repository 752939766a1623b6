package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/advise"
	"github.com/grange-network/grange/atlas/place"
	"github.com/grange-network/grange/atlas/project"
)

func (s *Server) options(*request) (any, error) {
	assets := map[string][]string{}
	for name, segments := range atlas.Assets {
		assets[name] = append([]string{}, segments...)
	}
	return map[string]any{"assets": assets, "services": atlas.Services, "compliance": advise.Compliances, "scenarios": scenarios}, nil
}

var scenarios = []string{"optimistic", "base", "pessimistic"}

func (s *Server) own(r *request) (any, error) {
	o, err := advise.ParseOwn(r.Body)
	if err != nil {
		return nil, posted(err)
	}
	a, err := advise.FromOwn(s.Catalog, o)
	if err != nil {
		return nil, posted(err)
	}
	return a, nil
}

func (s *Server) need(r *request) (any, error) {
	n, err := advise.ParseNeed(r.Body)
	if err != nil {
		return nil, posted(err)
	}
	a, err := advise.FromNeed(s.Catalog, n)
	if err != nil {
		return nil, posted(err)
	}
	return a, nil
}

// posted turns what is wrong with a posted question into a bad request.
func posted(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return bad("%v", err)
}

// decode reads one JSON value with no unknown field.
func decode(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return posted(fmt.Errorf("read question: %w", err))
	}
	if err := dec.Decode(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return bad("read question: more than one JSON value")
	}
	return nil
}

type placeQuestion struct {
	Workload  *place.Workload `json:"workload"`
	Batch     *place.Batch    `json:"batch"`
	Burst     *place.Burst    `json:"burst"`
	Offers    json.RawMessage `json:"offers"`
	Reference *atlas.Decimal  `json:"reference_usd"`
	Case      place.Case      `json:"case"`
	Common    *place.PPM      `json:"common_ppm"`
}

// defaultCommon is the assumed share of a network's failures that take all of it
// down: 5 %, as in the command line.
const defaultCommon place.PPM = 50_000

func (s *Server) place(r *request) (any, error) {
	var q placeQuestion
	if err := decode(r.Body, &q); err != nil {
		return nil, err
	}
	given := 0
	service := ""
	if q.Workload != nil {
		given, service = given+1, q.Workload.Service
	}
	if q.Batch != nil {
		given, service = given+1, q.Batch.Workload.Service
	}
	if q.Burst != nil {
		given, service = given+1, q.Burst.Workload.Service
	}
	if given != 1 {
		return nil, bad("want one of workload, batch and burst, given %d", given)
	}
	offers, err := s.placeOffers(&q, service)
	if err != nil {
		return nil, posted(err)
	}
	out := map[string]any{"plan": nil, "batch": nil, "burst": nil, "offers": offers}
	switch {
	case q.Batch != nil:
		out["batch"], err = place.SolveBatch(*q.Batch, offers)
	case q.Burst != nil:
		out["burst"], err = place.SolveBurst(*q.Burst, offers)
	default:
		common := defaultCommon
		if q.Common != nil {
			common = *q.Common
		}
		out["plan"], err = place.Solve(*q.Workload, offers, common)
	}
	if err != nil {
		return nil, posted(err)
	}
	return out, nil
}

func (s *Server) placeOffers(q *placeQuestion, service string) ([]place.Offer, error) {
	if len(q.Offers) > 0 && string(q.Offers) != "null" {
		return place.ParseOffers(bytes.NewReader(q.Offers))
	}
	if q.Reference == nil {
		return nil, errors.New("no source gives prices per network: say what a unit costs an hour at a hyperscaler (reference_usd), or give the offers")
	}
	if q.Case == "" {
		q.Case = place.Middle
	}
	return place.FromAtlas(s.Catalog, service, *q.Reference, q.Case)
}

type scenarioQuestion struct {
	Name   string  `json:"name"`
	YAML   string  `json:"yaml"`
	Runs   int     `json:"runs"`
	Months int     `json:"months"`
	Seed   *uint64 `json:"seed"`
}

// Limits of a scenario that strangers may ask for.
const (
	maxScenarioRuns   = 1000
	maxScenarioMonths = 240
)

func (s *Server) scenario(r *request) (any, error) {
	var q scenarioQuestion
	if err := decode(r.Body, &q); err != nil {
		return nil, err
	}
	if q.Runs > maxScenarioRuns || q.Runs < 0 || q.Months > maxScenarioMonths || q.Months < 0 {
		return nil, bad("%d runs of %d months: at most %d of %d here; grange atlas scenario runs more", q.Runs, q.Months, maxScenarioRuns, maxScenarioMonths)
	}
	p, err := q.params()
	if err != nil {
		return nil, posted(err)
	}
	if p.Runs > maxScenarioRuns {
		p.Runs = maxScenarioRuns
	}
	key := fmt.Sprintf("scenario %s %d %d %d", q.Name, p.Runs, p.Months, p.Seed)
	if q.YAML != "" {
		return result(project.Run(p))
	}
	return once(s, key, func() (any, error) { return result(project.Run(p)) })
}

func result(v project.Scenario, err error) (any, error) {
	if err != nil {
		return nil, posted(err)
	}
	return v, nil
}

func (q scenarioQuestion) params() (project.Params, error) {
	var p project.Params
	var err error
	switch {
	case q.YAML != "":
		p, err = project.Parse(strings.NewReader(q.YAML))
	case slices.Contains(scenarios, q.Name):
		p, err = project.Load(q.Name)
	default:
		err = fmt.Errorf("scenario %.40q: want one of %s, or yaml", q.Name, strings.Join(scenarios, ", "))
	}
	if err != nil {
		return p, err
	}
	if q.Runs > 0 {
		p.Runs = q.Runs
	}
	if q.Months > 0 {
		p.Months = q.Months
	}
	if q.Seed != nil {
		p.Seed = *q.Seed
	}
	return p, p.Validate()
}

// sorted keys of a map.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
