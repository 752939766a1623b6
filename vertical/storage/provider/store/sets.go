package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// ErrUnknownSet is wrapped when no commitment of the lease has the root asked for.
var ErrUnknownSet = errors.New("no commitment with this root")

// Set returns the set of the lease's newest commitment; empty when there is none.
func (s *Store) Set(lease LeaseID) (proof.Set, error) {
	c, _ := s.Commitment(lease)
	return s.version(lease, c.Revision)
}

// SetAt returns the set of the lease's commitment that has the given root.
func (s *Store) SetAt(lease LeaseID, root [32]byte) (proof.Set, error) {
	revision, found := uint64(0), root == [32]byte{}
	_ = s.db.View(func(tx *bolt.Tx) error {
		return prefix(tx.Bucket(bucketCommitments), lease[:], func(k, v []byte) error {
			if c, err := receipt.DecodeCommitment(v); err == nil && c.Root == root {
				revision, found = c.Revision, true
			}
			return nil
		})
	})
	if !found {
		return proof.Set{}, fmt.Errorf("find set %x of lease %x: %w", root, lease, ErrUnknownSet)
	}
	return s.version(lease, revision)
}

// version returns the set as of a revision, from memory or from the index.
func (s *Store) version(lease LeaseID, revision uint64) (proof.Set, error) {
	s.mu.Lock()
	set, ok := s.sets[lease][revision]
	s.mu.Unlock()
	if ok {
		return set, nil
	}
	set, err := s.load(lease, revision)
	if err != nil {
		return proof.Set{}, err
	}
	s.remember(lease, revision, set)
	return set, nil
}

func (s *Store) remember(lease LeaseID, revision uint64, set proof.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets[lease] == nil {
		s.sets[lease] = map[uint64]proof.Set{}
	}
	s.sets[lease][revision] = set
}

// load rebuilds a set from the pieces that were in it at the revision.
func (s *Store) load(lease LeaseID, revision uint64) (proof.Set, error) {
	var pieces []proof.Piece
	err := s.db.View(func(tx *bolt.Tx) error {
		add := func(root piece.Root) error {
			size, ok := sizeIn(tx, root)
			if !ok {
				return fmt.Errorf("piece %v: %w", root, ErrMissing)
			}
			pieces = append(pieces, proof.Piece{Root: root, Size: size})
			return nil
		}
		err := prefix(tx.Bucket(bucketMembers), lease[:], func(k, v []byte) error {
			if binary.BigEndian.Uint64(v) > revision {
				return nil
			}
			return add(piece.Root(k[32:]))
		})
		if err != nil {
			return err
		}
		return prefix(tx.Bucket(bucketRemoved), lease[:], func(k, v []byte) error {
			removed, added := binary.BigEndian.Uint64(k[64:]), binary.BigEndian.Uint64(v)
			if added > revision || removed <= revision {
				return nil
			}
			return add(piece.Root(k[32:64]))
		})
	})
	if err != nil {
		return proof.Set{}, fmt.Errorf("load set of lease %x revision %d: %w", lease, revision, err)
	}
	return proof.NewSet(pieces)
}

// Commitment returns the lease's newest commitment, and whether there is one.
func (s *Store) Commitment(lease LeaseID) (newest receipt.Commitment, ok bool) {
	_ = s.db.View(func(tx *bolt.Tx) error {
		newest, ok = newestIn(tx, lease)
		return nil
	})
	return newest, ok
}

// newestIn finds the last key of the lease: revisions are in order.
func newestIn(tx *bolt.Tx, lease LeaseID) (receipt.Commitment, bool) {
	c := tx.Bucket(bucketCommitments).Cursor()
	end := join(lease[:], u64(^uint64(0)))
	k, v := c.Seek(end)
	switch {
	case k == nil:
		k, v = c.Last()
	case !bytes.Equal(k, end):
		k, v = c.Prev()
	}
	if k == nil || !bytes.HasPrefix(k, lease[:]) {
		return receipt.Commitment{}, false
	}
	newest, err := receipt.DecodeCommitment(v)
	return newest, err == nil
}

