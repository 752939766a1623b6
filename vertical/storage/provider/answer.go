package provider

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/provider/store"
)

// Headers of the API.
const (
	// HeaderReceipt carries the 220 bytes of a receipt in base64.
	HeaderReceipt = "Grange-Receipt"
	// HeaderSize carries a piece's length in bytes.
	HeaderSize = "Grange-Piece-Size"
)

// Codes of refusals.
const (
	CodeBadRequest   = "bad_request"
	CodeUnknownLease = "unknown_lease"
	CodeNotAllowed   = "not_allowed"
	CodeLeaseState   = "lease_not_open"
	CodeReceiptDue   = "receipt_due"
	CodeLaneSpent    = "lane_spent"
	CodeLaneExpired  = "lane_expired"
	CodeNotFound     = "not_found"
	CodeStale        = "stale"
	CodeDiffers      = "set_differs"
	CodeMissing      = "pieces_missing"
	CodeWrongRoot    = "wrong_root"
	CodeTooLarge     = "too_large"
	CodeFull         = "full"
	CodeBadSignature = "bad_signature"
	CodeUnavailable  = "unavailable"
	CodeInternal     = "internal"
)

// refusal is an answer other than success. It is an error so that handlers return
// it.
type refusal struct {
	status int
	code   string
	err    error
	fields map[string]any // further fields of the JSON
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, err: fmt.Errorf(format, args...)}
}

// classify turns the errors of the layers below into answers.
func classify(err error) *refusal {
	var r *refusal
	var due *dueError
	var tooLong *http.MaxBytesError
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &due):
		return &refusal{http.StatusPaymentRequired, CodeReceiptDue, err, map[string]any{
			"units_served": due.meter.Served, "units_paid": due.meter.Paid,
			"window": due.meter.Window, "available": due.meter.Available,
		}}
	case errors.As(err, &tooLong):
		return &refusal{http.StatusRequestEntityTooLarge, CodeTooLarge, err, nil}
	case is(receipt.ErrCap):
		return &refusal{http.StatusPaymentRequired, CodeLaneSpent, err, nil}
	case is(receipt.ErrExpired):
		return &refusal{http.StatusPaymentRequired, CodeLaneExpired, err, nil}
	case is(receipt.ErrStale):
		return &refusal{http.StatusConflict, CodeStale, err, nil}
	case is(receipt.ErrPayerSignature), is(receipt.ErrWrongLane), is(receipt.ErrAhead):
		return &refusal{http.StatusForbidden, CodeBadSignature, err, nil}
	case is(store.ErrMismatch), is(piece.ErrInvalid):
		return &refusal{http.StatusUnprocessableEntity, CodeWrongRoot, err, nil}
	case is(store.ErrFull):
		return &refusal{http.StatusInsufficientStorage, CodeFull, err, nil}
	case is(store.ErrMissing):
		return &refusal{http.StatusNotFound, CodeNotFound, err, nil}
	case is(ErrNoLease):
		return &refusal{http.StatusForbidden, CodeUnknownLease, err, nil}
	}
	return &refusal{http.StatusInternalServerError, CodeInternal, err, nil}
}

func (r *refusal) write(w http.ResponseWriter) {
	body := map[string]any{"error": r.err.Error(), "code": r.code}
	for k, v := range r.fields {
		body[k] = v
	}
	writeJSON(w, r.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

func hexOf(b [32]byte) string { return hex.EncodeToString(b[:]) }

// setReceipt puts a receipt with both signatures into the answer's header.
func setReceipt(h http.Header, r receipt.Receipt) {
	if r.Seq > 0 {
		h.Set(HeaderReceipt, base64.StdEncoding.EncodeToString(r.Encode()))
	}
}

// receiptOf reads the request's receipt header; nil when there is none.
func receiptOf(h http.Header) (*receipt.Receipt, error) {
	v := h.Get(HeaderReceipt)
	if v == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(v)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, CodeBadRequest, "read header %s: %w", HeaderReceipt, err)
	}
	r, err := receipt.Decode(b)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, CodeBadRequest, "read header %s: %w", HeaderReceipt, err)
	}
	return &r, nil
}
