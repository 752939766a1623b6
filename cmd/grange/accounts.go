package main

import (
	"errors"

	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/node/local"
)

// Kinds of homes.
const (
	homeUp       = "up"       // of grange up
	homeLocalnet = "localnet" // of grange localnet
	homeHost     = "host"     // of grange start
)

// kindOf says what a home is of, empty when it is no home yet.
func kindOf(home string) string {
	if _, err := local.LoadPlan(home); !errors.Is(err, local.ErrNoNetwork) {
		return homeUp
	}
	if _, err := cluster.LoadPlan(home); !errors.Is(err, cluster.ErrNoCluster) {
		return homeLocalnet
	}
	if _, err := host.ReadPlan(home); err == nil {
		return homeHost
	}
	return ""
}

// startCommand is how what a home is of is started.
func (g *globals) startCommand() string {
	switch kindOf(g.home) {
	case homeLocalnet:
		return "grange localnet" + g.homeFlag()
	case homeHost:
		return "grange start --role validator" + g.homeFlag()
	}
	return "grange up" + g.homeFlag()
}

// accountsIn are the account keys of a home by name: those of a network, or the
// operator's of a machine. A home that is not made yet has none.
func accountsIn(home string) (map[string]key.Key, error) {
	switch kindOf(home) {
	case homeUp:
		return local.Accounts(home)
	case homeLocalnet:
		return cluster.Accounts(home)
	case homeHost:
		k, err := key.Load(host.OperatorKeyPath(home))
		return map[string]key.Key{"operator": k}, err
	}
	return nil, nil
}
