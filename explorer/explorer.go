package explorer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/api"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
	"github.com/grange-network/grange/ledger/client"
)

// Config says what an explorer shows and where.
type Config struct {
	Ledger *client.Client
	// Path of the index: a file, whose directory is made, or the URL of a PostgreSQL
	// database.
	Path string
	// Listener of the API and the web app. Run closes it.
	Listener net.Listener
	// Web serves every path that is not the API's; nil for the API alone.
	Web http.Handler
	// Catalog of the atlas; the embedded one if nil.
	Catalog *atlas.Catalog
	// Published is a directory of a verifier's published epochs, for the evidence in
	// what rewards are explained by; "" for none.
	Published string
	// Data is the URL of the network's data gateway, whose free lists are shown; "" for
	// none.
	Data string
	// Rate and Burst of requests of one address; 0: api.DefaultRate, api.DefaultBurst.
	Rate, Burst int
	Log         *slog.Logger
}

// Status is how an explorer stands.
type Status struct {
	Height  int64  `json:"height"`
	Node    int64  `json:"node_height"`
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
}

// Run serves until ctx ends. It calls ready, with a function that tells how the
// explorer stands, once it answers; the index may then still be catching up.
func Run(ctx context.Context, c Config, ready func(func() Status)) (err error) {
	defer c.Listener.Close()
	if c.Catalog == nil {
		c.Catalog = atlas.Embedded()
	}
	store, rebuilt, err := index.Open(ctx, c.Path, c.Ledger.ChainID())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if rebuilt {
		c.Log.Info("index is of another chain or version, making it anew", "path", c.Path)
	}
	follower := index.NewFollower(store, c.Ledger, rebuilt, c.Log)
	server := api.New(api.Config{
		ChainID: c.Ledger.ChainID(), Index: store, Follower: follower, Ledger: live.New(c.Ledger), Catalog: c.Catalog, Published: live.NewPublished(c.Published),
		Data: c.Data, Web: c.Web, Rate: c.Rate, Burst: c.Burst, Log: c.Log,
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var followed error
	wg.Go(func() {
		defer cancel()
		if followed = follower.Run(ctx); followed != nil {
			followed = fmt.Errorf("keep index %s: %w", c.Path, followed)
		}
	})
	ready(func() Status {
		p := follower.Progress()
		return Status{store.Height(), p.Node, p.State, p.Message}
	})
	served := server.Serve(ctx, c.Listener)
	cancel()
	wg.Wait()
	return errors.Join(followed, served)
}
