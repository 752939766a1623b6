package ingest

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/grange-network/grange/vertical/sensing"
)

// answer is what a sender gets.
type answer struct {
	Device    string `json:"device,omitempty"`
	Counter   uint64 `json:"counter,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Seq       uint64 `json:"seq,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Error     string `json:"error,omitempty"`
	Code      string `json:"code,omitempty"`
}

// Handler serves POST /v1/observations with a signed batch as the body: 201 with
// the receipt, 200 when the batch was there before, or an error with its reason.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/observations", s.post)
	return mux
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, sensing.MaxBatch))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		write(w, http.StatusRequestEntityTooLarge, answer{Error: "batch is too large: send at most 48 KiB, split it", Code: "too_large"})
		return
	case err != nil:
		write(w, http.StatusBadRequest, answer{Error: "read body: " + err.Error(), Code: "malformed"})
		return
	}
	rec, err := s.Accept(r.Context(), raw)
	if err != nil {
		status, code := Reason(err)
		write(w, status, answer{Error: err.Error(), Code: code})
		return
	}
	status := http.StatusCreated
	if rec.Duplicate {
		status = http.StatusOK
	}
	write(w, status, answer{Device: rec.Device.String(), Counter: rec.Counter, Hash: hex.EncodeToString(rec.Hash[:]), Seq: rec.Seq, Duplicate: rec.Duplicate})
}

// Reason returns the HTTP status and the short code of an error of Accept.
func Reason(err error) (status int, code string) {
	switch {
	case errors.Is(err, sensing.ErrMalformed):
		return http.StatusBadRequest, "malformed"
	case errors.Is(err, sensing.ErrSignature):
		return http.StatusForbidden, "signature"
	case errors.Is(err, ErrUnknown):
		return http.StatusForbidden, "unknown_device"
	case errors.Is(err, ErrTime):
		return http.StatusUnprocessableEntity, "time"
	case errors.Is(err, ErrNoKind):
		return http.StatusUnprocessableEntity, "no_kind"
	case errors.Is(err, ErrReplay):
		return http.StatusConflict, "replay"
	case errors.Is(err, ErrFork):
		return http.StatusConflict, "fork"
	case errors.Is(err, ErrRate):
		return http.StatusTooManyRequests, "rate"
	}
	return http.StatusServiceUnavailable, "unavailable"
}

func write(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the client may be gone
}
