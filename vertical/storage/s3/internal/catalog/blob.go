package catalog

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// AddBlob stores a new blob with Refs references and returns its id.
func (t *Tx) AddBlob(v *Blob) (BlobID, error) {
	b := t.tx.Bucket(bktBlobs)
	t.writes++
	n, err := b.NextSequence()
	if err != nil {
		return 0, fmt.Errorf("number blob: %w", err)
	}
	id := BlobID(n)
	if err := t.link(id, v); err != nil {
		return 0, err
	}
	return id, t.put(b, u64(n), encodeBlob(v))
}

// link enters the blob into the index of its place.
func (t *Tx) link(id BlobID, v *Blob) error {
	entry := pair(uint64(id), uint64(v.Size))
	switch v.Place {
	case Journaled:
		return t.put(t.tx.Bucket(bktJournal), pair(v.File, uint64(v.Offset)), entry)
	case Packed:
		if err := t.adjustPack(v.Pack, v.Size, 1); err != nil {
			return err
		}
		return t.put(t.tx.Bucket(bktPacked), append(v.Pack[:], u64(uint64(v.Offset))...), entry)
	case Segmented:
		for _, s := range v.Segments {
			if err := t.put(t.tx.Bucket(bktSegments), s.ID[:], u64(uint64(id))); err != nil {
				return err
			}
			if err := t.unpend(s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlink takes the blob out of the index of its place and gives up what only it
// used.
func (t *Tx) unlink(v *Blob) error {
	switch v.Place {
	case Journaled:
		return t.delete(t.tx.Bucket(bktJournal), pair(v.File, uint64(v.Offset)))
	case Packed:
		if err := t.delete(t.tx.Bucket(bktPacked), append(v.Pack[:], u64(uint64(v.Offset))...)); err != nil {
			return err
		}
		return t.adjustPack(v.Pack, -v.Size, -1)
	case Segmented:
		for _, s := range v.Segments {
			if err := t.delete(t.tx.Bucket(bktSegments), s.ID[:]); err != nil {
				return err
			}
			if err := t.Discard(s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// adjustPack changes a pack's account. A pack without blobs is discarded.
func (t *Tx) adjustPack(id SegmentID, live, blobs int64) error {
	b := t.tx.Bucket(bktPacks)
	raw := b.Get(id[:])
	if raw == nil {
		return fmt.Errorf("account pack %x: not in the catalog", id[:4])
	}
	p, err := decodePack(raw)
	if err != nil {
		return err
	}
	p.Live += live
	p.Blobs += blobs
	if p.Live < 0 || p.Blobs < 0 {
		return fmt.Errorf("account pack %x: %d bytes in %d blobs left", id[:4], p.Live, p.Blobs)
	}
	if p.Blobs > 0 {
		return t.put(b, id[:], encodePack(p))
	}
	if err := t.delete(b, id[:]); err != nil {
		return err
	}
	return t.Discard(id)
}

// Blob returns a blob's record.
func (t *Tx) Blob(id BlobID) (*Blob, error) {
	raw := t.tx.Bucket(bktBlobs).Get(u64(uint64(id)))
	if raw == nil {
		return nil, fmt.Errorf("find blob %d: not in the catalog", id)
	}
	return decodeBlob(raw)
}

func (t *Tx) setBlob(id BlobID, v *Blob) error {
	return t.put(t.tx.Bucket(bktBlobs), u64(uint64(id)), encodeBlob(v))
}

// Retain adds one reference for each extent.
func (t *Tx) Retain(extents []Extent) error {
	for _, x := range extents {
		v, err := t.Blob(x.Blob)
		if err != nil {
			return err
		}
		v.Refs++
		if err := t.setBlob(x.Blob, v); err != nil {
			return err
		}
	}
	return nil
}

// Release takes one reference away for each extent and gives up blobs that have
// none left.
func (t *Tx) Release(extents []Extent) error {
	for _, x := range extents {
		v, err := t.Blob(x.Blob)
		if err != nil {
			return err
		}
		if v.Refs > 1 {
			v.Refs--
			if err := t.setBlob(x.Blob, v); err != nil {
				return err
			}
			continue
		}
		if err := t.unlink(v); err != nil {
			return err
		}
		if err := t.delete(t.tx.Bucket(bktBlobs), u64(uint64(x.Blob))); err != nil {
			return err
		}
	}
	return nil
}

// Small is a blob that is kept together with others: where it is and its size.
type Small struct {
	ID     BlobID
	File   uint64    // when journaled
	Pack   SegmentID // when packed
	Offset int64
	Size   int64
}

// Journal returns journaled blobs in the order they were written, up to limit
// bytes in all (at least one if there is any).
func (t *Tx) Journal(limit int64) ([]Small, error) {
	var out []Small
	var sum int64
	c := t.tx.Bucket(bktJournal).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		file, off, ok := split(k)
		id, size, ok2 := split(v)
		if !ok || !ok2 {
			return nil, fmt.Errorf("read journal index: %w", errRecord)
		}
		if sum += int64(size); sum > limit && len(out) > 0 {
			break
		}
		out = append(out, Small{ID: BlobID(id), File: file, Offset: int64(off), Size: int64(size)})
	}
	return out, nil
}

// JournalFileUsed reports whether any blob is in the journal file.
func (t *Tx) JournalFileUsed(file uint64) bool {
	k, _ := t.tx.Bucket(bktJournal).Cursor().Seek(pair(file, 0))
	return k != nil && bytes.HasPrefix(k, u64(file))
}

// Packs calls yield for each pack until it returns false.
func (t *Tx) Packs(yield func(SegmentID, Pack) bool) error {
	c := t.tx.Bucket(bktPacks).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		p, err := decodePack(v)
		if err != nil {
			return err
		}
		if !yield(SegmentID(k), *p) {
			break
		}
	}
	return nil
}

// InPack returns the blobs in a pack in the order of their offsets.
func (t *Tx) InPack(id SegmentID) ([]Small, error) {
	var out []Small
	c := t.tx.Bucket(bktPacked).Cursor()
	for k, v := c.Seek(id[:]); k != nil && bytes.HasPrefix(k, id[:]); k, v = c.Next() {
		blob, size, ok := split(v)
		if !ok || len(k) != len(id)+8 {
			return nil, fmt.Errorf("read pack index: %w", errRecord)
		}
		off := binary.BigEndian.Uint64(k[len(id):])
		out = append(out, Small{ID: BlobID(blob), Pack: id, Offset: int64(off), Size: int64(size)})
	}
	return out, nil
}

// Repack records that the blobs, which lie one after the other in a new segment
// of size bytes, are there now. Blobs that have moved or gone since they were
// listed stay as they are. If none is left the segment is discarded.
func (t *Tx) Repack(to SegmentID, size int64, blobs []Small) error {
	b := t.tx.Bucket(bktBlobs)
	if err := t.unpend(to); err != nil {
		return err
	}
	var offset, moved int64
	for _, s := range blobs {
		at := offset
		offset += s.Size
		raw := b.Get(u64(uint64(s.ID)))
		if raw == nil {
			continue
		}
		v, err := decodeBlob(raw)
		if err != nil {
			return err
		}
		if !s.is(v) {
			continue
		}
		if moved == 0 {
			if err := t.put(t.tx.Bucket(bktPacks), to[:], encodePack(&Pack{Size: size})); err != nil {
				return err
			}
		}
		moved++
		if err := t.unlink(v); err != nil {
			return err
		}
		v.Place, v.Pack, v.Offset, v.File = Packed, to, at, 0
		if err := t.link(s.ID, v); err != nil {
			return err
		}
		if err := t.setBlob(s.ID, v); err != nil {
			return err
		}
	}
	if moved == 0 {
		return t.Discard(to)
	}
	return nil
}

// is reports whether the blob still lies where it was listed.
func (s *Small) is(v *Blob) bool {
	switch v.Place {
	case Journaled:
		return s.Pack == SegmentID{} && v.File == s.File && v.Offset == s.Offset
	case Packed:
		return v.Pack == s.Pack && v.Offset == s.Offset
	default:
		return false
	}
}

// Pend notes segments that have been stored but belong to nothing yet.
func (t *Tx) Pend(ids ...SegmentID) error {
	for _, id := range ids {
		if err := t.put(t.tx.Bucket(bktPending), id[:], now()); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) unpend(id SegmentID) error {
	b := t.tx.Bucket(bktPending)
	if b.Get(id[:]) == nil {
		return nil
	}
	return t.delete(b, id[:])
}

// Discard marks segments for deletion.
func (t *Tx) Discard(ids ...SegmentID) error {
	for _, id := range ids {
		if err := t.unpend(id); err != nil {
			return err
		}
		if err := t.put(t.tx.Bucket(bktTrash), id[:], now()); err != nil {
			return err
		}
	}
	return nil
}

// DiscardPending marks all pending segments for deletion and returns how many
// there were. It is for start, when no upload is under way.
func (t *Tx) DiscardPending() (int, error) {
	var ids []SegmentID
	c := t.tx.Bucket(bktPending).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		ids = append(ids, SegmentID(k))
	}
	return len(ids), t.Discard(ids...)
}

// Trash returns up to n segments to delete, beginning after the given one.
func (t *Tx) Trash(after SegmentID, n int) []SegmentID {
	var out []SegmentID
	c := t.tx.Bucket(bktTrash).Cursor()
	for k := seekAfter(c, after[:]); k != nil && len(out) < n; k, _ = c.Next() {
		out = append(out, SegmentID(k))
	}
	return out
}

func seekAfter(c *bolt.Cursor, key []byte) []byte {
	k, _ := c.Seek(key)
	if bytes.Equal(k, key) {
		k, _ = c.Next()
	}
	return k
}

// Deleted forgets discarded segments that have been deleted.
func (t *Tx) Deleted(ids ...SegmentID) error {
	for _, id := range ids {
		if err := t.delete(t.tx.Bucket(bktTrash), id[:]); err != nil {
			return err
		}
	}
	return nil
}

// Knows reports whether the segment belongs to a blob or is waiting for
// something.
func (t *Tx) Knows(id SegmentID) bool {
	for _, b := range [][]byte{bktSegments, bktPacks, bktPending, bktTrash} {
		if t.tx.Bucket(b).Get(id[:]) != nil {
			return true
		}
	}
	return false
}

// Usage is what the catalog holds.
type Usage struct {
	Buckets, Objects, Uploads  int64
	Blobs                      int64
	JournaledBlobs             int64
	JournaledBytes             int64
	Packs, PackBytes, PackLive int64
	Segments, Pending, Trash   int64
}

// Usage counts everything. It reads the whole index of the journal and packs.
func (t *Tx) Usage() (Usage, error) {
	u := Usage{
		Buckets:  int64(t.tx.Bucket(bktBuckets).Stats().KeyN),
		Blobs:    int64(t.tx.Bucket(bktBlobs).Stats().KeyN),
		Segments: int64(t.tx.Bucket(bktSegments).Stats().KeyN),
		Pending:  int64(t.tx.Bucket(bktPending).Stats().KeyN),
		Trash:    int64(t.tx.Bucket(bktTrash).Stats().KeyN),
	}
	count := func(top []byte) (n int64, err error) {
		b := t.tx.Bucket(top)
		err = b.ForEachBucket(func(k []byte) error {
			n += int64(b.Bucket(k).Stats().KeyN)
			return nil
		})
		return n, err
	}
	var err error
	if u.Objects, err = count(bktObjects); err != nil {
		return u, err
	}
	if u.Uploads, err = count(bktUploads); err != nil {
		return u, err
	}
	err = t.tx.Bucket(bktJournal).ForEach(func(_, v []byte) error {
		_, size, ok := split(v)
		if !ok {
			return errRecord
		}
		u.JournaledBlobs++
		u.JournaledBytes += int64(size)
		return nil
	})
	if err != nil {
		return u, err
	}
	err = t.Packs(func(_ SegmentID, p Pack) bool {
		u.Packs++
		u.PackBytes += p.Size
		u.PackLive += p.Live
		return true
	})
	return u, err
}
