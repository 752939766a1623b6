package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/grange-network/grange/core/device"
)

// Errors of a Till. What they are wrapped in says what to do.
var (
	ErrNoLease = errors.New("no lease pays for this")
	ErrUnpaid  = errors.New("the lease's escrow does not cover this")
)

// Rows counts the rows of an answer by device.
type Rows map[device.ID]uint64

// Total is how many rows there are: the units that an answer costs.
func (r Rows) Total() (sum uint64) {
	for _, n := range r {
		sum += n
	}
	return sum
}

// Bill is what an answer cost.
type Bill struct {
	Lease string // its id
	Units uint64 // of this answer
	Sold  uint64 // of the lease in all, this answer's too
	Left  uint64 // that the escrow still covers
}

// Till takes the price of an answer before it is given. Its methods are safe for
// concurrent use.
type Till interface {
	// Buyer is who a token belongs to, or ErrNoLease.
	Buyer(ctx context.Context, token string) (buyer string, err error)
	// Charge makes a buyer owe each device for its rows, durably. ErrNoLease and
	// ErrUnpaid are for the buyer to read.
	Charge(ctx context.Context, buyer string, rows Rows) (Bill, error)
}

// Token is what a request shows: Bearer, the password of Basic, or ?token= for
// clients that can send nothing else.
func Token(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("token")
}

// Pay charges a request for rows and writes what it cost into the answer's
// header. Nothing costs nothing, but who asks must have a lease. HEAD asks for the
// price: it is told what GET would cost, and pays nothing.
func Pay(w http.ResponseWriter, r *http.Request, till Till, rows Rows) error {
	buyer, err := till.Buyer(r.Context(), Token(r))
	if err != nil {
		return err
	}
	price := rows.Total()
	if r.Method == http.MethodHead {
		rows = nil
	}
	bill, err := till.Charge(r.Context(), buyer, rows)
	if err != nil {
		return err
	}
	w.Header().Set("Grange-Lease", bill.Lease)
	w.Header().Set("Grange-Units", fmt.Sprint(price))
	w.Header().Set("Grange-Units-Left", fmt.Sprint(bill.Left))
	return nil
}
