package local

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/s3"
)

// buyerCredits is what the gateway's account keeps in ucredit: enough for
// leases of every provider to be opened and topped up.
const buyerCredits = 1_000_000 * 1_000_000

// gateway is the S3 door with the engine that stores, reads and pays behind it.
func (e *env) gateway() node.Role {
	return node.NewFunc(GatewayName, func(ctx context.Context, r *node.Func) error {
		log := e.log.With("role", GatewayName)
		c, err := e.ledger(ctx)
		if err != nil {
			return err
		}
		k, err := e.plan.Buyer.load(e.home)
		if err != nil {
			return err
		}
		port := ledgerport.New(c, k, nil)
		if err := port.Buy(ctx, buyerCredits); err != nil {
			return err
		}
		router, err := e.router(log)
		if err != nil {
			return err
		}
		defer router()
		engine, err := e.engine(ctx, port)
		if err != nil {
			return err
		}
		s3keys, err := loadS3Keys(e.home)
		if err == nil {
			r.SetStatus((&gatewayHealth{engine: engine, s3: e.plan.addr(e.plan.Ports.S3)}).status)
			var prepared sync.WaitGroup
			serving, stop := context.WithCancel(ctx)
			prepared.Go(func() { prepare(serving, engine, r.Ready(), log) })
			err = s3.Serve(ctx, s3.Config{
				Addr: e.plan.listenAddr(e.plan.Ports.S3), Region: e.plan.S3Region, AccessKey: s3keys.Access, SecretKey: s3keys.Secret,
				Home: filepath.Join(e.home, "data", "s3"), Segments: segments{engine}, Logger: log, Tracer: e.traces.Tracer(GatewayName),
				Ready: func(string) { r.MarkReady() },
			})
			stop()
			prepared.Wait()
		}
		return errors.Join(err, engine.Close())
	})
}

// prepare opens the leases of the first uploads once the door is open, so that
// nobody waits for the ledger.
func prepare(ctx context.Context, engine *gateway.Engine, ready <-chan struct{}, log *slog.Logger) {
	select {
	case <-ready:
	case <-ctx.Done():
		return
	}
	if err := engine.Prepare(ctx); err != nil && ctx.Err() == nil {
		log.Warn("leases are not prepared: uploads open them", "err", err)
	}
}

// router serves the providers that have no port of their own, if there are any.
// Its key is new with every start: nothing depends on who routes.
func (e *env) router(log *slog.Logger) (stop func(), err error) {
	if e.plan.Ports.Router == 0 {
		return func() {}, nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	base, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Ports.Router))
	if err != nil {
		return nil, err
	}
	r, err := tunnel.NewRouter(base, key, tunnel.Options{Log: log})
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return func() {
		if err := r.Close(); err != nil {
			log.Warn("router not closed", "err", err)
		}
	}, nil
}

// healthAge is how long a health report is shown: making one looks at every
// segment.
const healthAge = 5 * time.Second

// gatewayHealth keeps the engine's last health report.
type gatewayHealth struct {
	engine *gateway.Engine
	s3     string

	mu   sync.Mutex
	made time.Time
	last *GatewayStatus
}

// GatewayStatus is what the gateway says of itself. Segments are counted by how
// many of their pieces are usable: all, more than the repair threshold, enough
// to read, or too few.
type GatewayStatus struct {
	S3         string `json:"s3"`
	Segments   int    `json:"segments"`
	Bytes      int64  `json:"bytes"`
	Full       int    `json:"full"`
	Thin       int    `json:"thin"`
	Low        int    `json:"low"`
	Unreadable int    `json:"unreadable"`
	Leases     int    `json:"leases"`
	Exhausted  int    `json:"exhausted"` // leases whose escrow has run dry

	Problems []gateway.Problem `json:"problems"` // what providers did wrong
}

func (g *gatewayHealth) status() any {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.made) > healthAge {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if h, err := g.engine.Health(ctx); err == nil {
			g.last = &GatewayStatus{
				S3: g.s3, Segments: h.Segments, Bytes: h.Bytes, Full: h.Full, Thin: h.Thin, Low: h.Low,
				Unreadable: h.Unreadable, Leases: len(h.Leases), Exhausted: h.Exhausted, Problems: h.Problems,
			}
		}
		g.made = time.Now()
	}
	if g.last == nil {
		return nil
	}
	return *g.last
}

// engine opens the segment engine with the owner's content keys.
func (e *env) engine(ctx context.Context, port *ledgerport.Port) (*gateway.Engine, error) {
	keys, err := contentKeys(filepath.Join(e.home, "keys", "content.json"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.home, "data", "gateway")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	epoch := time.Duration(e.plan.EpochSeconds) * time.Second
	return gateway.New(ctx, gateway.Config{
		Dir: dir, Chain: receipt.ChainOf(e.plan.ChainID), Keys: keys, Ledger: ledgerport.Gateway{Port: port},
		Log: e.log.With("role", GatewayName), Tracer: e.traces.Tracer(GatewayName), Layouts: []erasure.Layout{e.plan.layout()}, Lease: e.plan.Lease.policy(),
		Pace: gateway.Pace{
			// A local network lives fast: what is silent for some epochs is
			// rebuilt elsewhere while somebody watches.
			RepairInterval: 2 * epoch, ProbeInterval: epoch, UnreachableAfter: 8 * epoch,
		},
	})
}

// fundedPiece is the size of a full segment's piece in a small network, in bytes:
// what a lease's first escrow holds when a person chose for how long.
const fundedPiece = 16 << 20

// policy is how the engine buys leases.
func (l LeasePlan) policy() gateway.LeasePolicy {
	p := gateway.LeasePolicy{NoTopUp: l.NoTopUp}
	if l.HoldEpochs > 0 {
		p.Epochs, p.HoldBytes, p.Low = l.HoldEpochs, fundedPiece, max(1, l.HoldEpochs/4)
	}
	return p
}

// layout is the code for the number of providers: the small one from eight on,
// copies below.
func (p *Plan) layout() erasure.Layout {
	switch n := len(p.Providers); {
	case n >= 20:
		return erasure.Standard
	case n >= 8:
		return erasure.Small
	default:
		n := uint8(min(n, 3))
		return erasure.Layout{K: 1, N: n, Repair: min(n, 2)}
	}
}

// contentKeys reads the keys that encrypt and seal what the gateway stores, or
// makes them. Who loses them loses the data.
func contentKeys(path string) (erasure.Keys, error) {
	var keys erasure.Keys
	var file struct {
		Content string `json:"content"`
		Seal    string `json:"seal"`
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := rand.Read(keys.Content[:]); err != nil {
			return keys, err
		}
		if _, err := rand.Read(keys.Seal[:]); err != nil {
			return keys, err
		}
		file.Content, file.Seal = hex.EncodeToString(keys.Content[:]), hex.EncodeToString(keys.Seal[:])
		return keys, writeJSON(path, file, 0o600)
	}
	if err != nil {
		return keys, err
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return keys, fmt.Errorf("read %s: %w", path, err)
	}
	for name, part := range map[string]struct {
		text string
		into []byte
	}{"content": {file.Content, keys.Content[:]}, "seal": {file.Seal, keys.Seal[:]}} {
		raw, err := hex.DecodeString(part.text)
		if err != nil || len(raw) != len(part.into) {
			return keys, fmt.Errorf("read %s: %s key is not %d hex digits", path, name, 2*len(part.into))
		}
		copy(part.into, raw)
	}
	return keys, nil
}
