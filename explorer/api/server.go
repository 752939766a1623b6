package api

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
)

// Ledger answers what the index cannot; *live.Ledger is one.
type Ledger interface {
	Balances(ctx context.Context, address string) (map[string]string, error)
	Payouts(ctx context.Context, device string) ([]live.Payout, error)
	Lease(ctx context.Context, id string) (live.Lease, error)
	Messages(ctx context.Context, height int64, index int) ([]json.RawMessage, error)
	Money(ctx context.Context) (live.Money, error)
	Clock(ctx context.Context) (live.Clock, error)
	Bonus(ctx context.Context, device string, epoch uint64) (live.Bonus, error)
	Validators(ctx context.Context) ([]live.Validator, error)
	Consensus(ctx context.Context) (live.Consensus, error)
}

// Follower says how the index stands to its chain; *index.Follower is one.
type Follower interface {
	Progress() index.Progress
	Moved() <-chan struct{}
}

// Config is what a server is made of.
type Config struct {
	ChainID  string
	Index    *index.Store
	Follower Follower
	Ledger   Ledger
	Catalog  *atlas.Catalog
	// Published are the epochs of a verifier; nil for none.
	Published *live.Published
	// Data is the URL of the network's data gateway; "" for none. It is waited for as
	// long as DataTimeout; 0: 3 s.
	Data        string
	DataTimeout time.Duration
	// Web serves the web app at every path that is not the API's; nil for none.
	Web http.Handler
	Log *slog.Logger
	// Rate is how many requests a second one address may make in the long run,
	// Burst how many at once; 0: DefaultRate and DefaultBurst.
	Rate, Burst int
	// Streams is how many readers of events there may be; 0: MaxStreams.
	Streams int
}

// Limits that hold unless configured.
const (
	DefaultRate  = 50
	DefaultBurst = 200
	filesTimes   = 10 // as many of the web app's files
	MaxStreams   = 2000
)

// ledgerTimeout bounds a question to the ledger: pages say it does not answer
// rather than wait.
const ledgerTimeout = 3 * time.Second

// maxBody bounds a posted question.
const maxBody = 256 << 10

//go:embed openapi.yaml
var contract []byte

// Server answers the API. It is safe for concurrent use.
type Server struct {
	Config
	mux    *http.ServeMux
	limits *limiter // of questions
	files  *limiter // of the web app
	hub    *hub
	data   *gateway // nil for none

	mu   sync.Mutex
	memo map[string]remembered // answers by path, while the height is the same
}

// New makes a server. Call Run as well: it feeds the stream of events.
func New(c Config) *Server {
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	if c.Burst == 0 {
		c.Burst = DefaultBurst
	}
	if c.Published == nil {
		c.Published = live.NewPublished("")
	}
	if c.Streams == 0 {
		c.Streams = MaxStreams
	}
	s := &Server{Config: c, mux: http.NewServeMux(), limits: newLimiter(c.Rate, c.Burst), files: newLimiter(filesTimes*c.Rate, filesTimes*c.Burst), memo: map[string]remembered{}}
	s.data = newGateway(c.Data, cmp.Or(c.DataTimeout, gatewayTimeout), c.Log)
	s.hub = newHub(c.Index, c.Follower, c.Log)
	s.routes()
	return s
}

// Run feeds the stream of events until ctx ends.
func (s *Server) Run(ctx context.Context) { s.hub.run(ctx) }

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() { s.Run(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	err := server.Serve(l)
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	wg.Wait()
	return err
}

// ServeHTTP guards every answer and finds who gives it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, HEAD, POST")
		s.fail(w, r, &problem{http.StatusMethodNotAllowed, "not_allowed", "the explorer answers GET, and POST for questions", ""})
		return
	}
	limits := s.limits
	if !strings.HasPrefix(r.URL.Path, "/v1/") { // a page is many small files, and no question
		limits = s.files
	}
	if wait := limits.take(r.RemoteAddr, time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.fail(w, r, &problem{http.StatusTooManyRequests, "too_many", "this address asks more often than " + strconv.Itoa(int(limits.rate)) + " times a second", "wait as Retry-After says"})
		return
	}
	s.mux.ServeHTTP(w, r)
}

// guard sets what a browser may do with an answer: nothing but our own files.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
}

func (s *Server) routes() {
	get := func(path string, f func(*request) (any, error)) {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, f) })
	}
	post := func(path string, f func(*request) (any, error)) {
		s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			s.answer(w, r, f)
		})
	}
	get("/v1/status", s.status)
	get("/v1/search", s.search)
	get("/v1/blocks", s.blocks)
	get("/v1/blocks/{height}", s.block)
	get("/v1/txs", s.txs)
	get("/v1/txs/{hash}", s.tx)
	get("/v1/validators", s.validators)
	get("/v1/consensus", s.consensus)
	get("/v1/accounts/{address}", s.account)
	get("/v1/devices", s.devices)
	get("/v1/devices/{id}", s.device)
	get("/v1/cells", s.cells)
	get("/v1/offers", s.offers)
	get("/v1/offers/match", s.match)
	get("/v1/leases", s.leases)
	get("/v1/leases/{id}", s.lease)
	get("/v1/receipts", s.receipts)
	get("/v1/proofs", s.proofs)
	get("/v1/epochs", s.epochs)
	get("/v1/epochs/{number}", s.epoch)
	get("/v1/rewards", s.rewards)
	get("/v1/rewards/{device}/{epoch}/why", s.why)
	get("/v1/storage/health", s.health)
	get("/v1/kinds", s.kinds)
	get("/v1/products", s.products)
	get("/v1/observations/stations", s.observedStations)
	get("/v1/observations/products", s.observedProducts)
	get("/v1/observations/bounties", s.observedBounties)
	get("/v1/series", s.series)
	get("/v1/sustainability", s.sustainability)
	get("/v1/atlas", s.atlasList)
	get("/v1/atlas/entries/{id}", s.atlasEntry)
	get("/v1/atlas/compare", s.atlasCompare)
	get("/v1/atlas/disagreements", s.atlasDisagreements)
	get("/v1/atlas/market", s.atlasMarket)
	get("/v1/claims", s.claims)
	get("/v1/advise/options", s.options)
	post("/v1/advise/own", s.own)
	post("/v1/advise/need", s.need)
	post("/v1/place", s.place)
	post("/v1/scenario", s.scenario)
	get("/v1/export/depinscan", s.exportDePINScan)
	get("/external-access/revenue", s.exportRevenue)
	s.mux.HandleFunc("GET /v1/events", s.events)
	s.mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(contract) // the reader may be gone
	})
	s.mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &problem{http.StatusNotFound, "not_found", "the API has no " + strconv.QuoteToASCII(cut(r.URL.Path, 80)), "/openapi.yaml lists what it has"})
	})
	s.mux.Handle("/", s.web())
}
