package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/grange-network/grange/vertical/storage/piece"
)

// Buckets of the index; integers are big endian.
var (
	bucketMeta        = []byte("meta")        // "version" → u64
	bucketPieces      = []byte("pieces")      // root → size u64
	bucketRefs        = []byte("refs")        // root ‖ lease → nothing
	bucketPending     = []byte("pending")     // lease ‖ root → Unix seconds u64 ‖ size u64
	bucketMembers     = []byte("members")     // lease ‖ root → revision that added it
	bucketRemoved     = []byte("removed")     // lease ‖ root ‖ revision that removed it → revision that added it
	bucketCommitments = []byte("commitments") // lease ‖ revision → 208 bytes
	bucketLanes       = []byte("lanes")       // lease ‖ lane u32 → receipt state

	allBuckets = [][]byte{bucketMeta, bucketPieces, bucketRefs, bucketPending, bucketMembers,
		bucketRemoved, bucketCommitments, bucketLanes}
)

const indexVersion = 1

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// recover prepares the index, compares it with the files and counts what is there.
func (s *Store) recover() error {
	if err := s.db.Update(prepare); err != nil {
		return err
	}
	if err := removeAll(s.path("tmp")); err != nil {
		return err
	}
	found, err := s.scanFiles()
	if err != nil {
		return err
	}
	return s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketPieces).ForEach(func(k, v []byte) error {
			root, size := piece.Root(k), int64(binary.BigEndian.Uint64(v))
			if found[root] != size+piece.OutboardSize(size) {
				s.lost = append(s.lost, root)
				s.opt.Log.Error("piece lost", "piece", root.String(), "bytes", size, "file_bytes", found[root])
			}
			s.used += size
			s.pieces++
			return nil
		})
	})
}

func prepare(tx *bolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	v := meta.Get([]byte("version"))
	if v == nil {
		return meta.Put([]byte("version"), u64(indexVersion))
	}
	if got := binary.BigEndian.Uint64(v); got != indexVersion {
		return fmt.Errorf("index has version %d, this program reads %d", got, indexVersion)
	}
	return nil
}

func removeAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// scanFiles returns the lengths of the piece files that the index names, and
// removes all others: uploads that were never acknowledged, or pieces whose removal
// was cut short.
func (s *Store) scanFiles() (map[piece.Root]int64, error) {
	found := map[piece.Root]int64{}
	err := filepath.WalkDir(s.path("pieces"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !s.indexed(d.Name()) {
			s.opt.Log.Info("removing unacknowledged piece", "file", path)
			return os.Remove(path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		root, _ := piece.ParseRoot(strings.ToLower(d.Name()))
		found[root] = info.Size()
		return nil
	})
	return found, err
}

// indexed reports whether the index has a piece of that file name.
func (s *Store) indexed(name string) bool {
	root, err := piece.ParseRoot(name)
	if err != nil {
		return false
	}
	_, ok := s.size(root)
	return ok
}

// size returns the size of a stored piece.
func (s *Store) size(root piece.Root) (size int64, ok bool) {
	_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
		size, ok = sizeIn(tx, root)
		return nil
	})
	return size, ok
}

func sizeIn(tx *bolt.Tx, root piece.Root) (int64, bool) {
	v := tx.Bucket(bucketPieces).Get(root[:])
	if v == nil {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(v)), true
}

// Holds returns the size of the piece, and whether the lease has it in any state.
func (s *Store) Holds(lease LeaseID, root piece.Root) (size int64, ok bool) {
	_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
		if tx.Bucket(bucketRefs).Get(join(root[:], lease[:])) != nil {
			size, ok = sizeIn(tx, root)
		}
		return nil
	})
	return size, ok
}

// keep reports whether the lease has the piece with a good file, and if so makes
// sure that it stays: a piece that was only waiting for its removal is pending
// again.
func (s *Store) keep(lease LeaseID, root piece.Root) (bool, error) {
	size, ok := s.Holds(lease, root)
	if !ok {
		return false, nil
	}
	if info, err := os.Stat(s.Path(root)); err != nil || info.Size() != size+piece.OutboardSize(size) {
		return false, nil // lost: take it again
	}
	if err := s.Check(root); errors.Is(err, ErrMismatch) {
		return false, nil // damaged: take it again
	}
	key := join(lease[:], root[:])
	var settled bool
	_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
		settled = tx.Bucket(bucketMembers).Get(key) != nil || tx.Bucket(bucketPending).Get(key) != nil
		return nil
	})
	if settled {
		return true, nil
	}
	kept := false
	err := s.apply(&change{do: func(tx *bolt.Tx) error {
		kept = tx.Bucket(bucketRefs).Get(join(root[:], lease[:])) != nil
		if !kept {
			return nil // the sweep was faster
		}
		return tx.Bucket(bucketPending).Put(key, s.stamp(size))
	}})
	return kept, err
}