// Commit records a commitment that both sides signed and the set it names, which
// differs from the set of the newest commitment by the added and removed pieces. It
// returns when that is durable. It fails, changing nothing, when the revision is not
// newer, when set does not have the commitment's root, or with ErrMissing when an
// added piece is not stored for the lease.
func (s *Store) Commit(c receipt.Commitment, set proof.Set, added, removed []piece.Root) error {
	if set.Root() != c.Root || set.Units() != c.Units {
		return fmt.Errorf("commit lease %x revision %d: set has root %x and %d bytes, commitment %x and %d",
			c.Lease, c.Revision, set.Root(), set.Units(), c.Root, c.Units)
	}
	return s.apply(&change{
		do: func(tx *bolt.Tx) error {
			if newest, _ := newestIn(tx, c.Lease); c.Revision <= newest.Revision {
				return fmt.Errorf("commit lease %x: revision %d after %d", c.Lease, c.Revision, newest.Revision)
			}
			for _, root := range added {
				if err := addMember(tx, c.Lease, root, c.Revision); err != nil {
					return err
				}
			}
			for _, root := range removed {
				if err := removeMember(tx, c.Lease, root, c.Revision); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketCommitments).Put(join(c.Lease[:], u64(c.Revision)), c.Encode())
		},
		after: func() { s.remember(c.Lease, c.Revision, set) },
	})
}

func addMember(tx *bolt.Tx, lease LeaseID, root piece.Root, revision uint64) error {
	if tx.Bucket(bucketRefs).Get(join(root[:], lease[:])) == nil {
		return fmt.Errorf("add piece %v to lease %x: %w", root, lease, ErrMissing)
	}
	key := join(lease[:], root[:])
	if err := tx.Bucket(bucketPending).Delete(key); err != nil {
		return err
	}
	return tx.Bucket(bucketMembers).Put(key, u64(revision))
}

func removeMember(tx *bolt.Tx, lease LeaseID, root piece.Root, revision uint64) error {
	key := join(lease[:], root[:])
	added := bytes.Clone(tx.Bucket(bucketMembers).Get(key))
	if added == nil {
		return fmt.Errorf("remove piece %v from lease %x: %w", root, lease, ErrMissing)
	}
	if err := tx.Bucket(bucketMembers).Delete(key); err != nil {
		return err
	}
	return tx.Bucket(bucketRemoved).Put(join(key, u64(revision)), added)
}

// Pending returns the bytes stored for the lease and not in its newest commitment's
// set nor removed from it.
func (s *Store) Pending(lease LeaseID) (total int64) {
	_ = s.db.View(func(tx *bolt.Tx) error {
		return prefix(tx.Bucket(bucketPending), lease[:], func(_, v []byte) error {
			total += int64(binary.BigEndian.Uint64(v[8:]))
			return nil
		})
	})
	return total
}

// Retire forgets what the ledger can no longer ask for, because the commitment in
// force has the given revision: pieces removed up to then, and older commitments.
// It returns the number of piece files removed.
func (s *Store) Retire(lease LeaseID, revision uint64) (int, error) {
	due := func(tx *bolt.Tx) (keys, commitments [][]byte) {
		_ = prefix(tx.Bucket(bucketRemoved), lease[:], func(k, _ []byte) error {
			if binary.BigEndian.Uint64(k[64:]) <= revision {
				keys = append(keys, bytes.Clone(k))
			}
			return nil
		})
		_ = prefix(tx.Bucket(bucketCommitments), lease[:], func(k, _ []byte) error {
			if binary.BigEndian.Uint64(k[32:]) < revision {
				commitments = append(commitments, bytes.Clone(k))
			}
			return nil
		})
		return keys, commitments
	}
	return s.drop(lease, func(tx *bolt.Tx) ([]piece.Root, error) {
		keys, commitments := due(tx)
		for _, k := range commitments {
			if err := tx.Bucket(bucketCommitments).Delete(k); err != nil {
				return nil, err
			}
		}
		return deleteKeys(tx.Bucket(bucketRemoved), keys)
	}, func() { s.forgetBefore(lease, revision) }, func(tx *bolt.Tx) bool {
		keys, commitments := due(tx)
		return len(keys)+len(commitments) > 0
	})
}

// Expire removes the lease's pieces that have been pending for longer than age. It
// returns the number of piece files removed.
func (s *Store) Expire(lease LeaseID, age time.Duration) (int, error) {
	due := func(tx *bolt.Tx) (keys [][]byte) {
		_ = prefix(tx.Bucket(bucketPending), lease[:], func(k, v []byte) error {
			if s.age(v) > age {
				keys = append(keys, bytes.Clone(k))
			}
			return nil
		})
		return keys
	}
	return s.drop(lease, func(tx *bolt.Tx) ([]piece.Root, error) {
		return deleteKeys(tx.Bucket(bucketPending), due(tx))
	}, nil, func(tx *bolt.Tx) bool { return len(due(tx)) > 0 })
}

