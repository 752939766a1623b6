package api

import (
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/index"
)

type atlasRow struct {
	ID             string                 `json:"id"`
	Name           string                 `json:"name"`
	Role           atlas.Role             `json:"role"`
	Vertical       *atlas.Vertical        `json:"vertical"`
	Class          *atlas.Class           `json:"class"`
	Stage          atlas.Stage            `json:"stage"`
	Tokens         []string               `json:"tokens"`
	Chains         []string               `json:"chains"`
	Focus          string                 `json:"focus"`
	Differentiator *string                `json:"differentiator"`
	Here           string                 `json:"here"` // works, part or none
	Shown          map[string]atlas.Claim `json:"shown"`
}

// orNull is a text that may be unknown.
func orNull[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

func shown(claims []atlas.Claim) map[string]atlas.Claim {
	out := map[string]atlas.Claim{}
	for _, c := range claims {
		if _, ok := out[c.Metric]; ok {
			continue
		}
		if best := atlas.Shown(claims, c.Metric); best != nil {
			out[c.Metric] = *best
		}
	}
	return out
}

func (s *Server) atlasList(r *request) (any, error) {
	list, err := s.Catalog.List(atlas.Filter{
		Vertical: atlas.Vertical(r.text("vertical")), Class: atlas.Class(r.text("class")), Stage: atlas.Stage(r.text("stage")),
		Role: atlas.Role(r.text("role")), Chain: r.text("chain"), Screen: r.text("screen"), Here: r.text("here"), Text: r.text("text"),
	})
	if err != nil {
		return nil, bad("%v", err)
	}
	rows := []atlasRow{}
	for _, e := range list {
		here, _ := s.Catalog.HereOf(e.ID)
		row := atlasRow{
			ID: e.ID, Name: e.Name, Role: e.Role, Vertical: orNull(e.Vertical), Class: orNull(e.Class), Stage: e.Stage, Tokens: []string{},
			Chains: append([]string{}, e.Chains...), Focus: e.Focus, Differentiator: orNull(e.Differentiator), Here: here.Does, Shown: shown(e.Claims),
		}
		for _, t := range e.Tokens {
			row.Tokens = append(row.Tokens, t.Symbol)
		}
		rows = append(rows, row)
	}
	return all(rows, s.Index.Height()), nil
}

func (s *Server) atlasEntry(r *request) (any, error) {
	e, err := s.Catalog.Find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	disagreements := []atlas.Disagreement{}
	for _, d := range s.Catalog.Disagreements() {
		if d.Subject == e.ID {
			disagreements = append(disagreements, d)
		}
	}
	here, _ := s.Catalog.HereOf(e.ID)
	protocols := []atlas.ProtocolInfo{}
	for _, p := range s.Catalog.Protocols {
		if slices.ContainsFunc(e.Protocols, func(x atlas.Protocol) bool { return x.ID == p.ID }) {
			protocols = append(protocols, p)
		}
	}
	return map[string]any{
		"entry": e, "shown": shown(e.Claims), "disagreements": disagreements, "sources": s.sources(e), "protocols": protocols, "here": here, "height": s.Index.Height(),
	}, nil
}

// sources are those that an entry names.
func (s *Server) sources(e *atlas.Entry) map[string]atlas.Source {
	names := []string{e.Source}
	for _, c := range e.Claims {
		names = append(names, c.Source)
	}
	for _, x := range e.Resources {
		names = append(names, x.Sources...)
	}
	for _, x := range e.Services {
		names = append(names, x.Sources...)
	}
	out := map[string]atlas.Source{}
	for _, n := range names {
		if src, ok := s.Catalog.Source(n); ok {
			out[n] = *src
		}
	}
	return out
}

func (s *Server) atlasCompare(r *request) (any, error) {
	ids := r.query["id"]
	if len(ids) == 1 {
		ids = strings.Split(ids[0], ",")
	}
	if len(ids) < 2 || len(ids) > 10 {
		return nil, bad("id: want 2 to 10 entries, given %d", len(ids))
	}
	var entries []*atlas.Entry
	for _, id := range ids {
		e, err := s.Catalog.Find(id)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	c, err := s.Catalog.Compare(entries)
	if err != nil {
		return nil, bad("%v", err)
	}
	return c, nil
}

// survey is the source whose own figures are checked against each other.
const survey = "survey"

func (s *Server) atlasDisagreements(*request) (any, error) {
	checks := s.Catalog.Checks(survey)
	if checks == nil {
		checks = []atlas.Check{}
	}
	return map[string]any{"disagreements": s.Catalog.Disagreements(), "checks": checks}, nil
}

func (s *Server) atlasMarket(*request) (any, error) {
	c := s.Catalog
	return map[string]any{
		"verticals": c.Verticals, "sector": c.Sector, "themes": c.Themes, "screens": c.Screens, "sources": c.Sources, "metrics": c.Metrics,
		"protocols": c.Protocols, "incumbents": c.Incumbents,
	}, nil
}

type subjectClaim struct {
	Subject string      `json:"subject"`
	Claim   atlas.Claim `json:"claim"`
}

func (s *Server) claims(r *request) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	kind, err := r.oneOf("kind", string(atlas.Survey), string(atlas.Operator), string(atlas.Observed), string(atlas.Derived))
	if err != nil {
		return nil, err
	}
	var list []subjectClaim
	add := func(subject string, claims []atlas.Claim) {
		for _, c := range claims {
			fits := (r.text("subject") == "" || r.text("subject") == subject) && (r.text("metric") == "" || r.text("metric") == c.Metric) &&
				(r.text("source") == "" || r.text("source") == c.Source) && (kind == "" || kind == string(c.Kind))
			if fits {
				list = append(list, subjectClaim{subject, c})
			}
		}
	}
	add("sector", s.Catalog.Sector.Claims)
	for _, v := range s.Catalog.Verticals {
		add(string(v.ID), v.Claims)
	}
	for i := range s.Catalog.Entries {
		add(s.Catalog.Entries[i].ID, s.Catalog.Entries[i].Claims)
	}
	for _, i := range s.Catalog.Incumbents {
		add(i.ID, i.Claims)
	}
	l, err := index.PageOf(list, p, s.Index.Height())
	return page[subjectClaim]{l}, err
}
