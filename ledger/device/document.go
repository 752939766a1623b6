package device

import (
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/utilities"

	"github.com/grange-network/grange/ledger/api/devicepb"
)

// didMediaType is the media type of a DID document in JSON-LD (W3C DID Core 1.0,
// 6.3).
const didMediaType = "application/did+ld+json"

// registerDocuments serves bare DID documents: by device id beside the device,
// and where a DID resolver looks (W3C DID Resolution, HTTP binding). They are not
// generated from the protocol because their field names, @context first, are not
// the protocol's to choose.
func registerDocuments(mux *runtime.ServeMux, queries devicepb.QueryClient) {
	serve := func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		_, marshaler := runtime.MarshalerForRequest(mux, r)
		ctx, err := runtime.AnnotateContext(r.Context(), mux, r)
		if err != nil {
			runtime.HTTPError(r.Context(), mux, marshaler, w, r, err)
			return
		}
		d, err := queries.Document(ctx, &devicepb.QueryDocumentRequest{Id: params["id"]})
		if err != nil {
			runtime.HTTPError(ctx, mux, marshaler, w, r, err)
			return
		}
		w.Header().Set("Content-Type", didMediaType)
		_, _ = w.Write([]byte(d.Document)) // the client is gone: nobody to tell
	}
	mux.Handle(http.MethodGet, path("1.0", "identifiers", "*"), serve)
	mux.Handle(http.MethodGet, path("grange", "device", "v1", "devices", "*", "did"), serve)
}

// path is a pattern of fixed segments, with * for the one named id. A colon in
// the last segment belongs to it: DIDs have two.
func path(segments ...string) runtime.Pattern {
	var ops []int
	pool := append([]string{"id"}, segments...)
	for i, s := range segments {
		if s == "*" {
			ops = append(ops, int(utilities.OpPush), 0, int(utilities.OpConcatN), 1, int(utilities.OpCapture), 0)
			continue
		}
		ops = append(ops, int(utilities.OpLitPush), i+1)
	}
	return runtime.MustPattern(runtime.NewPattern(1, ops, pool, "", runtime.AssumeColonVerbOpt(false)))
}
