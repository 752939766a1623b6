package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grange-network/grange/vertical/storage/piece"
)

// store is the engine's durable state, one bbolt file:
//
//	segments     segment id            → Segment
//	pieces       lease id ‖ root       → holding
//	leases       lease id              → leaseRecord (JSON)
//	openings     session public key    → openingRecord (JSON): Accept under way
//	payers       lease id              → state of the receipt machine
//	commitments  lease id              → last commitment signed by both
//	pending      lease id              → commitment sent and not answered (JSON)
//
// A segment is acknowledged by the transaction that writes its segments entry
// and turns its pieces from markPut to markAdd.
type store struct{ db *bbolt.DB }

var (
	bucketSegments    = []byte("segments")
	bucketPieces      = []byte("pieces")
	bucketLeases      = []byte("leases")
	bucketOpenings    = []byte("openings")
	bucketPayers      = []byte("payers")
	bucketCommitments = []byte("commitments")
	bucketPending     = []byte("pending")
	bucketMeta        = []byte("meta")
)

var keyVersion = []byte("version")

const storeVersion = "1"

// leaseRecord is what only we know of a lease of ours.
type leaseRecord struct {
	Offer    uint64 `json:"offer"`
	Seed     []byte `json:"seed"` // of the session key: lane 1 and the tunnel identity
	Lane     uint32 `json:"lane"`
	Device   []byte `json:"device"`
	Owner    string `json:"owner"`
	Revision uint64 `json:"revision"` // of the last commitment countersigned
}

// openingRecord is kept from before an Accept until its lease is recorded, so
// that a crash in between does not lose the session key of a paid lease.
type openingRecord struct {
	Offer uint64 `json:"offer"`
	Seed  []byte `json:"seed"`
}

// pendingRecord is a commitment that the provider may or may not have
// countersigned. It is sent again, the same, until there is an answer.
type pendingRecord struct {
	Revision uint64       `json:"revision"`
	Root     []byte       `json:"root"`
	Units    uint64       `json:"units"`
	PayerSig []byte       `json:"payer_sig"`
	Add      []piece.Root `json:"add"`
	Remove   []piece.Root `json:"remove"`
}

func openStore(path string) (*store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open gateway state: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open gateway state %s: %w (is another gateway running on it?)", path, err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	s := &store{db: db}
	if err := s.prepare(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open gateway state %s: %w", path, err)
	}
	return s, nil
}

func (s *store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketSegments, bucketPieces, bucketLeases, bucketOpenings,
			bucketPayers, bucketCommitments, bucketPending, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		switch v := string(meta.Get(keyVersion)); v {
		case "":
			return meta.Put(keyVersion, []byte(storeVersion))
		case storeVersion:
			return orphanUploads(tx)
		default:
			return fmt.Errorf("state has version %q, this program reads %q", v, storeVersion)
		}
	})
}

// orphanUploads turns the pieces of uploads that a crash cut short into
// orphans: their segments were never acknowledged.
func orphanUploads(tx *bbolt.Tx) error {
	type entry struct {
		id LeaseID
		h  holding
	}
	var cut []entry
	err := eachHolding(tx, nil, func(id LeaseID, h holding) error {
		if h.Mark == markPut {
			cut = append(cut, entry{id, h})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range cut {
		c.h.Mark = markOrphan
		if err := putHolding(tx, c.id, c.h); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) close() error { return s.db.Close() }

// segment reads one record, or ErrNotFound.
func (s *store) segment(id SegmentID) (out Segment, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		out, err = getSegment(tx, id)
		return err
	})
	return out, err
}

func getSegment(tx *bbolt.Tx, id SegmentID) (Segment, error) {
	b := tx.Bucket(bucketSegments).Get(id[:])
	if b == nil {
		return Segment{}, fmt.Errorf("segment %x: %w", id, ErrNotFound)
	}
	return decodeSegment(id, b)
}

func putSegment(tx *bbolt.Tx, s Segment) error {
	return tx.Bucket(bucketSegments).Put(s.ID[:], s.encode())
}

// eachSegment calls yield for the segments after the id given (nil: from the
// first), in pages, so that no long read transaction stays open.
func (s *store) eachSegment(yield func(Segment) error) error {
	const page = 256
	var after []byte
	for {
		var batch []Segment
		err := s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketSegments).Cursor()
			k, v := c.First()
			if after != nil {
				if k, v = c.Seek(after); bytes.Equal(k, after) {
					k, v = c.Next()
				}
			}
			for ; k != nil && len(batch) < page; k, v = c.Next() {
				seg, err := decodeSegment(SegmentID(k), v)
				if err != nil {
					return err
				}
				batch = append(batch, seg)
			}
			return nil
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, seg := range batch {
			if err := yield(seg); err != nil {
				return err
			}
		}
		last := batch[len(batch)-1].ID
		after = last[:]
	}
}

// eachHolding calls yield for every piece, or for those of one lease, in order.
// yield must not change the table.
func eachHolding(tx *bbolt.Tx, only *LeaseID, yield func(LeaseID, holding) error) error {
	var prefix []byte
	if only != nil {
		prefix = only[:]
	}
	c := tx.Bucket(bucketPieces).Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if len(k) != 64 {
			return fmt.Errorf("read piece table: key of %d bytes, want 64", len(k))
		}
		h, err := decodeHolding(piece.Root(k[32:]), v)
		if err != nil {
			return err
		}
		if err := yield(LeaseID(k[:32]), h); err != nil {
			return err
		}
	}
	return nil
}

func getHolding(tx *bbolt.Tx, id LeaseID, root piece.Root) (holding, bool, error) {
	b := tx.Bucket(bucketPieces).Get(holdingKey(id, root))
	if b == nil {
		return holding{}, false, nil
	}
	h, err := decodeHolding(root, b)
	return h, err == nil, err
}

func putHolding(tx *bbolt.Tx, id LeaseID, h holding) error {
	return tx.Bucket(bucketPieces).Put(holdingKey(id, h.Root), h.encode())
}

func dropHolding(tx *bbolt.Tx, id LeaseID, root piece.Root) error {
	return tx.Bucket(bucketPieces).Delete(holdingKey(id, root))
}

// release marks a piece as no longer wanted, whatever its stage.
func release(tx *bbolt.Tx, id LeaseID, root piece.Root) error {
	h, ok, err := getHolding(tx, id, root)
	if err != nil || !ok {
		return err
	}
	switch h.Mark {
	case markPut, markAdd:
		h.Mark = markOrphan
	case markHeld:
		h.Mark = markDrop
	default:
		return nil
	}
	return putHolding(tx, id, h)
}

// getJSON decodes the value of key in bucket into v; false when there is none.
func getJSON(tx *bbolt.Tx, bucket, key []byte, v any) (bool, error) {
	b := tx.Bucket(bucket).Get(key)
	if b == nil {
		return false, nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("read %s %x: %w", bucket, key, err)
	}
	return true, nil
}

func putJSON(tx *bbolt.Tx, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s %x: %w", bucket, key, err)
	}
	return tx.Bucket(bucket).Put(key, b)
}
