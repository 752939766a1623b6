package query

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/store"
)

// Limits of a request.
const (
	MaxRows    = 100_000   // of an answer
	maxScanned = 5_000_000 // rows that an aggregate is made of
	maxRaw     = 31 * 24 * time.Hour
	maxSummed  = 366 * 24 * time.Hour
	maxProofs  = 1000 // batches
	maxNames   = 64   // variables of a request
)

// Config is what a Handler needs.
type Config struct {
	Store  *store.Store
	Log    store.Source // where a subscription goes on; nil: it cannot
	Till   Till
	Prover Prover // nil: nothing is proven
	// Facts are what products tell, Objects the files that they describe; nil: there
	// are none.
	Facts   Shelf
	Objects Objects
	Logger  *slog.Logger
	Now     func() time.Time
}

type handler struct {
	Config
	reads audience
}

// Handler serves /v1/cells, /v1/bulk, /v1/tiles, /v1/subscribe, /v1/stations and
// /v1/products.
func Handler(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{Config: c}
	doors := map[string]door{
		"GET /v1/cells/{cell}/obs":            {h.observations, "var kind from to qc agg format proof"},
		"GET /v1/bulk/{kind}/{day}/{file}":    {h.bulk, "part"},
		"GET /v1/tiles/{kind}/{z}/{x}/{tile}": {h.tile, "product of at"},
		"GET /v1/subscribe":                   {h.subscribe, "cell var kind qc"},
		"GET /v1/stations":                    {h.stations, "cell kind after format"},
		"GET /v1/stations/{device}":           {h.station, ""},
	}
	if c.Facts != nil {
		doors["GET /v1/products"] = door{h.products, ""}
		doors["GET /v1/products/{kind}/{product}/{cell}"] = door{h.facts, "from to of format"}
		doors["GET /v1/products/{kind}/{product}/{cell}/object"] = door{h.object, "from to of at"}
	}
	mux := http.NewServeMux()
	for pattern, d := range doors {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := d.takes(r)
			if err == nil {
				err = d.serve(w, r)
			}
			if err != nil {
				h.fail(w, r, err)
			}
		})
	}
	return mux
}

// door is an address and the parameters that it takes, token= beside them.
type door struct {
	serve      func(http.ResponseWriter, *http.Request) error
	parameters string
}

// takes refuses a parameter that is not known: who misspells one would pay for more
// than he wants.
func (d door) takes(r *http.Request) error {
	known := append(strings.Fields(d.parameters), "token")
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("parameters: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains(known, name) {
			return bad("parameter %.40q is not known here, want %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// problem is an error with the status of its answer.
type problem struct {
	status int
	err    error
}

func (p problem) Error() string { return p.err.Error() }
func (p problem) Unwrap() error { return p.err }

func bad(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

func missing(format string, args ...any) error {
	return problem{http.StatusNotFound, fmt.Errorf(format, args...)}
}

func tooMuch(format string, args ...any) error {
	return problem{http.StatusRequestEntityTooLarge, fmt.Errorf(format, args...)}
}

// Status is the HTTP status of an error of this package or of a Till.
func Status(err error) int {
	var p problem
	switch {
	case errors.Is(err, ErrNoLease), errors.Is(err, ErrUnpaid):
		return http.StatusPaymentRequired
	case errors.As(err, &p):
		return p.status
	}
	return http.StatusServiceUnavailable
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := Status(err)
	if status == http.StatusServiceUnavailable && r.Context().Err() == nil {
		h.Logger.Warn("query failed", "path", r.URL.Path, "err", err)
	}
	w.Header().Del("ETag")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead { // whose answer has no body to say it in
		w.Header().Set(noteHeader, err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error(), "code": code(status)}) // the client may be gone
}

func code(status int) string {
	return cmp.Or(map[int]string{
		http.StatusBadRequest: "bad_request", http.StatusNotFound: "not_found", http.StatusPaymentRequired: "payment_required",
		http.StatusRequestEntityTooLarge: "too_much", http.StatusForbidden: "refused", http.StatusTooManyRequests: "too_many",
	}[status], "unavailable")
}
