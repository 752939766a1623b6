package receipt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// Lengths in bytes of an encoded receipt, of the part the payer signs and of
// the part the provider signs.
const (
	Size       = payerPart + 2*SignatureSize
	bodyPart   = 32 + 4 + 8 + 8 + 8 + 32
	payerPart  = bodyPart
	signedPart = bodyPart + SignatureSize
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrStale is a receipt that is not newer than the one already held. It
	// pays nothing and is no sign of fraud: messages repeat and overtake.
	ErrStale = errors.New("receipt is not newer")
	// ErrWrongLane is a receipt of another lease or lane.
	ErrWrongLane = errors.New("receipt is of another lane")
	// ErrExpired is a receipt or request after the lane's last epoch.
	ErrExpired = errors.New("lane has expired")
	// ErrCap is a receipt or request beyond the lane's cap.
	ErrCap = errors.New("lane cap is reached")
)

// Chain binds signatures to one ledger: the SHA-256 of its chain id.
type Chain [32]byte

// ChainOf returns the Chain of a chain id such as "grange-local-1".
func ChainOf(id string) Chain { return sha256.Sum256([]byte(id)) }

// Receipt states that the payer owes for Units units served on a lane so far.
// It is a value: copying it copies the signatures.
type Receipt struct {
	Lease    [32]byte // id of the lease on the ledger
	Lane     uint32   // lane within the lease
	Seq      uint64   // counts the lane's receipts from 1
	Units    uint64   // cumulative, in the offer's metered unit
	Epoch    uint64   // ledger epoch in which the payer signed
	Evidence [32]byte // Merkle root over what was delivered, see Payer.Delivered

	PayerSig    Signature // by the lane's session key
	ProviderSig Signature // by the provider's device key; zero until countersigned
}

// Encode returns the 220 bytes of the wire format.
func (r Receipt) Encode() []byte {
	b := r.appendBody(make([]byte, 0, Size))
	b = append(b, r.PayerSig[:]...)
	return append(b, r.ProviderSig[:]...)
}

// Decode reads exactly Size bytes. Any 220 bytes are a receipt in form; only
// the Verify methods say whether it is worth anything.
func Decode(b []byte) (Receipt, error) {
	if len(b) != Size {
		return Receipt{}, fmt.Errorf("decode receipt: length %d, want %d", len(b), Size)
	}
	return Receipt{
		Lease:       [32]byte(b[0:32]),
		Lane:        binary.BigEndian.Uint32(b[32:36]),
		Seq:         binary.BigEndian.Uint64(b[36:44]),
		Units:       binary.BigEndian.Uint64(b[44:52]),
		Epoch:       binary.BigEndian.Uint64(b[52:60]),
		Evidence:    [32]byte(b[60:92]),
		PayerSig:    Signature(b[92:156]),
		ProviderSig: Signature(b[156:220]),
	}, nil
}

func (r Receipt) appendBody(b []byte) []byte {
	b = append(b, r.Lease[:]...)
	b = binary.BigEndian.AppendUint32(b, r.Lane)
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, r.Units)
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	return append(b, r.Evidence[:]...)
}

// Amount is what the receipt owes since the lane was opened: floor(units ×
// price), at most limit. A product that exceeds 64 bits is limit as well.
func (r Receipt) Amount(price money.Price, limit money.Credit) (money.Credit, error) {
	if err := price.Valid(); err != nil {
		return 0, fmt.Errorf("price receipt of lease %x lane %d: %w", r.Lease, r.Lane, err)
	}
	owed, err := price.Of(r.Units)
	if err != nil {
		return limit, nil // Valid leaves overflow as the only error
	}
	return min(owed, limit), nil
}

// Supersedes returns nil when r replaces prev: the same lane, a higher seq, more
// units, and an epoch no earlier. A replay, a reordered or a downgraded receipt
// is ErrStale. Signatures are not looked at.
//
// A zero prev stands for none: any receipt of seq and units at least 1
// supersedes it.
func (r Receipt) Supersedes(prev Receipt) error {
	if prev.Seq != 0 && (r.Lease != prev.Lease || r.Lane != prev.Lane) {
		return fmt.Errorf("replace receipt of lease %x lane %d by one of lease %x lane %d: %w",
			prev.Lease, prev.Lane, r.Lease, r.Lane, ErrWrongLane)
	}
	if r.Seq <= prev.Seq || r.Units <= prev.Units || r.Epoch < prev.Epoch {
		return fmt.Errorf("replace receipt of lease %x lane %d: seq %d units %d epoch %d after seq %d units %d epoch %d: %w",
			r.Lease, r.Lane, r.Seq, r.Units, r.Epoch, prev.Seq, prev.Units, prev.Epoch, ErrStale)
	}
	return nil
}
