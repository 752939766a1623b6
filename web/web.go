package web

import (
	"compress/gzip"
	"embed"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var embedded embed.FS

// Policy is the Content-Security-Policy of every page: everything from here,
// nothing inline, no frame around it.
const Policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// Dist holds the files of the built app at its root. What compresses well is
// there once, gzipped, under its name and ".gz".
func Dist() fs.FS {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return dist
}

// Built reports whether the app was built when the program was.
func Built() bool {
	_, err := fs.Stat(Dist(), "index.html.gz")
	return err == nil
}

// Handler serves the app: its files, and for every other path the page, which
// finds its way by the address. Without a built app every page is a plain one
// that says so.
func Handler() http.Handler { return handler(Dist()) }

func handler(dist fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this is a page: it is only read", http.StatusMethodNotAllowed)
			return
		}
		guard(w.Header())
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		f, err := open(dist, name)
		if err != nil && !strings.HasPrefix(name, "assets/") {
			name = "index.html"
			f, err = open(dist, name)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "index.html":
			plain(w)
		case errors.Is(err, fs.ErrNotExist):
			http.Error(w, "no such file in the app: "+name, http.StatusNotFound)
		case err != nil:
			http.Error(w, "read the app: "+err.Error(), http.StatusInternalServerError)
		default:
			send(w, r, name, f)
		}
	})
}

// guard sets what every answer carries.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// file is one file of the app; packed says that data is gzip.
type file struct {
	data   []byte
	packed bool
}

func open(dist fs.FS, name string) (file, error) {
	data, err := fs.ReadFile(dist, name+".gz")
	if err == nil {
		return file{data, true}, nil
	}
	data, err = fs.ReadFile(dist, name)
	return file{data, false}, err
}

func send(w http.ResponseWriter, r *http.Request, name string, f file) {
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") { // the name holds a hash of the content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if kind := contentType(name); kind != "" {
		h.Set("Content-Type", kind)
	}
	if f.packed && !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		unpack(w, r, f.data)
		return
	}
	if f.packed {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(f.data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(f.data) // the reader went away
	}
}

// unpack serves the few clients that do not take gzip.
func unpack(w http.ResponseWriter, r *http.Request, data []byte) {
	zr, err := gzip.NewReader(strings.NewReader(string(data)))
	if err != nil {
		http.Error(w, "read the app: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, zr) // the reader went away
	}
}

// contentType does not ask the machine for its table, which differs.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".json":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func plain(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, notBuilt)
}

const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Grange explorer: the app was not built</title></head>
<body><main><h1>The web app is not in this program</h1>
<p>It was built without Node. The API works: <a href="/v1/status">/v1/status</a> is the network at a glance and
<a href="/openapi.yaml">/openapi.yaml</a> says what else there is.</p>
<p>To have the app: install Node 20.19 or newer and npm, then <code>make web build</code>.</p>
</main></body></html>
`
