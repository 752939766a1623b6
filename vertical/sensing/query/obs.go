package query

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// reading is a row and its kind.
type reading struct {
	kind string
	store.Row
}

func (h *handler) observations(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	how, err := parseHow(v.Get("agg"))
	if err != nil {
		return err
	}
	as, err := format(v, r.Header.Get("Accept"))
	if err != nil {
		return err
	}
	most := maxRaw
	if how != nil {
		most = maxSummed
	}
	q, err := h.request(r.PathValue("cell"), v, most)
	if err != nil {
		return err
	}
	if h.Store.Moving(q.Kind) {
		return errMoving(q.Kind)
	}
	if _, err := h.Till.Buyer(r.Context(), Token(r)); err != nil {
		return err // before any work
	}
	if how != nil {
		return h.summed(w, r, q, how, as)
	}
	return h.raw(w, r, q, as)
}

func (h *handler) raw(w http.ResponseWriter, r *http.Request, q store.Query, as string) error {
	prove := r.URL.Query().Get("proof") == "1"
	if prove && (as != "json" || h.Prover == nil) {
		return bad("proof=1: proofs come with format=json, from a gateway that publishes evidence")
	}
	rows, err := h.rows(r.Context(), q)
	if err != nil {
		return err
	}
	a := answer{Query: q, rows: rows}
	if prove {
		if a.proofs, err = h.proofs(r.Context(), rows); err != nil {
			return err
		}
	}
	sold := Rows{}
	for i := range rows {
		sold[rows[i].Device]++
	}
	if err := Pay(w, r, h.Till, sold); err != nil {
		return err
	}
	a.note = h.note(w, &q, len(rows))
	return a.write(w, as)
}

// rows are the single readings that a query selects, by time.
func (h *handler) rows(ctx context.Context, q store.Query) ([]reading, error) {
	var out []reading
	for f, err := range h.Store.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		if h.Store.Moving(f.Kind) {
			continue
		}
		if len(out) == MaxRows {
			return nil, tooMuch("more than %d rows: ask for a shorter time, a smaller cell, fewer variables, or agg=mean:1h", MaxRows)
		}
		out = append(out, reading{f.Kind, *f.Row})
	}
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return byTime(&out[a], &out[b]) })
	sorted := make([]reading, len(out))
	for i, k := range order {
		sorted[i] = out[k]
	}
	return sorted, nil
}

func byTime(a, b *reading) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), slices.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Counter, b.Counter))
}

// proofs are those of the batches of rows.
func (h *handler) proofs(ctx context.Context, rows []reading) (map[sensing.Hash]*Proof, error) {
	out := map[sensing.Hash]*Proof{}
	for i := range rows {
		hash := rows[i].Hash()
		if _, have := out[hash]; have {
			continue
		}
		if len(out) == maxProofs {
			return nil, tooMuch("rows of more than %d batches: ask for fewer to have them proven", maxProofs)
		}
		p, err := h.Prover.Prove(ctx, device.ID(rows[i].Device), rows[i].Counter, hash)
		if err != nil {
			return nil, err
		}
		out[hash] = p
	}
	return out, nil
}
