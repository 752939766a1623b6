package local

import (
	"fmt"
	"log/slog"

	"github.com/grange-network/grange/node"
)

// env is what the roles of one process share.
type env struct {
	home string
	plan *Plan
	log  *slog.Logger
	link *link
}

func newEnv(home string, log *slog.Logger) env {
	return env{home: home, log: log, link: new(link)}
}

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
	return append(out, planned{GatewayName, KindGateway, stageDoors, false})
}

// role makes the role called name.
func (e *env) role(name string) (node.Role, error) {
	if pr, ok := e.plan.Provider(name); ok {
		return e.provider(pr), nil
	}
	switch name {
	case ValidatorName:
		return e.validator(), nil
	case VerifierName:
		return e.verifier(), nil
	case GatewayName:
		return e.gateway(), nil
	}
	return nil, fmt.Errorf("make role %q: %w", name, node.ErrUnknownRole)
}
