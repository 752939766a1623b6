package cluster

import (
	"path/filepath"
	"slices"
)

// Endpoints is what a client needs to reach a running cluster: the content of
// endpoints.json.
type Endpoints struct {
	ChainID string `json:"chain_id"`
	// RPC, REST and GRPC are those of the first validator.
	RPC        string              `json:"rpc"`  // CometBFT RPC, http URL
	REST       string              `json:"rest"` // grpc-gateway, http URL
	GRPC       string              `json:"grpc"` // host:port, no TLS
	Validators []ValidatorEndpoint `json:"validators"`
	// Notary is the door of the notaries, http URL; empty without them.
	Notary string `json:"notary,omitempty"`
}

// ValidatorEndpoint is one validator's process.
type ValidatorEndpoint struct {
	Name string `json:"name"`
	RPC  string `json:"rpc"`
	REST string `json:"rest"`
	GRPC string `json:"grpc"`
	PID  int    `json:"pid"` // 0 while it does not run
}

// EndpointsPath is where the endpoints of a home directory are.
func EndpointsPath(home string) string { return filepath.Join(home, "endpoints.json") }

// Endpoints says where everything is now.
func (n *Network) Endpoints() Endpoints {
	pids := map[string]int{}
	for _, i := range n.sup.List() {
		pids[i.Name] = i.PID
	}
	e := Endpoints{ChainID: n.plan.ChainID}
	for i, v := range n.plan.Validators {
		e.Validators = append(e.Validators, ValidatorEndpoint{
			Name: v.Name, PID: pids[v.Name], RPC: "http://" + n.plan.addr(i, rpcPort),
			REST: "http://" + n.plan.addr(i, restPort), GRPC: n.plan.addr(i, grpcPort),
		})
	}
	if i := slices.Index(n.plan.notaries(), doorName); i >= 0 {
		e.Notary = "http://" + n.plan.notaryAddr(i)
	}
	first := e.Validators[0]
	e.RPC, e.REST, e.GRPC = first.RPC, first.REST, first.GRPC
	return e
}
