package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world drives a catalog with random changes and keeps a plain model beside it:
// what each key holds, as the name of the data.
type world struct {
	db      *DB
	next    byte
	clock   time.Time
	file    uint64
	objects map[string]string    // key → data name
	uploads map[string][2]string // id → key, data name of its one part
}

const one = "b"

func (w *world) update(t *rapid.T, fn func(*Tx) error) {
	if err := w.db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) segment() (id SegmentID) {
	w.next++
	id[0], id[1] = w.next, byte(w.file)
	w.file++
	id[2], id[3] = byte(w.file>>8), byte(w.file>>16)
	return id
}

// blob returns new data of a random kind, with its name.
func (w *world) blob(t *rapid.T) (*Blob, string) {
	w.file++
	name := fmt.Sprintf("data %d", w.file)
	size := int64(rapid.IntRange(1, 1000).Draw(t, "size"))
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return &Blob{Refs: 1, Size: size, Place: Inline, Data: make([]byte, size)}, name
	case 1:
		return &Blob{Refs: 1, Size: size, Place: Journaled, File: w.file % 5, Offset: int64(w.file) * 2000}, name
	default:
		return &Blob{Refs: 1, Size: 2 * size, Place: Segmented, Segments: []Segment{{w.segment(), size}, {w.segment(), size}}}, name
	}
}

func (w *world) object(name string, size int64, x []Extent) *Object {
	w.clock = w.clock.Add(time.Millisecond)
	return &Object{Size: size, Modified: w.clock, ETag: name, Extents: x}
}

var keys = rapid.SampledFrom([]string{"a", "b", "c/d"})

func (w *world) put(t *rapid.T) {
	key := keys.Draw(t, "key")
	b, name := w.blob(t)
	w.update(t, func(tx *Tx) error {
		id, err := tx.AddBlob(b)
		if err != nil {
			return err
		}
		return tx.ReplaceObject(one, key, w.object(name, b.Size, []Extent{{id, 0, b.Size}}))
	})
	w.objects[key] = name
}

func (w *world) copy(t *rapid.T) {
	src, dst := keys.Draw(t, "from"), keys.Draw(t, "to")
	if w.objects[src] == "" {
		return
	}
	w.update(t, func(tx *Tx) error {
		o, err := tx.Object(one, src)
		if err != nil {
			return err
		}
		if err := tx.Retain(o.Extents); err != nil {
			return err
		}
		return tx.ReplaceObject(one, dst, w.object(o.ETag, o.Size, o.Extents))
	})
	w.objects[dst] = w.objects[src]
}

func (w *world) remove(t *rapid.T) {
	key := keys.Draw(t, "key")
	w.update(t, func(tx *Tx) error {
		o, err := tx.Object(one, key)
		if errors.Is(err, ErrNoKey) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.RemoveObject(one, key, o)
	})
	delete(w.objects, key)
}

func (w *world) upload(t *rapid.T) {
	id := fmt.Sprintf("%032d", w.file)
	key := keys.Draw(t, "key")
	b, name := w.blob(t)
	w.update(t, func(tx *Tx) error {
		if err := tx.CreateUpload(one, id, &Upload{Key: key, Initiated: w.clock}); err != nil {
			return err
		}
		for range 2 { // the second replaces the first
			blob, err := tx.AddBlob(b)
			if err != nil {
				return err
			}
			if err := tx.SetPart(id, 1, &Part{Size: b.Size, Extents: []Extent{{blob, 0, b.Size}}}); err != nil {
				return err
			}
			if b.Place == Segmented {
				break // the same segments cannot be stored twice
			}
			b = &Blob{Refs: 1, Size: 7, Place: Inline, Data: make([]byte, 7)}
		}
		return nil
	})
	w.uploads[id] = [2]string{key, name}
}

