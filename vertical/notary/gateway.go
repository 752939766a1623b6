package notary

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/tunnel"
)

// Stamp says that a device saw a hash at a time.
type Stamp struct {
	Hash      []byte `json:"sha256"`
	Time      int64  `json:"time"` // Unix seconds
	Device    []byte `json:"device_key"`
	Signature []byte `json:"signature"`
	Paid      uint64 `json:"paid_units"` // on the lane so far
}

// Valid checks the signature.
func (s Stamp) Valid() bool {
	return len(s.Hash) == 32 && len(s.Device) == 32 && ed25519.Verify(s.Device, message("stamp", [32]byte(s.Hash), s.Time), s.Signature)
}

// Lane is a lease's lane and who serves it.
type Lane struct {
	prepaid.Payer
	Notary tunnel.Target
}

// Gateway sells stamps over HTTP and pays notaries by receipts.
type Gateway struct {
	Lanes  []Lane
	Epoch  func(context.Context) (uint64, error)
	Dialer *tunnel.Dialer
	mu     sync.Mutex
	next   int
}

// ServeHTTP answers POST /stamp with a Stamp for the SHA-256 of the body. When
// one notary does not answer it asks the next.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, http.MaxBytesReader(w, r.Body, 1<<30)); err != nil || r.Method != http.MethodPost || r.URL.Path != "/stamp" {
		http.Error(w, "want POST /stamp with what is to be stamped as the body", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := errors.New("no notary has a lease")
	for range g.Lanes {
		g.next = (g.next + 1) % len(g.Lanes)
		var s Stamp
		if s, err = g.buy(r.Context(), &g.Lanes[g.next], [32]byte(h.Sum(nil))); err == nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s)
			return
		}
	}
	http.Error(w, fmt.Sprintf("no stamp: %v: try again", err), http.StatusBadGateway)
}

func (g *Gateway) buy(ctx context.Context, l *Lane, hash [32]byte) (s Stamp, err error) {
	epoch, err := g.Epoch(ctx)
	if err != nil {
		return s, err
	}
	paid, err := l.Pay(epoch, 1, hash) // on disk before it leaves
	if err != nil {
		return s, err
	}
	raw, err := g.Dialer.Call(ctx, l.Notary, "/stamp", append(paid.Encode(), hash[:]...), receipt.Size+8+64)
	if err != nil {
		return s, err
	}
	signed := raw[receipt.Size:]
	s = Stamp{hash[:], int64(binary.BigEndian.Uint64(signed)), l.Notary.Peer[:], signed[8:], paid.Units}
	if !s.Valid() {
		return s, fmt.Errorf("notary %x gave a stamp with a wrong signature", l.Notary.Peer)
	}
	return s, nil
}
