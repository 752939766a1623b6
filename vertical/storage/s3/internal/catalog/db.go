package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ErrClosed is returned by updates after Close.
var ErrClosed = errors.New("catalog is closed")

const (
	schema      = 1
	maxBatch    = 512
	initialMmap = 1 << 30 // address space, not memory: growing it later blocks readers
)

var (
	bktMeta     = []byte("meta")
	bktBuckets  = []byte("buckets")  // name → Bucket as JSON
	bktObjects  = []byte("objects")  // name → {key → Object}
	bktVersions = []byte("versions") // name → {escaped key, inverted version → Object}
	bktUploads  = []byte("uploads")  // name → {escaped key, upload id → Upload}
	bktParts    = []byte("parts")    // upload id, number → Part
	bktBlobs    = []byte("blobs")    // id → Blob
	bktJournal  = []byte("journal")  // file, offset → id, length
	bktPacks    = []byte("packs")    // segment → Pack
	bktPacked   = []byte("packed")   // segment, offset → id, length
	bktSegments = []byte("segments") // segment → id
	bktPending  = []byte("pending")  // segment → when
	bktTrash    = []byte("trash")    // segment → when

	keySchema = []byte("schema")

	topLevel = [][]byte{bktMeta, bktBuckets, bktObjects, bktVersions, bktUploads, bktParts,
		bktBlobs, bktJournal, bktPacks, bktPacked, bktSegments, bktPending, bktTrash}
)

// DB is an open catalog. Its methods are safe for concurrent use.
type DB struct {
	bolt    *bolt.DB
	queue   chan *change
	done    chan struct{}
	stopped chan struct{}
}

type change struct {
	fn     func(*Tx) error
	result chan error
	err    error
}

// Open opens or creates the catalog file at path. It fails when another process
// has it open.
func Open(path string) (*DB, error) {
	b, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second,
		NoFreelistSync:  true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: initialMmap,
	})
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	if err := b.Update(prepare); err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	db := &DB{
		bolt: b, queue: make(chan *change, maxBatch),
		done: make(chan struct{}), stopped: make(chan struct{}),
	}
	go db.commit()
	return db, nil
}

func prepare(tx *bolt.Tx) error {
	for _, name := range topLevel {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bktMeta)
	v := meta.Get(keySchema)
	if v == nil {
		return meta.Put(keySchema, []byte{schema})
	}
	if len(v) != 1 || v[0] != schema {
		return fmt.Errorf("catalog schema is %x, this program knows %d", v, schema)
	}
	return nil
}

// Close waits for the updates under way and closes the file.
func (db *DB) Close() error {
	close(db.done)
	<-db.stopped
	return db.bolt.Close()
}

// View runs fn in a read transaction. fn must not wait for anything outside.
func (db *DB) View(fn func(*Tx) error) error {
	return db.bolt.View(func(tx *bolt.Tx) error { return fn(newTx(tx)) })
}

// Update runs fn in a write transaction that it may share with other updates,
// and returns when the transaction is durable. fn must check before it changes
// anything: when fn returns an error without having changed anything only its
// own caller gets that error; otherwise everything it did is undone. fn may run
// more than once.
//
// A cancelled ctx does not undo an update that has been queued.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	c := &change{fn: fn, result: make(chan error, 1)}
	select {
	case <-db.done:
		return ErrClosed
	default:
	}
	select {
	case db.queue <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.done:
		return ErrClosed
	}
	select {
	case err := <-c.result:
		return err
	case <-db.stopped:
		select {
		case err := <-c.result:
			return err
		default:
			return ErrClosed
		}
	}
}

// commit is the single writer.
func (db *DB) commit() {
	defer close(db.stopped)
	batch := make([]*change, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case c := <-db.queue:
			batch = append(batch, c)
		case <-db.done:
			return
		}
	more:
		for len(batch) < maxBatch {
			select {
			case c := <-db.queue:
				batch = append(batch, c)
			default:
				break more
			}
		}
		db.apply(batch)
	}
}

// errDirty asks for the whole transaction to be undone because a change failed
// half-way.
var errDirty = errors.New("change failed after it changed something")

// apply commits the batch in one transaction. A change that fails after having
// changed something is taken out and the rest is run again.
func (db *DB) apply(batch []*change) {
	for len(batch) > 0 {
		bad := -1
		err := db.bolt.Update(func(btx *bolt.Tx) error {
			tx := newTx(btx)
			for i, c := range batch {
				before := tx.writes
				c.err = c.fn(tx)
				if c.err != nil && tx.writes != before {
					bad = i
					return errDirty
				}
			}
			return nil
		})
		if bad >= 0 {
			batch[bad].result <- batch[bad].err
			batch = append(batch[:bad], batch[bad+1:]...)
			continue
		}
		for _, c := range batch {
			if err != nil {
				c.err = fmt.Errorf("commit catalog: %w", err)
			}
			c.result <- c.err
		}
		return
	}
}

// Tx is a transaction. It is valid only while the function it is given to runs.
type Tx struct {
	tx     *bolt.Tx
	writes int
}

func newTx(tx *bolt.Tx) *Tx { return &Tx{tx: tx} }

func (t *Tx) put(b *bolt.Bucket, k, v []byte) error {
	t.writes++
	return b.Put(k, v)
}

func (t *Tx) delete(b *bolt.Bucket, k []byte) error {
	t.writes++
	return b.Delete(k)
}

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// pair is two numbers in order-preserving form.
func pair(a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(u64(a), b)
}

func split(p []byte) (a, b uint64, ok bool) {
	if len(p) != 16 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:]), true
}

func now() []byte { return u64(uint64(time.Now().Unix())) }
