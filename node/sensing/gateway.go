package sensing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/kinds"
	"github.com/grange-network/grange/vertical/sensing/publish"
)

// Gateway takes batches in until its context ends.
type Gateway struct {
	Dir        string // of its log and its secret
	HTTP, MQTT net.Listener
	Ledger     *client.Client
	Archive    *evidence.Archive // where batches are published; nil: nowhere, nobody is rewarded
	Buyers     []Buyer           // whose leases pay for readings that are given out
	Files      evidence.Store    // where readings are kept; nil: in Dir
	Images     Pictures          // reads the images that devices have records of; nil: nobody does
	Tracer     oteltrace.Tracer  // of requests and statements; nil: none
	Logger     *slog.Logger
	Ready      func() // called when both doors are open; may be nil
	// Tells is called with what says which batches were refused; may be nil.
	Tells func(refused func() []ingest.Refused)
}

// bodyTimeout is how long a request may take to arrive.
const bodyTimeout = 30 * time.Second

// Run serves both doors. It closes the listeners.
func (g Gateway) Run(ctx context.Context) error {
	secret, err := secretIn(g.Dir)
	if err != nil {
		return err
	}
	all := kinds.All()
	registry := NewRegistry(g.Ledger)
	s, err := ingest.Open(ingest.Config{
		Dir: filepath.Join(g.Dir, "observations"), ChainID: g.Ledger.ChainID(), Registry: registry, Kinds: all,
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	defer show(s)()
	if g.Tells != nil {
		g.Tells(s.Refusals)
	}
	data, err := OpenData(ctx, DataConfig{
		Dir: filepath.Join(g.Dir, "data"), Files: g.Files, Log: s, Ledger: g.Ledger, Archive: g.Archive, Kinds: all, Buyers: g.Buyers, Images: g.Images, Tracer: g.Tracer, Logger: g.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	devices := &ingest.Doors{Server: s, Secret: secret}
	doors := data.Doors(devices)
	broker, err := mqttx.New(ctx, g.MQTT, doors, mqttx.Limits{}, g.Logger)
	if err != nil {
		return err
	}
	defer func() { _ = broker.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	published, sold, audited := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	publisher := &publish.Publisher{
		Log: s, Registry: registry, Archive: g.Archive, Dir: filepath.Join(g.Dir, "segments"), ChainID: g.Ledger.ChainID(), Kinds: all,
	}
	needed := []func() uint64{data.Needed}
	if g.Archive != nil {
		needed = append(needed, publisher.Needed)
	}
	if g.Images != nil {
		audit, err := g.auditor(s, secret)
		if err != nil {
			return err
		}
		audit.tell = func(id device.ID, why string) {
			_ = broker.Publish(devices.ErrorTopic(id.String(), ""), []byte(why), false) // who does not listen has the log
		}
		defer expose(audit.findings)()
		publisher.Audit = audit.findings
		needed = append(needed, audit.place)
		go func() {
			defer cancel()
			audited <- audit.Run(ctx)
		}()
	} else {
		close(audited)
	}
	go func() {
		defer cancel()
		sold <- data.Run(ctx, doors, broker, "http://"+g.HTTP.Addr().String()+"/v1.1")
	}()
	go func() {
		defer cancel()
		published <- g.publish(ctx, publisher)
	}()
	trimmed := make(chan struct{})
	go func() {
		defer close(trimmed)
		trim(ctx, s, g.Logger, needed...)
	}()
	if g.Ready != nil {
		g.Ready()
	}
	mux := http.NewServeMux()
	mux.Handle("/", data.Handler())
	mux.Handle("/v1/observations", s.Handler())
	err = serve(ctx, g.HTTP, traced(g.Tracer, mux))
	cancel()
	<-trimmed // the log is closed next
	return errors.Join(err, <-published, <-sold, <-audited)
}

// auditor compares stored images with what is in the log.
func (g Gateway) auditor(log *ingest.Server, secret []byte) (*auditor, error) {
	found, err := openFindings(filepath.Join(g.Dir, "audit"))
	if err != nil {
		return nil, err
	}
	return &auditor{log: log, pictures: g.Images, chainID: g.Ledger.ChainID(), secret: secret, logger: g.Logger, oneTry: oneTry, findings: found}, nil
}

// publish hands the batches of each epoch that ends to the verifiers, until ctx
// ends.
func (g Gateway) publish(ctx context.Context, p *publish.Publisher) error {
	if g.Archive == nil {
		<-ctx.Done()
		return nil
	}
	port := ledgerport.New(g.Ledger, key.Key{}, nil)
	return perEpoch(ctx, port.WaitEpoch, g.Logger, func(ctx context.Context, ended uint64) error {
		return p.Publish(ctx, ended, time.Now())
	})
}

// publishAgain is how long it takes until what failed is tried again.
const publishAgain = 5 * time.Second

// perEpoch calls publish with each epoch that ends while it runs, until ctx ends.
// What fails is tried again while no newer epoch has ended: verifiers wait for
// evidence, and an epoch may be a day.
func perEpoch(ctx context.Context, after func(context.Context, uint64) (uint64, error), log *slog.Logger, publish func(context.Context, uint64) error) error {
	for last := uint64(0); ; {
		epoch, err := after(ctx, last)
		if err == nil && last > 0 {
			err = publish(ctx, epoch-1)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			last = epoch
			continue
		}
		log.Error("observations are not published for now", "epoch", max(epoch, 1)-1, "retry", publishAgain, "err", err)
		wait(ctx, publishAgain)
	}
}

// rate is what one address may ask; stations behind one address share it.
var rate = peerlimit.Rate{PerSecond: 100, Burst: 1000}

// serve runs an HTTP server until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	return node.ServeHTTP(ctx, l, &http.Server{Handler: h, ReadTimeout: bodyTimeout, MaxHeaderBytes: 16 << 10}, rate)
}

// secretIn reads the secret of MQTT tokens, or makes it.
func secretIn(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create gateway home: %w", err)
	}
	path := filepath.Join(dir, "mqtt.secret")
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		err = os.WriteFile(path, secret, 0o600)
	}
	if err == nil && len(secret) < 32 {
		err = fmt.Errorf("%s has %d bytes, want 32; remove it and devices get new tokens", path, len(secret))
	}
	if err != nil {
		return nil, fmt.Errorf("secret of MQTT tokens: %w", err)
	}
	return secret, nil
}
