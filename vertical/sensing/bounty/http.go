package bounty

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// maxTerms bounds a request, in bytes.
const maxTerms = 4 << 10

// Handler serves /v1/bounties: what is wanted, to everybody; to a buyer, by the
// token of his lease, his own.
func (k *Book) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"GET /v1/bounties":               k.list,
		"POST /v1/bounties":              k.place,
		"GET /v1/bounties/{id}":          k.show,
		"DELETE /v1/bounties/{id}":       k.end,
		"GET /v1/bounties/{id}/{number}": k.object,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				fail(w, err)
			}
		})
	}
	return mux
}

func fail(w http.ResponseWriter, err error) {
	status, code := query.Status(err), "unavailable"
	switch {
	case errors.Is(err, ErrTerms):
		status, code = http.StatusBadRequest, "bad_request"
	case errors.Is(err, ErrUnknown), errors.Is(err, facts.ErrUnknown):
		status, code = http.StatusNotFound, "not_found"
	case status == http.StatusPaymentRequired:
		code = "payment_required"
	}
	write(w, status, map[string]string{"error": err.Error(), "code": code})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// list writes a buyer's bounties with ?mine=1, else those that are open.
func (k *Book) list(w http.ResponseWriter, r *http.Request) error {
	buyer := ""
	if r.URL.Query().Get("mine") == "1" {
		var err error
		if buyer, err = k.cfg.Till.Buyer(r.Context(), query.Token(r)); err != nil {
			return err
		}
	}
	write(w, http.StatusOK, map[string]any{"bounties": k.List(buyer)})
	return nil
}

func (k *Book) place(w http.ResponseWriter, r *http.Request) error {
	buyer, err := k.cfg.Till.Buyer(r.Context(), query.Token(r))
	if err != nil {
		return err
	}
	var t Terms
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTerms))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return fmt.Errorf("%w: %w", ErrTerms, err)
	}
	b, err := k.Place(buyer, t)
	if err != nil {
		return err
	}
	write(w, http.StatusCreated, b)
	return nil
}

func (k *Book) show(w http.ResponseWriter, r *http.Request) error {
	return k.own(w, r, k.Get)
}

func (k *Book) end(w http.ResponseWriter, r *http.Request) error {
	return k.own(w, r, k.End)
}

// own answers with what f does to a buyer's bounty.
func (k *Book) own(w http.ResponseWriter, r *http.Request, f func(buyer, id string) (Bounty, error)) error {
	buyer, err := k.cfg.Till.Buyer(r.Context(), query.Token(r))
	if err != nil {
		return err
	}
	b, err := f(buyer, r.PathValue("id"))
	if err != nil {
		return err
	}
	write(w, http.StatusOK, b)
	return nil
}

// object writes what was bought; it is paid.
func (k *Book) object(w http.ResponseWriter, r *http.Request) error {
	buyer, err := k.cfg.Till.Buyer(r.Context(), query.Token(r))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return fmt.Errorf("%w: number %.20q", ErrUnknown, r.PathValue("number"))
	}
	data, media, err := k.Object(r.Context(), buyer, r.PathValue("id"), n)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(data) // the client may be gone
	return nil
}
