package beacon

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Seed is the randomness of one epoch.
type Seed [32]byte

// String is lower hex.
func (s Seed) String() string { return hex.EncodeToString(s[:]) }

// ErrDuplicate is wrapped when a set of reveals holds one signature twice.
var ErrDuplicate = errors.New("duplicate reveal")

// ErrEmpty is wrapped when a seed is to be decided by no reveal at all.
var ErrEmpty = errors.New("no reveal")

// Genesis is the seed before the first epoch of a chain. Everybody can compute
// it in advance: nothing is challenged with it.
func Genesis(chainID string) Seed {
	chain := sha256.Sum256([]byte(chainID))
	return Seed(sha256.Sum256(append(appendDomain(nil, "grange/seed-genesis/v1"), chain[:]...)))
}

// Next folds the reveals of an epoch into the previous seed:
//
//	sha256(domain ‖ epoch ‖ previous ‖ count ‖ signatures in byte order)
//
// Signatures are sorted here, so the order of arrival does not matter. The
// caller has verified each of them. It fails on an empty set and on a
// signature that occurs twice.
func Next(previous Seed, epoch uint64, reveals []Signature) (Seed, error) {
	if len(reveals) == 0 {
		return Seed{}, fmt.Errorf("decide seed of epoch %d: %w", epoch, ErrEmpty)
	}
	sorted := slices.Clone(reveals)
	slices.SortFunc(sorted, func(a, b Signature) int { return bytes.Compare(a[:], b[:]) })
	m := seedMessage("grange/seed/v1", previous, epoch)
	m = binary.BigEndian.AppendUint32(m, uint32(len(sorted)))
	for i, s := range sorted {
		if i > 0 && s == sorted[i-1] {
			return Seed{}, fmt.Errorf("decide seed of epoch %d: signature %x: %w", epoch, s[:8], ErrDuplicate)
		}
		m = append(m, s[:]...)
	}
	return sha256.Sum256(m), nil
}

// Neutral is the seed of an epoch whose reveals reached no quorum: the previous
// one hashed again. It is known in advance, so nobody may be faulted on it.
func Neutral(previous Seed, epoch uint64) Seed {
	return sha256.Sum256(seedMessage("grange/seed-neutral/v1", previous, epoch))
}

func seedMessage(domain string, previous Seed, epoch uint64) []byte {
	m := appendDomain(make([]byte, 0, domainSize+8+len(previous)+4), domain)
	m = binary.BigEndian.AppendUint64(m, epoch)
	return append(m, previous[:]...)
}
