package gateway

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// spool holds the sealed shards of one segment while they are uploaded: a
// piece's name is the hash of all of it, so no byte can leave before the last
// one is encoded, and a piece may have to be sent twice. Shards stay in memory
// while all spools together have room there; others go to a file that has no
// name any more, so that a crash leaves nothing behind.
type spool struct {
	size int64 // of one shard
	n    int
	data spooled
}

// spooled is where the shards of a spool lie, one after the other. After Close
// every read fails, also one that a transport begins late.
type spooled interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// spools makes the spools of an engine. Their memory is bounded together.
type spools struct {
	dir  string
	room atomic.Int64 // bytes of memory that large spools may still take
}

func newSpools(dir string, memory int64) *spools {
	s := &spools{dir: dir}
	s.room.Store(memory)
	return s
}

func (s *spools) open(shards int, size int64) (*spool, error) {
	total := size * int64(shards)
	if total <= smallSpool {
		return &spool{size, shards, newScratch(total, func() {})}, nil
	}
	if s.room.Add(-total) >= 0 {
		return &spool{size, shards, newScratch(total, func() { s.room.Add(total) })}, nil
	}
	s.room.Add(total)
	f, err := os.CreateTemp(s.dir, "shards-")
	if err != nil {
		return nil, fmt.Errorf("spool shards: %w", err)
	}
	os.Remove(f.Name())
	return &spool{size, shards, f}, nil
}

func (s *spool) close() { s.data.Close() }

// shard reads shard i from its offset 0.
func (s *spool) shard(i int) io.ReaderAt {
	return io.NewSectionReader(s.data, int64(i)*s.size, s.size)
}

// shardWriter appends to shard i and hashes what it appends.
type shardWriter struct {
	spool *spool
	base  int64
	off   int64
	hash  piece.Hasher
}

func (s *spool) writer(i int) *shardWriter { return &shardWriter{spool: s, base: int64(i) * s.size} }

func (w *shardWriter) Write(p []byte) (int, error) {
	if w.off+int64(len(p)) > w.spool.size {
		return 0, fmt.Errorf("spool shard: %d bytes at %d exceed its %d", len(p), w.off, w.spool.size)
	}
	if _, err := w.spool.data.WriteAt(p, w.base+w.off); err != nil {
		return 0, fmt.Errorf("spool shard: %w", err)
	}
	w.off += int64(len(p))
	return w.hash.Write(p)
}

// encode spools the sealed shards of r and returns their roots.
func encode(s *spools, seg erasure.Segment, keys erasure.Keys, r io.Reader) (*spool, []piece.Root, error) {
	n := int(seg.Layout.N)
	sp, err := s.open(n, seg.ShardSize())
	if err != nil {
		return nil, nil, err
	}
	shards := make([]io.Writer, n)
	writers := make([]*shardWriter, n)
	for i := range shards {
		writers[i] = sp.writer(i)
		shards[i] = writers[i]
	}
	if err := erasure.Encode(seg, keys, r, shards); err != nil {
		sp.close()
		return nil, nil, err
	}
	roots := make([]piece.Root, n)
	for i, w := range writers {
		roots[i] = w.hash.Root()
	}
	return sp, roots, nil
}