// admit makes the received file the piece's and notes it as pending.
func (s *Store) admit(lease LeaseID, root piece.Root, size int64, tmp string) error {
	fresh := false
	return s.apply(&change{
		tmp: tmp, file: s.Path(root),
		do: func(tx *bolt.Tx) error {
			_, known := sizeIn(tx, root)
			fresh = !known
			if err := tx.Bucket(bucketPieces).Put(root[:], u64(uint64(size))); err != nil {
				return err
			}
			if err := tx.Bucket(bucketRefs).Put(join(root[:], lease[:]), []byte{}); err != nil {
				return err
			}
			key := join(lease[:], root[:])
			if tx.Bucket(bucketMembers).Get(key) != nil {
				return nil // a lost piece came back
			}
			return tx.Bucket(bucketPending).Put(key, s.stamp(size))
		},
		after: func() {
			if fresh {
				s.count(size, 1)
			}
		},
	})
}

func (s *Store) count(size int64, pieces int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += size
	s.pieces += pieces
}

// prefix yields the keys of the bucket that start with p. The bucket may not be
// changed meanwhile.
func prefix(b *bolt.Bucket, p []byte, f func(k, v []byte) error) error {
	c := b.Cursor()
	for k, v := c.Seek(p); k != nil && bytes.HasPrefix(k, p); k, v = c.Next() {
		if err := f(k, v); err != nil {
			return err
		}
	}
	return nil
}

func anyWith(b *bolt.Bucket, p []byte) bool {
	k, _ := b.Cursor().Seek(p)
	return k != nil && bytes.HasPrefix(k, p)
}

// SaveLane stores the state of a lane's receipts; it returns when it is durable.
func (s *Store) SaveLane(lease LeaseID, lane uint32, state []byte) error {
	key := binary.BigEndian.AppendUint32(lease[:], lane)
	return s.apply(&change{do: func(tx *bolt.Tx) error { return tx.Bucket(bucketLanes).Put(key, state) }})
}

// Lane returns what SaveLane stored last, nil when nothing.
func (s *Store) Lane(lease LeaseID, lane uint32) (state []byte) {
	key := binary.BigEndian.AppendUint32(lease[:], lane)
	_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
		state = bytes.Clone(tx.Bucket(bucketLanes).Get(key))
		return nil
	})
	return state
}

// Leases returns all leases of which anything is stored, in order.
func (s *Store) Leases() (leases []LeaseID) {
	seen := map[LeaseID]bool{}
	_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
		for _, name := range [][]byte{bucketPending, bucketMembers, bucketRemoved, bucketCommitments, bucketLanes} {
			c := tx.Bucket(name).Cursor()
			for k, _ := c.First(); k != nil; {
				lease := LeaseID(k[:32])
				seen[lease] = true
				next, more := successor(lease)
				if !more {
					break
				}
				k, _ = c.Seek(next[:])
			}
		}
		return nil
	})
	for l := range seen {
		leases = append(leases, l)
	}
	sortLeases(leases)
	return leases
}

// stamp is the value of a pending piece.
func (s *Store) stamp(size int64) []byte {
	return join(u64(uint64(s.opt.Now().Unix())), u64(uint64(size)))
}

// age returns how long ago a stored time was.
func (s *Store) age(v []byte) time.Duration {
	return s.opt.Now().Sub(time.Unix(int64(binary.BigEndian.Uint64(v)), 0))
}

// Has reports whether the piece is stored for any lease.
func (s *Store) Has(root piece.Root) bool {
	_, ok := s.size(root)
	return ok
}

// scanBatch is how many roots Pieces reads at a time: no transaction stays open
// while the caller works.
const scanBatch = 256

// Pieces yields the roots of all stored pieces in order. Pieces stored or removed
// meanwhile may or may not be among them.
func (s *Store) Pieces() iter.Seq[piece.Root] {
	return func(yield func(piece.Root) bool) {
		var next piece.Root
		for more := true; more; {
			var batch []piece.Root
			_ = s.db.View(func(tx *bolt.Tx) error { // fails only when closed: then nothing is held
				c := tx.Bucket(bucketPieces).Cursor()
				for k, _ := c.Seek(next[:]); k != nil && len(batch) < scanBatch; k, _ = c.Next() {
					batch = append(batch, piece.Root(k))
				}
				return nil
			})
			for _, r := range batch {
				if !yield(r) {
					return
				}
			}
			if more = len(batch) == scanBatch; more {
				var after LeaseID
				after, more = successor(LeaseID(batch[scanBatch-1]))
				next = piece.Root(after)
			}
		}
	}
}