func (w *world) finish(t *rapid.T) {
	ids := slices.Sorted(maps.Keys(w.uploads))
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(t, "upload")
	u := w.uploads[id]
	complete := rapid.Bool().Draw(t, "complete")
	w.update(t, func(tx *Tx) error {
		if complete {
			p, err := tx.Part(id, 1)
			if err != nil {
				return err
			}
			if err := tx.Retain(p.Extents); err != nil {
				return err
			}
			if err := tx.ReplaceObject(one, u[0], w.object(u[1], p.Size, p.Extents)); err != nil {
				return err
			}
		}
		return tx.DropUpload(one, u[0], id)
	})
	if complete {
		w.objects[u[0]] = u[1]
	}
	delete(w.uploads, id)
}

func (w *world) pack(t *rapid.T) {
	to := w.segment()
	limit := int64(rapid.IntRange(1, 5000).Draw(t, "limit"))
	var blobs []Small
	w.update(t, func(tx *Tx) (err error) {
		blobs, err = tx.Journal(limit)
		return err
	})
	if len(blobs) == 0 {
		return
	}
	if rapid.Bool().Draw(t, "meanwhile something is removed") {
		w.remove(t)
	}
	w.update(t, func(tx *Tx) error { return tx.Repack(to, sum(blobs), blobs) })
}

func sum(blobs []Small) (n int64) {
	for _, b := range blobs {
		n += b.Size
	}
	return n
}

func (w *world) compact(t *rapid.T) {
	to := w.segment()
	w.update(t, func(tx *Tx) error {
		var from SegmentID
		err := tx.Packs(func(id SegmentID, _ Pack) bool { from = id; return false })
		if err != nil || from == (SegmentID{}) {
			return err
		}
		blobs, err := tx.InPack(from)
		if err != nil {
			return err
		}
		if err := tx.Pend(to); err != nil {
			return err
		}
		return tx.Repack(to, sum(blobs), blobs)
	})
}

