package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/statuspage"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/verify"
)

// InitOptions say who a machine is; all are needed.
type InitOptions struct {
	Name    string
	ChainID string
	Address string        // host:port where others reach this machine
	Epoch   time.Duration // whole seconds, as on every other machine
	With    []string      // verticals besides storage, as on every other machine
	// ShowPhrase gets the phrase of the operator's new key, once; the key has
	// none if nil.
	ShowPhrase func(phrase string)
}

// Init makes the keys of a machine and its card. It refuses a home that has
// them.
func Init(ctx context.Context, home string, o InitOptions) (Card, error) {
	if o.Name == "" || len(o.Name) > 64 {
		return Card{}, refusef("initialise host: name %q: want 1 to 64 bytes", o.Name)
	}
	if err := checkAddress(o.Address); err != nil {
		return Card{}, refusef("initialise host: %v", err)
	}
	if o.Epoch < 5*time.Second || o.Epoch > 24*time.Hour || o.Epoch%time.Second != 0 {
		return Card{}, refusef("initialise host: epochs of %v: want whole seconds, 5 s to 24 h", o.Epoch)
	}
	with, err := verticals.Chosen(o.With)
	if err != nil {
		return Card{}, refusef("initialise host: %v", err)
	}
	o.With = with
	for _, name := range []string{"card.json", "network.json", "cluster.json"} {
		if _, err := os.Stat(filepath.Join(home, name)); err == nil {
			return Card{}, refusef("initialise host: %s exists already in %s", name, home)
		}
	}
	c, err := newCard(ctx, home, o)
	if err != nil {
		return Card{}, err
	}
	return c, writeJSON(CardPath(home), c)
}

// Plan is what a machine that joined knows: the content of host.json.
type Plan struct {
	Name    string   `json:"name"`
	ChainID string   `json:"chain_id"`
	Port    string   `json:"port"`  // p2p port
	Host    string   `json:"host"`  // where others reach it
	Peers   []string `json:"peers"` // id@host:port
	// Evidence is where the evidence of verticals is, see evidence.Open; those with
	// some wait if it is empty.
	Evidence string `json:"evidence,omitempty"`
	// Verifiers are where others serve the epochs they scored, see StartOptions.
	Verifiers []string `json:"verifiers,omitempty"`
	// Late says that the machine joined a network that ran already: its peers are
	// a few of many, so that it finds others through them.
	Late bool     `json:"late,omitempty"`
	RPC  []string `json:"rpc,omitempty"` // URLs of nodes, for state sync
}

// ReadPlan reads what a machine that joined knows.
func ReadPlan(home string) (Plan, error) {
	var p Plan
	raw, err := os.ReadFile(planPath(home))
	if errors.Is(err, fs.ErrNotExist) {
		return p, refusef("start: no host.json at %s: run grange init and grange join first", home)
	}
	if err != nil {
		return p, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, refusef("read %s, line %d: %v", planPath(home), lineOf(raw, err), err)
	}
	return p, nil
}

// lineOf is the line of raw that a decoder's error is about.
func lineOf(raw []byte, err error) int {
	at := len(raw)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = int(syntax.Offset)
	case errors.As(err, &kind):
		at = int(kind.Offset)
	default: // an unknown field, which the error names in quotes at its end
		if i := strings.IndexByte(err.Error(), '"'); i >= 0 {
			at = max(0, bytes.Index(raw, []byte(err.Error()[i:])))
		}
	}
	return 1 + bytes.Count(raw[:min(at, len(raw))], []byte("\n"))
}

func planPath(home string) string { return filepath.Join(home, "host.json") }

