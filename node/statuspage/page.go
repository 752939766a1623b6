package statuspage

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/node"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var style []byte

//go:embed page.js
var script []byte

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"bytes": cliout.Bytes, "credits": cliout.Credits, "grains": cliout.Grains, "short": cliout.Short,
	"percent": func(part, whole uint64) uint64 {
		if whole == 0 {
			return 0
		}
		return uint64(float64(part) / float64(whole) * 100)
	},
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"ago":     func(now, t time.Time) string { return now.Sub(t).Truncate(time.Second).String() },
	"summary": summary,
}).Parse(pageSource))

// Source gives the newest snapshot; it must not block for long.
type Source func() Snapshot

// Serve answers on l until ctx ends. It owns and closes l. Its metrics are those
// of the process, of the snapshot, and more.
func Serve(ctx context.Context, l net.Listener, src Source, log *slog.Logger, more ...prometheus.Collector) error {
	return node.ServeHTTP(ctx, l, &http.Server{Handler: Handler(src, log, more...)}, rate)
}

// ServeMetrics answers GET /metrics on l until ctx ends, with those of the
// process and more. It owns and closes l.
func ServeMetrics(ctx context.Context, l net.Listener, more ...prometheus.Collector) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(more...))
	return node.ServeHTTP(ctx, l, &http.Server{Handler: mux}, rate)
}

// rate is what one address may ask.
var rate = peerlimit.Rate{PerSecond: 20, Burst: 100}

// Handler is the page as an http.Handler.
func Handler(src Source, log *slog.Logger, more ...prometheus.Collector) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := page.Execute(&b, src()); err != nil {
			log.Error("render status page", "err", err)
			http.Error(w, "render status page: "+err.Error(), http.StatusInternalServerError)
			return
		}
		send(w, "text/html; charset=utf-8", b.Bytes())
	})
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		b, err := json.MarshalIndent(src().filled(), "", "  ")
		if err != nil {
			http.Error(w, "encode status: "+err.Error(), http.StatusInternalServerError)
			return
		}
		send(w, "application/json", append(b, '\n'))
	})
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, _ *http.Request) { send(w, "text/css; charset=utf-8", style) })
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) { send(w, "text/javascript; charset=utf-8", script) })
	mux.Handle("GET /metrics", metricsHandler(append([]prometheus.Collector{collector{src}}, more...)...))
	return mux
}

// metricsHandler shows the process's registry, where the ledger's engine has its
// metrics too, and the collectors.
func metricsHandler(more ...prometheus.Collector) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(more...)
	return promhttp.HandlerFor(prometheus.Gatherers{prometheus.DefaultGatherer, own},
		promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

func send(w http.ResponseWriter, kind string, b []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // the reader left: nothing to tell it
}
