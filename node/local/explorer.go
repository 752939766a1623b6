package local

import (
	"context"
	"net"
	"path/filepath"

	"github.com/grange-network/grange/explorer"
	"github.com/grange-network/grange/explorer/api"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/web"
)

// explorerRate and explorerBurst are for a machine of which everything has one
// address: its browsers, commands and tests.
const (
	explorerRate  = 10 * api.DefaultRate
	explorerBurst = 10 * api.DefaultBurst
)

// explorer serves the index of the ledger with its API and the web app.
func (e *env) explorer() node.Role {
	return node.NewFunc(ExplorerName, func(ctx context.Context, r *node.Func) error {
		l, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Ports.Explorer))
		if err != nil {
			return err
		}
		c, err := e.ledger(ctx)
		if err != nil {
			l.Close()
			return err
		}
		data := ""
		if e.plan.Sensing != nil {
			data = e.plan.dataURL()
		}
		return explorer.Run(ctx, explorer.Config{
			Ledger: c, Path: filepath.Join(e.home, "data", "explorer", "index.db"), Published: filepath.Join(e.home, "data", "verifier", "epochs"), Data: data, Listener: l, Web: web.Handler(), Log: e.log,
			Rate: explorerRate, Burst: explorerBurst,
		}, func(status func() explorer.Status) {
			r.SetStatus(func() any { return status() })
			r.MarkReady()
		})
	})
}
