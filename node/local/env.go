package local

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/trace"
)

// env is what the roles of one process share.
type env struct {
	home string
	plan *Plan
	log  *slog.Logger
	link *link
	// traces takes the spans of every role of this process; nil takes none.
	traces *trace.Recorder
}

func newEnv(home string, log *slog.Logger) env {
	return env{home: home, log: log, link: new(link)}
}

// record starts the recorder of this process, whose spans are kept under its
// name.
func (e *env) record(ctx context.Context, process string) (err error) {
	e.traces, err = trace.Open(ctx, trace.Config{Dir: filepath.Join(TraceDir(e.home), process), Log: e.log})
	return err
}

// stopRecording writes the last spans.
func (e *env) stopRecording() {
	if err := e.traces.Close(); err != nil {
		e.log.Warn("traces not closed", "err", err)
	}
}

// TraceDir is where the processes of a home directory keep their traces, each in
// a folder of its own.
func TraceDir(home string) string { return filepath.Join(home, "traces") }

// Stages of the start.
const (
	stageChain = iota
	stageVerify
	stageProvide
	stageDoors
	stageStatus
)

// planned is one role of the plan.
type planned struct {
	name, kind string
	stage      int
	optional   bool
}

// roles lists every role of the plan in start order.
func (p *Plan) roles() []planned {
	out := []planned{
		{ValidatorName, KindValidator, stageChain, false},
		{VerifierName, KindVerifier, stageVerify, false},
	}
	for _, pr := range p.Providers {
		out = append(out, planned{pr.Name, KindProvider, stageProvide, true})
	}
	if p.Notary != nil {
		for _, pr := range p.Notary.Providers {
			out = append(out, planned{pr.Name, KindProvider, stageProvide, true})
		}
		out = append(out, planned{NotaryDoorName, KindGateway, stageDoors, true})
	}
	if s := p.Sensing; s != nil {
		out = append(out, planned{SensingName, KindGateway, stageDoors, true}, planned{CasterName, KindGateway, stageDoors, true})
		for _, pr := range append([]ProviderPlan{s.Station}, s.Replayed...) {
			out = append(out, planned{pr.Name, KindStation, stageDoors, true})
		}
	}
	return append(out, planned{GatewayName, KindGateway, stageDoors, false}, planned{ExplorerName, KindExplorer, stageDoors, true})
}

// role makes the role called name.
func (e *env) role(name string) (node.Role, error) {
	if pr, ok := e.plan.Provider(name); ok {
		return e.provider(pr), nil
	}
	if n := e.plan.Notary; n != nil {
		for _, pr := range n.Providers {
			if pr.Name == name {
				return e.notary(pr), nil
			}
		}
		if name == NotaryDoorName {
			return e.notaryDoor(), nil
		}
	}
	if r := e.sensingRole(name); r != nil {
		return r, nil
	}
	switch name {
	case ValidatorName:
		return e.validator(), nil
	case VerifierName:
		return e.verifier(), nil
	case GatewayName:
		return e.gateway(), nil
	case ExplorerName:
		return e.explorer(), nil
	}
	return nil, fmt.Errorf("make role %q: %w", name, node.ErrUnknownRole)
}