// Forget removes all that is stored for a lease: it is closed.
func (s *Store) Forget(lease LeaseID) (int, error) {
	return s.drop(lease, func(tx *bolt.Tx) (roots []piece.Root, err error) {
		for _, name := range [][]byte{bucketPending, bucketMembers, bucketRemoved, bucketCommitments, bucketLanes} {
			var keys [][]byte
			_ = prefix(tx.Bucket(name), lease[:], func(k, _ []byte) error {
				keys = append(keys, bytes.Clone(k))
				return nil
			})
			if len(keys) > 0 && len(keys[0]) < 64 { // commitments and lanes name no piece
				for _, k := range keys {
					if err := tx.Bucket(name).Delete(k); err != nil {
						return nil, err
					}
				}
				continue
			}
			more, err := deleteKeys(tx.Bucket(name), keys)
			if err != nil {
				return nil, err
			}
			roots = append(roots, more...)
		}
		return roots, nil
	}, func() { s.forgetBefore(lease, ^uint64(0)) }, nil)
}

// deleteKeys deletes keys that start with lease ‖ root and returns the roots.
func deleteKeys(b *bolt.Bucket, keys [][]byte) (roots []piece.Root, err error) {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return nil, err
		}
		roots = append(roots, piece.Root(k[32:64]))
	}
	return roots, nil
}

// drop runs a deletion and removes the files of pieces that no lease has any more.
// Files go after the commit: a crash between leaves a file without an entry, which
// Open removes. needed, when set, saves the commit when there is nothing to do.
func (s *Store) drop(lease LeaseID, del func(tx *bolt.Tx) ([]piece.Root, error), after func(), needed func(tx *bolt.Tx) bool) (int, error) {
	if needed != nil {
		todo := false
		_ = s.db.View(func(tx *bolt.Tx) error { todo = needed(tx); return nil })
		if !todo {
			return 0, nil
		}
	}
	var gone []piece.Root
	var freed int64
	err := s.apply(&change{
		do: func(tx *bolt.Tx) error {
			gone, freed = nil, 0
			roots, err := del(tx)
			if err != nil {
				return err
			}
			for _, root := range roots {
				size, last, err := unreference(tx, lease, root)
				if err != nil {
					return err
				}
				if last {
					gone, freed = append(gone, root), freed+size
				}
			}
			return nil
		},
		after: func() {
			s.count(-freed, -len(gone))
			for _, root := range gone {
				os.Remove(s.Path(root))
			}
			if after != nil {
				after()
			}
		},
	})
	return len(gone), err
}

// unreference deletes the lease's reference to the piece when no state of it is
// left, and the piece when that was the last one.
func unreference(tx *bolt.Tx, lease LeaseID, root piece.Root) (size int64, last bool, err error) {
	key := join(lease[:], root[:])
	refs := tx.Bucket(bucketRefs)
	ref := join(root[:], lease[:])
	if tx.Bucket(bucketPending).Get(key) != nil || tx.Bucket(bucketMembers).Get(key) != nil ||
		anyWith(tx.Bucket(bucketRemoved), key) || refs.Get(ref) == nil {
		return 0, false, nil
	}
	if err := refs.Delete(ref); err != nil {
		return 0, false, err
	}
	if anyWith(refs, root[:]) {
		return 0, false, nil
	}
	size, _ = sizeIn(tx, root)
	return size, true, tx.Bucket(bucketPieces).Delete(root[:])
}

// forgetBefore drops remembered sets older than the revision.
func (s *Store) forgetBefore(lease LeaseID, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.sets[lease] {
		if r < revision {
			delete(s.sets[lease], r)
		}
	}
	if len(s.sets[lease]) == 0 {
		delete(s.sets, lease)
	}
}

func successor(lease LeaseID) (LeaseID, bool) {
	for i := len(lease) - 1; i >= 0; i-- {
		lease[i]++
		if lease[i] != 0 {
			return lease, true
		}
	}
	return lease, false
}

func sortLeases(l []LeaseID) {
	slices.SortFunc(l, func(a, b LeaseID) int { return bytes.Compare(a[:], b[:]) })
}