// Join makes the chain of all founding machines' cards in a home made by Init.
// The home's own card must be among them. It returns the SHA-256 of the genesis
// file in hex, for people to compare.
func Join(home string, cards []Card) (string, error) {
	own, err := ReadCard(CardPath(home))
	if errors.Is(err, fs.ErrNotExist) {
		return "", refusef("join: no card at %s: run grange init first", home)
	}
	if err != nil {
		return "", err
	}
	p := Plan{Name: own.Name, ChainID: own.ChainID}
	if p.Host, p.Port, err = net.SplitHostPort(own.Address); err != nil {
		return "", err
	}
	found := false
	for _, c := range cards {
		if c.NodeID == own.NodeID {
			found = true
			continue
		}
		p.Peers = append(p.Peers, c.NodeID+"@"+c.Address)
	}
	if !found {
		return "", refusef("join: the card of this machine (%s) is not among those given", own.Name)
	}
	document, err := genesis(cards)
	if err != nil {
		return "", err
	}
	if err := server.WriteGenesis(chainHome(home), document); errors.Is(err, fs.ErrExist) {
		return "", refusef("join: %s has a chain already", home)
	} else if err != nil {
		return "", err
	}
	return digest(document), writeJSON(planPath(home), p)
}

// RunningAs is the process that runs the machine of home, 0 when none does.
func RunningAs(home string) (pid int) {
	release, err := node.Lock(filepath.Join(home, "lock"))
	var held *node.HeldError
	if errors.As(err, &held) {
		return held.PID
	}
	if err == nil {
		release()
	}
	return 0
}

// StartOptions say where a machine listens. Addresses are host:port.
type StartOptions struct {
	RPC, GRPC, REST string
	// Price to vote for a GRAIN, in ucredit; no votes if 0.
	Price  uint64
	Logger *slog.Logger
	// Evidence is where the evidence of verticals is, see evidence.Open. It is kept in
	// the plan; empty: as planned.
	Evidence string
	// RetainEvidence makes this machine remove what is too old to be asked for. Of
	// those that share a store one does.
	RetainEvidence bool
	// Full runs the ledger's node only, without an operator's duties.
	Full bool
	// TrustHeight and TrustHash, a header's, have a node without state take a
	// snapshot from its peers; TrustRPC are the URLs of nodes that tell headers,
	// those of the join if empty. No state sync if TrustHeight is 0.
	TrustHeight int64
	TrustHash   string
	TrustRPC    []string
	// Signer is where a remote signer with the consensus key connects, host:port;
	// the key file signs if empty.
	Signer string
	// SnapshotEvery is how many blocks lie between two snapshots for new nodes;
	// none is made if 0.
	SnapshotEvery uint64
	// Metrics is where the process shows its metrics; nowhere if empty.
	Metrics string
	// Published is where the verifier serves the epochs it scored; nowhere if empty.
	Published string
	// Verifiers are where others serve theirs: URLs, or homes on this machine. They
	// are kept in the plan; none: as planned; a single "": nowhere any more.
	Verifiers []string
}

