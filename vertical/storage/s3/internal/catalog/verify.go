package catalog

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Verify checks the whole catalog against itself: every extent lies within its
// blob, every blob has as many references as it says, and the indexes of places
// hold exactly the blobs. It returns the first fault it finds.
func (t *Tx) Verify() error {
	v := verifier{t: t, refs: map[BlobID]uint64{}, packs: map[SegmentID]Pack{}}
	for _, step := range []func() error{v.objects, v.uploads, v.blobs, v.indexes} {
		if err := step(); err != nil {
			return fmt.Errorf("verify catalog: %w", err)
		}
	}
	return nil
}

type verifier struct {
	t         *Tx
	refs      map[BlobID]uint64
	packs     map[SegmentID]Pack
	journaled int
	packed    int
	segments  int
}

func (v *verifier) extents(what string, size int64, extents []Extent) error {
	for _, x := range extents {
		b, err := v.t.Blob(x.Blob)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if x.Length <= 0 || x.Offset+x.Length > b.Size {
			return fmt.Errorf("%s: %d bytes at %d of blob %d of %d", what, x.Length, x.Offset, x.Blob, b.Size)
		}
		size -= x.Length
		v.refs[x.Blob]++
	}
	if size != 0 {
		return fmt.Errorf("%s: extents differ from the size by %d bytes", what, size)
	}
	return nil
}

func (v *verifier) objects() error {
	for _, top := range [][]byte{bktObjects, bktVersions} {
		b := v.t.tx.Bucket(top)
		err := b.ForEachBucket(func(name []byte) error {
			if v.t.tx.Bucket(bktBuckets).Get(name) == nil {
				return fmt.Errorf("objects of bucket %s, which does not exist", name)
			}
			return b.Bucket(name).ForEach(func(k, raw []byte) error {
				o, err := decodeObject(raw)
				if err != nil {
					return fmt.Errorf("object %s/%q: %w", name, k, err)
				}
				if o.DeleteMarker && bytes.Equal(top, bktObjects) {
					return fmt.Errorf("object %s/%q: current version is a delete marker", name, k)
				}
				return v.extents(fmt.Sprintf("object %s/%q", name, k), o.Size, o.Extents)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) uploads() error {
	ids := map[string]bool{}
	b := v.t.tx.Bucket(bktUploads)
	err := b.ForEachBucket(func(name []byte) error {
		return v.t.Uploads(string(name), func(id string, _ *Upload) (bool, error) {
			ids[id] = true
			return true, nil
		})
	})
	if err != nil {
		return err
	}
	return v.t.tx.Bucket(bktParts).ForEach(func(k, raw []byte) error {
		p, err := decodePart(raw)
		if err != nil {
			return fmt.Errorf("part %q: %w", k, err)
		}
		if !ids[string(k[:max(len(k)-4, 0)])] {
			return fmt.Errorf("part %q of no upload", k)
		}
		return v.extents(fmt.Sprintf("part %q", k), p.Size, p.Extents)
	})
}

func (v *verifier) blobs() error {
	return v.t.tx.Bucket(bktBlobs).ForEach(func(k, raw []byte) error {
		id := BlobID(binary.BigEndian.Uint64(k))
		b, err := decodeBlob(raw)
		if err != nil {
			return fmt.Errorf("blob %d: %w", id, err)
		}
		if b.Refs != v.refs[id] {
			return fmt.Errorf("blob %d: %d references counted, %d noted", id, v.refs[id], b.Refs)
		}
		return v.place(id, b)
	})
}

func (v *verifier) place(id BlobID, b *Blob) error {
	entry := pair(uint64(id), uint64(b.Size))
	switch b.Place {
	case Inline:
		if int64(len(b.Data)) != b.Size {
			return fmt.Errorf("blob %d: %d bytes inline of %d", id, len(b.Data), b.Size)
		}
	case Journaled:
		v.journaled++
		if got := v.t.tx.Bucket(bktJournal).Get(pair(b.File, uint64(b.Offset))); !bytes.Equal(got, entry) {
			return fmt.Errorf("blob %d: not in the journal index", id)
		}
	case Packed:
		v.packed++
		p := v.packs[b.Pack]
		v.packs[b.Pack] = Pack{Live: p.Live + b.Size, Blobs: p.Blobs + 1}
		key := append(b.Pack[:], u64(uint64(b.Offset))...)
		if got := v.t.tx.Bucket(bktPacked).Get(key); !bytes.Equal(got, entry) {
			return fmt.Errorf("blob %d: not in the pack index", id)
		}
	case Segmented:
		size := b.Size
		for _, s := range b.Segments {
			v.segments++
			size -= s.Size
			if got := v.t.tx.Bucket(bktSegments).Get(s.ID[:]); !bytes.Equal(got, u64(uint64(id))) {
				return fmt.Errorf("blob %d: segment %x is not in the index", id, s.ID[:4])
			}
		}
		if size != 0 {
			return fmt.Errorf("blob %d: segments differ from the size by %d bytes", id, size)
		}
	}
	return nil
}

func (v *verifier) indexes() error {
	for _, i := range []struct {
		name []byte
		want int
	}{{bktJournal, v.journaled}, {bktPacked, v.packed}, {bktSegments, v.segments}, {bktPacks, len(v.packs)}} {
		if got := v.t.tx.Bucket(i.name).Stats().KeyN; got != i.want {
			return fmt.Errorf("index %s has %d entries, blobs make %d", i.name, got, i.want)
		}
	}
	var bad error
	err := v.t.Packs(func(id SegmentID, p Pack) bool {
		if want := v.packs[id]; p.Live != want.Live || p.Blobs != want.Blobs {
			bad = fmt.Errorf("pack %x: account says %d bytes in %d blobs, index %d in %d", id[:4], p.Live, p.Blobs, want.Live, want.Blobs)
		}
		return bad == nil
	})
	if err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	for _, lost := range [][]byte{bktTrash, bktPending} {
		err := v.t.tx.Bucket(lost).ForEach(func(k, _ []byte) error {
			for _, used := range [][]byte{bktSegments, bktPacks} {
				if v.t.tx.Bucket(used).Get(k) != nil {
					return fmt.Errorf("segment %x is in %s and in %s", k[:4], lost, used)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
