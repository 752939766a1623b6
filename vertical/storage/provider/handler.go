package provider

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// Handler returns the HTTP API. The server's ConnContext must make the peer's key
// available to Config.PeerKey.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"PUT /v1/pieces/{root}":  p.putPiece,
		"GET /v1/pieces/{root}":  p.getPiece,
		"HEAD /v1/pieces/{root}": p.headPiece,
		"POST /v1/receipts":      p.postReceipt,
		"GET /v1/receipts":       p.getReceipt,
		"POST /v1/commitments":   p.postCommitment,
		"GET /v1/commitments":    p.getCommitment,
		"GET /v1/sets":           p.getSet,
		"GET /v1/status":         p.getStatus,
	} {
		mux.Handle(pattern, p.answer(pattern, f))
	}
	return mux
}

// answer runs a handler, turns its error into an answer and logs the request.
func (p *Provider) answer(pattern string, f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		r, span := p.traced(pattern, r)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		err := f(rec, r)
		level := slog.LevelDebug
		if err != nil {
			refused := classify(err)
			if !rec.wrote {
				refused.write(rec)
			}
			if refused.status >= 500 {
				level = slog.LevelWarn
			}
		}
		p.conf.Log.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.Path,
			"lease", r.URL.Query().Get("lease"), "status", rec.status, "bytes", rec.bytes,
			"took", time.Since(began), "trace", span.SpanContext().TraceID(), "err", err)
		span.SetAttributes(trace.Status.Int(rec.status), trace.Number(trace.Bytes, rec.bytes))
		trace.End(span, err)
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	r.status, r.wrote = status, true
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// session is an authorised request: a lease and the lane of the peer's key.
type session struct {
	lease lease.Lease
	lane  lease.Lane
	epoch uint64
}

// authorise finds the lease the peer may act on.
func (p *Provider) authorise(ctx context.Context, id [32]byte) (session, error) {
	key, ok := p.conf.PeerKey(ctx)
	if !ok {
		return session{}, refuse(http.StatusForbidden, CodeNotAllowed, "connection carries no key: connect through the tunnel with the lane's session key")
	}
	view, err := p.leases.get(ctx, id)
	if err != nil {
		return session{}, unavailable(id, err)
	}
	ln, ok := laneWithKey(view, key)
	if !ok { // the lane may be newer than what we know
		if view, err = p.leases.refresh(ctx, id); err != nil {
			return session{}, unavailable(id, err)
		}
		if ln, ok = laneWithKey(view, key); !ok {
			return session{}, refuse(http.StatusForbidden, CodeNotAllowed, "key %s is of no lane of lease %s", hexOf(key), hexOf(id))
		}
	}
	if view.Device != p.conf.Device {
		return session{}, refuse(http.StatusForbidden, CodeNotAllowed, "lease %s is with device %s, this is %s", hexOf(id), hexOf(view.Device), hexOf(p.conf.Device))
	}
	epoch, err := p.currentEpoch(ctx)
	if err != nil {
		return session{}, unavailable(id, err)
	}
	return session{view, ln, epoch}, nil
}

func unavailable(id [32]byte, err error) error {
	if errors.Is(err, ErrNoLease) {
		return refuse(http.StatusForbidden, CodeUnknownLease, "find lease %s: %w", hexOf(id), err)
	}
	return refuse(http.StatusServiceUnavailable, CodeUnavailable, "look up lease %s on the ledger: %w; try again", hexOf(id), err)
}

func laneWithKey(l lease.Lease, key [32]byte) (lease.Lane, bool) {
	for _, ln := range l.Lanes {
		if ln.Key == key {
			return ln, true
		}
	}
	return lease.Lane{}, false
}

// session reads the lease parameter and authorises the peer for it.
func (p *Provider) session(r *http.Request) (session, error) {
	id, err := parse32(r.URL.Query().Get("lease"))
	if err != nil {
		return session{}, refuse(http.StatusBadRequest, CodeBadRequest, "read query parameter lease: %w", err)
	}
	ctx, span := trace.Start(r.Context(), "authorise")
	s, err := p.authorise(ctx, id)
	trace.End(span, err)
	return s, err
}

// require refuses unless the lease is in one of the states.
func (s session) require(what string, states ...lease.State) error {
	for _, st := range states {
		if s.lease.State == st {
			return nil
		}
	}
	return refuse(http.StatusPaymentRequired, CodeLeaseState, "%s: lease %s is %s (%s): fund it or open another",
		what, hexOf(s.lease.ID), s.lease.State, s.lease.Reason)
}

func parse32(s string) (v [32]byte, err error) {
	if len(s) != 64 {
		return v, errors.New("want 64 hexadecimal digits")
	}
	_, err = hex.Decode(v[:], []byte(s))
	return v, err
}

func rootOf(r *http.Request) (piece.Root, error) {
	root, err := piece.ParseRoot(r.PathValue("root"))
	if err != nil {
		return root, &refusal{http.StatusBadRequest, CodeBadRequest, err, nil}
	}
	return root, nil
}

// number reads a query parameter, absent when it is not there.
func number(r *http.Request, name string, absent int64) (int64, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, refuse(http.StatusBadRequest, CodeBadRequest, "read query parameter %s: %q is no byte count", name, v)
	}
	return n, nil
}
