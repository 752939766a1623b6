package verify

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
)

// Handler serves the published epochs of a home, so that anybody can recompute
// them and claim for himself:
//
//	GET /v1/epochs/{vertical}/{epoch}                  the file, {epoch} may be "newest"
//	GET /v1/epochs/{vertical}/{epoch}/claims/{device}  the device's leaf and its proof
//
// Errors are JSON {"error", "code"}. The caller sets the server's timeouts.
func Handler(home string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/epochs/{vertical}/{epoch}", func(w http.ResponseWriter, r *http.Request) {
		path, err := publishedPath(home, r)
		if err != nil {
			refuse(w, err)
			return
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(raw)
	})
	mux.HandleFunc("GET /v1/epochs/{vertical}/{epoch}/claims/{device}", func(w http.ResponseWriter, r *http.Request) {
		path, err := publishedPath(home, r)
		if err != nil {
			refuse(w, err)
			return
		}
		claim, err := claimOf(path, r.PathValue("device"))
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusOK, claim)
	})
	return mux
}

// Claim is what a device needs to be paid: the arguments of a Claim message.
type Claim struct {
	Vertical string `json:"vertical"`
	Epoch    uint64 `json:"epoch,string"`
	Device   string `json:"device"`
	Lifetime uint64 `json:"lifetime_ugrain,string"`
	Proof    string `json:"proof"` // hex
}

func claimOf(path, device string) (Claim, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Claim{}, err
	}
	p, err := DecodePublished(raw)
	if err != nil {
		return Claim{}, err
	}
	id, err := deviceOf(device)
	if err != nil {
		return Claim{}, &badRequest{err}
	}
	tree, err := treeOf(p)
	if err != nil {
		return Claim{}, err
	}
	leaf, proof, err := tree.Prove(id)
	if err != nil {
		return Claim{}, fmt.Errorf("device %s earned nothing up to epoch %d: %w", device, p.Epoch, fs.ErrNotExist)
	}
	return Claim{p.Vertical, p.Epoch, device, leaf.Amount, hex.EncodeToString(proof.Encode())}, nil
}

// badRequest is an error that the client made.
type badRequest struct{ error }

// publishedPath is the file a request names. Nothing but a name of a vertical
// and a number gets into it.
func publishedPath(home string, r *http.Request) (string, error) {
	vertical := r.PathValue("vertical")
	for _, c := range []byte(vertical) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", &badRequest{fmt.Errorf("vertical %q: want a-z, 0-9 and -", vertical)}
		}
	}
	s := shelfOf(home, vertical)
	if r.PathValue("epoch") == "newest" {
		newest, err := s.newest()
		if err != nil {
			return "", err
		}
		return s.path(newest), nil
	}
	epoch, err := strconv.ParseUint(r.PathValue("epoch"), 10, 64)
	if err != nil {
		return "", &badRequest{fmt.Errorf("epoch %q: want a number or newest", r.PathValue("epoch"))}
	}
	return s.path(epoch), nil
}

// refuse answers with an error, without paths of this machine.
func refuse(w http.ResponseWriter, err error) {
	var bad *badRequest
	code, status, text := "internal", http.StatusInternalServerError, "the published epoch cannot be read: ask another verifier"
	switch {
	case errors.As(err, &bad):
		code, status, text = "bad_request", http.StatusBadRequest, bad.Error()
	case errors.Is(err, fs.ErrNotExist):
		code, status, text = "not_found", http.StatusNotFound, "not published here: ask for newest, or another verifier"
	}
	answer(w, status, map[string]string{"error": text, "code": code})
}

// answer writes JSON; a client that is gone meanwhile gets nothing.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
