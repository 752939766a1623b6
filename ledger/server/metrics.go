package server

import (
	"sync"

	"github.com/cometbft/cometbft/blocksync"
	cmtcfg "github.com/cometbft/cometbft/config"
	cs "github.com/cometbft/cometbft/consensus"
	mempl "github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/proxy"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/statesync"
)

// kept are the metrics of this process's node: CometBFT registers them when they
// are made and they cannot be made twice, so a node that is started again goes on
// with those of before.
var kept struct {
	once      sync.Once
	cs        *cs.Metrics
	p2p       *p2p.Metrics
	mempool   *mempl.Metrics
	state     *sm.Metrics
	proxy     *proxy.Metrics
	blocksync *blocksync.Metrics
	statesync *statesync.Metrics
}

// metricsProvider is CometBFT's own, made once.
func metricsProvider(c *cmtcfg.InstrumentationConfig) node.MetricsProvider {
	if !c.Prometheus {
		return node.DefaultMetricsProvider(c)
	}
	return func(chain string) (*cs.Metrics, *p2p.Metrics, *mempl.Metrics, *sm.Metrics, *proxy.Metrics, *blocksync.Metrics, *statesync.Metrics) {
		k := &kept
		k.once.Do(func() {
			k.cs, k.p2p, k.mempool, k.state, k.proxy, k.blocksync, k.statesync = node.DefaultMetricsProvider(c)(chain)
		})
		return k.cs, k.p2p, k.mempool, k.state, k.proxy, k.blocksync, k.statesync
	}
}
