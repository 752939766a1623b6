package sta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// Config is what a Handler needs.
type Config struct {
	Store  *store.Store
	Till   query.Till
	Logger *slog.Logger
}

// prefix of all addresses.
const prefix = "/v1.1"

// Handler serves the API below /v1.1.
func Handler(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	serve := func(w http.ResponseWriter, r *http.Request) {
		q := &request{Config: c, root: rootOf(r), token: query.Token(r)}
		if err := q.serve(w, r); err != nil {
			q.fail(w, r, err)
		}
	}
	mux.HandleFunc("GET "+prefix, serve)
	mux.HandleFunc("GET "+prefix+"/{path...}", serve)
	return mux
}

// rootOf is the address under which a client reaches the API.
func rootOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + prefix
}

// request is one under way.
type request struct {
	Config
	root    string
	token   string // of a buyer
	view    *view
	scanned int
	inner   int // entities of the answer
	sold    query.Rows
}

// fault is an error with its status.
type fault struct {
	status int
	err    error
}

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

func bad(err error) error { return fault{http.StatusBadRequest, err} }

func missing(format string, args ...any) error {
	return fault{http.StatusNotFound, fmt.Errorf(format, args...)}
}

func (q *request) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := query.Status(err)
	var f fault
	if errors.As(err, &f) {
		status = f.status
	}
	if status == http.StatusServiceUnavailable && r.Context().Err() == nil {
		q.Logger.Warn("SensorThings request failed", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": status, "type": "error", "message": err.Error()}) // the client may be gone
}

func (q *request) serve(w http.ResponseWriter, r *http.Request) error {
	o, err := parseOptions(r.URL.Query())
	if err != nil {
		return bad(err)
	}
	path := strings.Trim(r.PathValue("path"), "/")
	if path == "" {
		return q.write(w, r, q.index())
	}
	q.view = newView(q.Store.Streams())
	return q.resolve(w, r, strings.Split(path, "/"), &o)
}

// index is the root: the sets, and what of the standard is there.
func (q *request) index() any {
	var sets []any
	for _, s := range []string{things, locations, histories, datastreams, sensors, properties, observations, features} {
		sets = append(sets, map[string]any{"name": s, "url": q.root + "/" + s})
	}
	const req = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
	return map[string]any{"value": sets, "serverSettings": map[string]any{"conformance": []string{
		req + "datamodel", req + "resource-path/resource-path-to-entities", req + "request-data", req + "data-array/data-array",
	}}}
}

// resolve walks a path of the standard's section 9.2: sets, keys, links and
// properties.
func (q *request) resolve(w http.ResponseWriter, r *http.Request, path []string, o *options) error {
	if len(path) > 8 {
		return bad(fmt.Errorf("path of %d parts, want at most 8", len(path)))
	}
	set, key, keyed := splitKey(path[0])
	if links[set] == nil {
		return missing("set %.40q: there is none of that name", set)
	}
	var e *entity
	for rest := path[1:]; ; rest = rest[1:] {
		if !keyed { // a set, of everything or of e
			if len(rest) == 1 && rest[0] == "$ref" {
				o.fields = []string{"@iot.selfLink"}
			} else if len(rest) > 0 {
				return missing("%s is a set: %.40q leads nowhere", set, rest[0])
			}
			return q.list(w, r, e, set, o)
		}
		var err error
		if key != "" {
			if e, err = q.keyed(r.Context(), set, key, e); err != nil {
				return err
			}
		}
		if len(rest) == 0 {
			return q.single(w, r, e, o)
		}
		name, nextKey, nextKeyed := splitKey(rest[0])
		l, isLink := links[e.set][name]
		switch {
		case !isLink:
			return q.property(w, r, e, rest)
		case l.single:
			e, set, key, keyed = q.view.follow(e, l)[0], l.set, "", true
		default:
			set, key, keyed = l.set, nextKey, nextKeyed
		}
	}
}

// splitKey cuts Things(1) into its set and key.
func splitKey(part string) (set, key string, keyed bool) {
	set, key, keyed = strings.Cut(part, "(")
	return set, strings.TrimSuffix(key, ")"), keyed
}

// keyed finds an entity of a set, which must be one of from's when there is one.
func (q *request) keyed(ctx context.Context, set, key string, from *entity) (*entity, error) {
	e := (*entity)(nil)
	if set == observations {
		var err error
		if e, err = q.observation(ctx, key); err != nil {
			return nil, err
		}
	} else {
		e = q.view.one(set, key)
	}
	if e == nil || from != nil && !related(from, e) {
		return nil, missing("%s(%.40s): there is none", set, key)
	}
	return e, nil
}

func related(a, b *entity) bool {
	return slices.ContainsFunc(a.streams, func(x *store.Stream) bool {
		return slices.ContainsFunc(b.streams, func(y *store.Stream) bool { return x.Number == y.Number })
	})
}

// property answers ENTITY/NAME and ENTITY/NAME/$value.
func (q *request) property(w http.ResponseWriter, r *http.Request, e *entity, rest []string) error {
	v, ok := e.says[rest[0]]
	if !ok || len(rest) > 2 || len(rest) == 2 && rest[1] != "$value" {
		return missing("%s has no %.60q", e.path(), strings.Join(rest, "/"))
	}
	q.sell(e)
	if len(rest) == 1 {
		return q.write(w, r, map[string]any{rest[0]: v})
	}
	if err := q.pay(w, r); err != nil {
		return err
	}
	text, isText := v.(string)
	if !isText {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client may be gone
	return nil
}

func (q *request) single(w http.ResponseWriter, r *http.Request, e *entity, o *options) error {
	says, err := q.document(r.Context(), e, o)
	if err != nil {
		return err
	}
	return q.write(w, r, says)
}

func (q *request) list(w http.ResponseWriter, r *http.Request, from *entity, set string, o *options) error {
	if o.arrays && set != observations {
		return bad(errors.New("$resultFormat=dataArray is of observations"))
	}
	p, err := q.find(r.Context(), from, set, o)
	if err != nil {
		return err
	}
	out := map[string]any{}
	if o.count {
		out["@iot.count"] = p.count
	}
	if p.next != "" {
		v := url.Values{}
		for name, values := range o.address {
			if name != "$skip" && name != "$skiptoken" { // token= stays: who can send it nowhere else goes on with it
				v[name] = values
			}
		}
		v.Set(p.option, p.next)
		if o.topSet {
			v.Set("$top", strconv.Itoa(o.top))
		}
		out["@iot.nextLink"] = q.root + strings.TrimPrefix(r.URL.Path, prefix) + "?" + v.Encode()
	}
	if o.arrays {
		out["value"] = q.dataArrays(p.entities, o)
		return q.write(w, r, out)
	}
	values := []any{}
	for _, e := range p.entities {
		says, err := q.document(r.Context(), e, o)
		if err != nil {
			return err
		}
		values = append(values, says)
	}
	out["value"] = values
	return q.write(w, r, out)
}

// find lists a set, of everything or of an entity.
func (q *request) find(ctx context.Context, from *entity, set string, o *options) (page, error) {
	if set == observations {
		var streams []*store.Stream
		if from != nil {
			streams = from.streams
		} else {
			for i := range q.view.streams {
				streams = append(streams, &q.view.streams[i])
			}
		}
		return q.read(ctx, streams, o)
	}
	var all []*entity
	if from == nil {
		all = q.view.all(set)
	} else {
		all = q.view.follow(from, link{set: set})
	}
	return q.choose(all, o)
}

// choose applies the options to entities in memory.
func (q *request) choose(all []*entity, o *options) (out page, err error) {
	out.option = "$skip"
	if o.filter != nil {
		kept := all[:0:0]
		for _, e := range all {
			ok, err := holds(o.filter, q.lookup(e))
			if err != nil {
				return out, bad(fmt.Errorf("$filter: %w", err))
			}
			if ok {
				kept = append(kept, e)
			}
		}
		all = kept
	}
	if len(o.order) > 0 {
		if err := q.sort(all, o.order); err != nil {
			return out, bad(err)
		}
	}
	out.count = len(all)
	all = all[min(o.skip, len(all)):]
	if len(all) > o.top {
		all = all[:o.top]
		if o.top > 0 {
			out.next = strconv.Itoa(o.skip + o.top)
		}
	}
	out.entities = all
	return out, nil
}

func (q *request) pay(w http.ResponseWriter, r *http.Request) error {
	if len(q.sold) == 0 {
		return nil
	}
	return query.Pay(w, r, q.Till, q.sold)
}

// write pays for what is in an answer and sends it.
func (q *request) write(w http.ResponseWriter, r *http.Request, v any) error {
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false) // links are for people too
	if err := e.Encode(v); err != nil {
		return err
	}
	if err := q.pay(w, r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(raw.Bytes()) // the client may be gone
	return nil
}
