package proof

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// MaxChallenges bounds the challenges of one device and epoch.
const MaxChallenges = 256

const labelChallenge = "grange/storage/challenge/v1"

// Head is what the ledger knows of one lease: the commitment in force at the
// epoch's start.
type Head struct {
	Lease [32]byte
	Root  [32]byte
	Units uint64 // bytes committed
}

// Challenge selects one byte: Offset of the set of heads[Head].
type Challenge struct {
	Head   int
	Offset uint64
}

// Challenges returns c challenges for the device, uniform over all bytes of all
// heads. It returns none when the heads hold no bytes, and at most MaxChallenges.
// The order of heads counts: the ledger and the provider both sort by lease.
func Challenges(seed, device [32]byte, heads []Head, c int) []Challenge {
	var total u128
	for _, h := range heads {
		total = total.add(h.Units)
	}
	if total == (u128{}) {
		return nil
	}
	out := make([]Challenge, 0, min(max(c, 0), MaxChallenges))
	for i := range min(c, MaxChallenges) {
		out = append(out, locate(heads, draw(seed, device, uint32(i), total)))
	}
	return out
}

// u128 is an unsigned 128-bit integer: the sum of any number of heads fits.
type u128 struct{ hi, lo uint64 }

func (a u128) add(b uint64) u128 {
	lo, carry := bits.Add64(a.lo, b, 0)
	return u128{a.hi + carry, lo}
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// dec returns a−1 for a > 0.
func (a u128) dec() u128 {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return u128{a.hi - borrow, lo}
}

// mask returns the smallest 2^k−1 that is not below a.
func (a u128) mask() u128 {
	if a.hi != 0 {
		return u128{^uint64(0) >> bits.LeadingZeros64(a.hi), ^uint64(0)}
	}
	return u128{0, ^uint64(0) >> bits.LeadingZeros64(a.lo)}
}

// draw returns a number uniform in 0..total−1. Each try succeeds with probability
// above one half.
func draw(seed, device [32]byte, index uint32, total u128) u128 {
	mask := total.dec().mask()
	for try := uint32(0); ; try++ {
		mac := hmac.New(sha256.New, seed[:])
		mac.Write([]byte(labelChallenge))
		mac.Write(device[:])
		var n [8]byte
		binary.BigEndian.PutUint32(n[:4], index)
		binary.BigEndian.PutUint32(n[4:], try)
		mac.Write(n[:])
		sum := mac.Sum(nil)
		x := u128{binary.BigEndian.Uint64(sum) & mask.hi, binary.BigEndian.Uint64(sum[8:]) & mask.lo}
		if x.less(total) {
			return x
		}
	}
}

// locate maps byte x of all heads laid end to end to its head; x is below their sum.
func locate(heads []Head, x u128) Challenge {
	for i, h := range heads {
		if x.hi == 0 && x.lo < h.Units {
			return Challenge{Head: i, Offset: x.lo}
		}
		lo, borrow := bits.Sub64(x.lo, h.Units, 0)
		x = u128{x.hi - borrow, lo}
	}
	panic("locate a byte beyond the heads")
}
