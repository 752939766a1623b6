package sensing

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/bounty"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/sta"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// DataConfig is what it takes to sell what a gateway took in.
type DataConfig struct {
	Dir     string         // of the store and the till
	Files   evidence.Store // where readings are kept; nil: in Dir
	Log     store.Source
	Ledger  *client.Client
	Archive *evidence.Archive // where batches are published; nil: nothing is proven
	Kinds   []sensing.Kind
	Buyers  []Buyer
	Images  Pictures         // that are sold; nil: none
	Tracer  oteltrace.Tracer // nil: nothing is traced
	Logger  *slog.Logger
}

// Data sells observations: the store behind the log, the till, and the doors to
// them.
type Data struct {
	cfg      DataConfig
	store    *store.Store
	facts    *facts.Keeper
	till     *Till
	bounties *bounty.Book
}

// OpenData opens store, facts, till and bounties. Close it in the end.
func OpenData(ctx context.Context, cfg DataConfig) (*Data, error) {
	registry := NewRegistry(cfg.Ledger)
	s, err := store.Open(ctx, store.Config{
		Dir: filepath.Join(cfg.Dir, "store"), Files: cfg.Files, ChainID: cfg.Ledger.ChainID(), Registry: registry, Kinds: cfg.Kinds, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	f, err := facts.Open(facts.Config{Path: filepath.Join(cfg.Dir, "facts.db"), ChainID: cfg.Ledger.ChainID(), Registry: registry, Kinds: cfg.Kinds, Logger: cfg.Logger})
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	t, err := newTill(filepath.Join(cfg.Dir, "till"), cfg.Buyers, cfg.Logger)
	if err != nil {
		return nil, errors.Join(err, f.Close(), s.Close(ctx))
	}
	t.tracer = cfg.Tracer
	terms := bounty.Config{Dir: filepath.Join(cfg.Dir, "bounties"), Facts: f, Till: t, Logger: cfg.Logger}
	if cfg.Images != nil {
		terms.Objects = cfg.Images
	}
	b, err := bounty.Open(terms)
	if err != nil {
		return nil, errors.Join(err, t.Close(), f.Close(), s.Close(ctx))
	}
	return &Data{cfg, s, f, t, b}, nil
}

// Close flushes the store and closes facts and till.
func (d *Data) Close() error {
	return errors.Join(d.store.Close(context.Background()), d.facts.Close(), d.till.Close())
}

// Needed is the oldest record of the log that is not yet kept elsewhere.
func (d *Data) Needed() uint64 { return min(d.store.Flushed(), d.facts.Next()) }

// Handler serves the data API below /v1, SensorThings below /v1.1, and what a
// device is owed at /v1/sales/DEVICE.
func (d *Data) Handler() http.Handler {
	c := query.Config{Store: d.store, Log: d.cfg.Log, Till: d.till, Facts: d.facts, Logger: d.cfg.Logger}
	if d.cfg.Images != nil {
		c.Objects = d.cfg.Images
	}
	if d.cfg.Archive != nil {
		port := ledgerport.New(d.cfg.Ledger, key.Key{}, nil)
		c.Prover = &query.Published{Archive: d.cfg.Archive, ChainID: d.cfg.Ledger.ChainID(), Dir: filepath.Join(d.cfg.Dir, "proofs"), Newest: port.Epoch}
	}
	things := sta.Handler(sta.Config{Store: d.store, Till: d.till, Logger: d.cfg.Logger})
	mux := http.NewServeMux()
	mux.Handle("/v1/", query.Handler(c))
	mux.Handle("/v1.1", things)
	mux.Handle("/v1.1/", things)
	mux.Handle("/v1/bounties", d.bounties.Handler())
	mux.Handle("/v1/bounties/", d.bounties.Handler())
	mux.HandleFunc("GET /v1/sales/{device}", d.sales)
	mux.HandleFunc("GET /{$}", index)
	return query.Public(mux)
}

// index says what a gateway answers, to who asks for no more than its address.
func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]string{ // the client may be gone
		"GET /v1/stations":                       "what is measured where; free",
		"GET /v1/cells/{h3}/obs":                 "readings of a cell: var, from, to, kind, agg, format, proof; paid by the row",
		"GET /v1/tiles/{kind}/{z}/{x}/{y}.mvt":   "map tiles",
		"GET /v1/bulk/{kind}/{day}/{h3}.parquet": "a day's file",
		"GET /v1/subscribe?cell=":                "readings as they come, as server-sent events",
		"GET /v1/products":                       "what is told of many devices together: counts, maps, coverage, indices; free",
		"GET /v1/products/{kind}/{product}/{h3}": "its facts of a cell: from, to, of, format; paid by the devices in each; /object is what one describes",
		"GET /v1/bounties":                       "what is wanted, where, and what it pays; POST puts one up",
		"GET /v1/sales/{device}":                 "what a device is owed for its rows",
		"GET /v1.1":                              "OGC SensorThings 1.1, to read",
		"POST /v1/observations":                  "takes signed batches in",
		"token":                                  "what is paid wants \"Authorization: Bearer TOKEN\": grange sensing data token",
	})
}

func (d *Data) sales(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, err := device.ParseID(r.PathValue("device"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the client may be gone
		return
	}
	all, err := d.till.Sales(r.Context(), id)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the client may be gone
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"device": id.String(), "sales": all}) // the client may be gone
}

// Doors let buyers in to MQTT beside devices.
func (d *Data) Doors(devices mqttx.Rules) *sta.Doors {
	return &sta.Doors{Others: devices, Till: d.till, Logger: d.cfg.Logger}
}

// Run keeps store and facts up with the log, buys what bounties are up for,
// publishes observations over MQTT, and settles once an epoch, until ctx ends. doors and broker may be nil; root is the
// URL of /v1.1 for links.
func (d *Data) Run(ctx context.Context, doors *sta.Doors, broker sta.Broker, root string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := []func() error{
		func() error { return d.store.Follow(ctx, d.cfg.Log) },
		func() error { return d.facts.Follow(ctx, d.cfg.Log) },
		func() error { return d.bounties.Run(ctx) },
		func() error { return d.settle(ctx) },
	}
	if doors != nil && broker != nil {
		parts = append(parts, func() error { return doors.Run(ctx, d.store, broker, root) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			defer cancel()
			ended <- part()
		}()
	}
	var err error
	for range parts {
		if e := <-ended; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// settleAgain is how long a till waits after the ledger did not answer.
const settleAgain = 5 * time.Second

// settle pays the devices once an epoch.
func (d *Data) settle(ctx context.Context) error {
	port := ledgerport.New(d.cfg.Ledger, key.Key{}, nil)
	for last := uint64(0); ; {
		epoch, err := port.WaitEpoch(ctx, last)
		if err == nil {
			last = epoch
			err = d.till.Settle(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		d.cfg.Logger.Warn("sold observations are not settled for now", "epoch", epoch, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleAgain):
		}
	}
}
