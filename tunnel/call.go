package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Call posts a small message to path at a target and returns its answer, which
// must have exactly size bytes. What Answers refuses comes back as an error with
// its text.
func (d *Dialer) Call(ctx context.Context, to Target, path string, message []byte, size int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://peer"+path, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Transport{DialContext: d.DialContext(to), DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, int64(max(size+1, 1<<10))))
	if err == nil && (answer.StatusCode != http.StatusOK || len(raw) != size) {
		err = fmt.Errorf("call %s at %x: answered %s with %d bytes, want %d: %.200q", path, to.Peer, answer.Status, len(raw), size, raw)
	}
	return raw, err
}

// Answers serves Call: each path has a function from a message of at most limit
// bytes to the answer. PeerKey tells it who calls.
func Answers(limit int64, paths map[string]func(context.Context, []byte) ([]byte, error)) http.Handler {
	mux := http.NewServeMux()
	for path, answer := range paths {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
			if err == nil {
				raw, err = answer(r.Context(), raw)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			_, _ = w.Write(raw)
		})
	}
	return mux
}
