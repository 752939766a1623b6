package notary

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

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

// Gateway sells stamps over HTTP and pays notaries by receipts.
type Gateway struct {
	Pool     prepaid.Pool
	Notaries []tunnel.Target // one for each of the pool's payers
	Epoch    func(context.Context) (uint64, error)
	Dialer   *tunnel.Dialer
}

// ServeHTTP answers POST /stamp with a Stamp for the SHA-256 of the body.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, http.MaxBytesReader(w, r.Body, 1<<30)); err != nil || r.Method != http.MethodPost || r.URL.Path != "/stamp" {
		http.Error(w, "want POST /stamp with what is to be stamped as the body", http.StatusBadRequest)
		return
	}
	s, err := g.buy(r.Context(), [32]byte(h.Sum(nil)))
	if err != nil {
		http.Error(w, fmt.Sprintf("no stamp: %v: try again", err), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s)
}

func (g *Gateway) buy(ctx context.Context, hash [32]byte) (s Stamp, err error) {
	epoch, err := g.Epoch(ctx)
	if err != nil {
		return s, err
	}
	err = g.Pool.Buy(epoch, 1, hash, func(i int, paid receipt.Receipt) error {
		raw, err := g.Dialer.Call(ctx, g.Notaries[i], "/stamp", append(paid.Encode(), hash[:]...), receipt.Size+8+64)
		if err != nil {
			return err
		}
		signed := raw[receipt.Size:]
		s = Stamp{hash[:], int64(binary.BigEndian.Uint64(signed)), g.Notaries[i].Peer[:], signed[8:], paid.Units}
		if !s.Valid() {
			return fmt.Errorf("notary %x gave a stamp with a wrong signature", s.Device)
		}
		return nil
	})
	return s, err
}