func (w *world) check(t *rapid.T) {
	err := w.db.View(func(tx *Tx) error {
		if err := tx.Verify(); err != nil {
			return err
		}
		for _, key := range []string{"a", "b", "c/d"} {
			o, err := tx.Object(one, key)
			if errors.Is(err, ErrNoKey) {
				o, err = &Object{}, nil
			}
			if err != nil {
				return err
			}
			if o.ETag != w.objects[key] {
				return fmt.Errorf("key %s holds %q, want %q", key, o.ETag, w.objects[key])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is done, no data is lost or kept without need: reference counts and
// indexes agree after every step, and removing everything frees everything.
func TestReferencesAlwaysAgree(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		db, err := Open(filepath.Join(dir, fmt.Sprint(runs, ".db")))
		if err != nil {
			t.Fatal(err)
		}
		db.bolt.NoSync = true
		defer db.Close()
		w := &world{db: db, clock: time.Unix(1e9, 0).UTC(), objects: map[string]string{}, uploads: map[string][2]string{}}
		w.update(t, func(tx *Tx) error { return tx.CreateBucket(one, &Bucket{}) })
		t.Repeat(map[string]func(*rapid.T){
			"put": w.put, "copy": w.copy, "remove": w.remove, "upload": w.upload, "finish": w.finish,
			"pack": w.pack, "compact": w.compact, "": w.check,
		})
		w.update(t, func(tx *Tx) error {
			for _, key := range slices.Sorted(maps.Keys(w.objects)) {
				o, err := tx.Object(one, key)
				if err != nil {
					return err
				}
				if err := tx.RemoveObject(one, key, o); err != nil {
					return err
				}
			}
			return tx.DeleteBucket(one)
		})
		err = db.View(func(tx *Tx) error {
			u, err := tx.Usage()
			if err == nil && u.Blobs+u.JournaledBlobs+u.Packs+u.Segments+u.Pending+u.Uploads != 0 {
				err = fmt.Errorf("something is left: %+v", u)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Random writes and deletions of versions leave the history a plain list has.
func TestVersionsMatchModel(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		db, err := Open(filepath.Join(dir, fmt.Sprint(runs, ".db")))
		if err != nil {
			t.Fatal(err)
		}
		db.bolt.NoSync = true
		defer db.Close()
		w := &world{db: db, clock: time.Unix(1e9, 0).UTC()}
		w.update(t, func(tx *Tx) error { return tx.CreateBucket(one, &Bucket{}) })
		type version struct {
			id     string
			marker bool
		}
		var history []version // newest first
		push := func(t *rapid.T, null, marker bool) {
			w.file++
			id := ""
			if !null {
				id = fmt.Sprintf("%032d", w.file)
			}
			at := w.clock.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "clock")) * time.Millisecond)
			w.update(t, func(tx *Tx) error {
				o := &Object{Version: id, DeleteMarker: marker, Modified: at}
				if !marker {
					blob, err := tx.AddBlob(&Blob{Refs: 1, Size: 1, Place: Inline, Data: []byte{1}})
					if err != nil {
						return err
					}
					o.Size, o.Extents = 1, []Extent{{blob, 0, 1}}
				}
				return tx.PushVersion(one, "k", o)
			})
			if null {
				history = slices.DeleteFunc(history, func(v version) bool { return v.id == "" })
			}
			history = slices.Insert(history, 0, version{id, marker})
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":         func(t *rapid.T) { push(t, false, false) },
			"put null":    func(t *rapid.T) { push(t, true, false) },
			"delete":      func(t *rapid.T) { push(t, false, true) },
			"delete null": func(t *rapid.T) { push(t, true, true) },
			"remove version": func(t *rapid.T) {
				if len(history) == 0 {
					return
				}
				i := rapid.IntRange(0, len(history)-1).Draw(t, "which")
				w.update(t, func(tx *Tx) error { return tx.RemoveVersion(one, "k", history[i].id) })
				history = slices.Delete(history, i, i+1)
			},
			"": func(t *rapid.T) {
				err := db.View(func(tx *Tx) error {
					if err := tx.Verify(); err != nil {
						return err
					}
					page, err := tx.ListVersions(one, VersionQuery{Query: Query{Limit: 1000}})
					if err != nil {
						return err
					}
					var got []version
					for i, e := range page.Entries {
						got = append(got, version{e.Object.Version, e.Object.DeleteMarker})
						if e.Latest != (i == 0) {
							return fmt.Errorf("version %d: latest is %v", i, e.Latest)
						}
					}
					if !slices.Equal(got, history) {
						return fmt.Errorf("history %v, want %v", got, history)
					}
					_, err = tx.Object(one, "k")
					if there := len(history) > 0 && !history[0].marker; there != (err == nil) {
						return fmt.Errorf("current version: %w, history %v", err, history)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// Changes that share a commit do not share their fate.
func TestUpdatesAreIsolated(t *testing.T) {
	db := openTest(t)
	ctx := context.Background()
	clean, dirty := errors.New("refused"), errors.New("failed half-way")
	if err := db.Update(ctx, func(tx *Tx) error { return tx.CreateBucket(one, &Bucket{}) }); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			key := fmt.Sprint(i)
			err := db.Update(ctx, func(tx *Tx) error {
				if i%3 == 1 {
					return clean
				}
				if err := tx.SetObject(one, key, &Object{}); err != nil {
					return err
				}
				if i%30 == 2 {
					return dirty
				}
				return nil
			})
			want := error(nil)
			switch {
			case i%3 == 1:
				want = clean
			case i%30 == 2:
				want = dirty
			}
			if !errors.Is(err, want) {
				t.Errorf("change %d: %v, want %v", i, err, want)
			}
		})
	}
	wg.Wait()
	err := db.View(func(tx *Tx) error {
		for i := range 300 {
			_, err := tx.Object(one, fmt.Sprint(i))
			if there := i%3 != 1 && i%30 != 2; there != (err == nil) {
				t.Errorf("object %d: %v", i, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Fatal("a catalog in use was opened")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(context.Background(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Fatalf("update after close: %v", err)
	}
}