// Start runs the validator of a home made by Init and Join until ctx ends. It
// calls ready once the ledger has a block.
func Start(ctx context.Context, home string, o StartOptions, ready func(Plan)) error {
	p, err := ReadPlan(home)
	if err != nil {
		return err
	}
	unlock, err := node.Lock(filepath.Join(home, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	listen := "0.0.0.0"
	if ip := net.ParseIP(p.Host); ip != nil && ip.IsLoopback() {
		listen = p.Host
	}
	traces, err := trace.Open(ctx, trace.Config{Dir: filepath.Join(home, "traces", p.Name), Log: o.Logger})
	if err != nil {
		return err
	}
	defer traces.Close()
	hide, err := o.showMetrics(ctx, traces)
	if err != nil {
		return err
	}
	defer hide()
	withdraw, err := o.servePublished(ctx, home)
	if err != nil {
		return err
	}
	defer withdraw()
	if p, err = o.plan(home, p); err != nil {
		return err
	}
	d, err := o.duties(home, p, traces)
	if err != nil {
		return err
	}
	r := NewValidator(server.Config{
		Home: chainHome(home), Moniker: p.Name, P2PAddr: net.JoinHostPort(listen, p.Port),
		RPCAddr: o.RPC, GRPCAddr: o.GRPC, RESTAddr: o.REST,
		PersistentPeers: p.Peers, PEX: p.Late, SignerAddr: o.Signer, SnapshotEvery: o.SnapshotEvery, StateSync: o.stateSync(p), Prover: ledgerport.Prover{}, Logger: o.Logger, Metrics: o.Metrics != "",
	}, d)
	endpoints := filepath.Join(home, "endpoints.json")
	done := make(chan struct{})
	said := make(chan struct{})
	go func() {
		defer close(said)
		select {
		case <-r.Ready():
			if err := writeJSON(endpoints, o.endpoints(p)); err != nil {
				o.Logger.Error("endpoints not written", "err", err)
			}
			ready(p)
		case <-done:
		}
	}()
	err = r.Run(ctx)
	close(done)
	<-said
	_ = os.Remove(endpoints) // absent when it never was ready
	return err
}

// plan takes over what is kept.
func (o StartOptions) plan(home string, p Plan) (_ Plan, err error) {
	was := p
	if o.Evidence != "" {
		if p.Evidence, err = located(o.Evidence); err != nil {
			return p, err
		}
	}
	if len(o.Verifiers) > 0 {
		p.Verifiers = nil
	}
	for _, at := range o.Verifiers {
		if at == "" {
			continue
		}
		if at, err = located(at); err != nil {
			return p, err
		}
		p.Verifiers = append(p.Verifiers, at)
	}
	if p.Evidence == was.Evidence && slices.Equal(p.Verifiers, was.Verifiers) {
		return p, nil
	}
	return p, writeJSON(planPath(home), p)
}

// located is a URL as it is, and a path from the root on.
func located(at string) (string, error) {
	if isURL(at) {
		return at, nil
	}
	return filepath.Abs(at)
}

// duties are those of a validator, none of a full node.
func (o StartOptions) duties(home string, p Plan, traces *trace.Recorder) (Duties, error) {
	if o.Full {
		return Duties{}, nil
	}
	d := Duties{Home: verifierHome(home), Others: p.Verifiers, Tracer: traces.Tracer("verifier"), Retain: o.RetainEvidence}
	if o.Price > 0 {
		d.Prices = verify.FixedPrice(o.Price)
	}
	if p.Evidence == "" {
		return d, nil
	}
	store, err := evidence.Open(p.Evidence)
	if err != nil {
		return d, refusef("start: %v", err)
	}
	d.Archive = evidence.New(store)
	return d, nil
}

func (o StartOptions) stateSync(p Plan) *server.StateSync {
	if o.TrustHeight == 0 {
		return nil
	}
	s := &server.StateSync{Servers: o.TrustRPC, Height: o.TrustHeight, Hash: o.TrustHash}
	if len(s.Servers) == 0 {
		s.Servers = p.RPC
	}
	return s
}

func verifierHome(home string) string { return filepath.Join(home, "data", "verifier") }

// pageRate is what one address may ask of the published epochs.
var pageRate = peerlimit.Rate{PerSecond: 50, Burst: 200}

// servePublished serves the epochs scored here until withdraw is called.
func (o StartOptions) servePublished(ctx context.Context, home string) (withdraw func(), err error) {
	if o.Published == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", o.Published)
	if err != nil {
		return nil, fmt.Errorf("serve published epochs: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := node.ServeHTTP(ctx, l, &http.Server{Handler: verify.Handler(verifierHome(home)), WriteTimeout: time.Minute}, pageRate); err != nil {
			o.Logger.Warn("published epochs are no longer served", "err", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// showMetrics serves the metrics of this process until hide is called.
func (o StartOptions) showMetrics(ctx context.Context, traces *trace.Recorder) (hide func(), err error) {
	if o.Metrics == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("show metrics: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := statuspage.ServeMetrics(ctx, l, traces); err != nil {
			o.Logger.Warn("metrics not shown", "err", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// endpoints is the content of endpoints.json, where the commands that look at
// the ledger find it while it runs.
func (o StartOptions) endpoints(p Plan) map[string]any {
	e := map[string]any{"chain_id": p.ChainID, "rpc": "http://" + o.RPC, "rest": "http://" + o.REST, "grpc": o.GRPC}
	if o.Published != "" {
		e["verify"] = "http://" + o.Published
	}
	if o.Metrics != "" {
		e["metrics"] = []map[string]any{{"process": p.Name, "roles": []string{"validator", "verifier"}, "url": "http://" + o.Metrics + "/metrics"}}
	}
	return e
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}
