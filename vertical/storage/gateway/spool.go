package gateway

import (
	"fmt"
	"io"
	"os"

	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// spool holds the sealed shards of one segment while they are uploaded: a
// piece's name is the hash of all of it, so no byte can leave before the last
// one is encoded, and a piece may have to be sent twice. Small segments stay in
// memory; others go to a file that has no name any more, so that a crash leaves
// nothing behind.
type spool struct {
	size int64 // of one shard
	n    int
	mem  []byte
	file *os.File
}

func newSpool(dir string, shards int, size int64) (*spool, error) {
	s := &spool{size: size, n: shards}
	if total := size * int64(shards); total <= memorySpool {
		s.mem = make([]byte, total)
		return s, nil
	}
	f, err := os.CreateTemp(dir, "shards-")
	if err != nil {
		return nil, fmt.Errorf("spool shards: %w", err)
	}
	os.Remove(f.Name())
	s.file = f
	return s, nil
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// shard reads shard i from its offset 0.
func (s *spool) shard(i int) io.ReaderAt {
	if s.mem != nil {
		return memShard(s.mem[int64(i)*s.size : int64(i+1)*s.size])
	}
	return io.NewSectionReader(s.file, int64(i)*s.size, s.size)
}

type memShard []byte

func (m memShard) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
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
	if w.spool.mem != nil {
		copy(w.spool.mem[w.base+w.off:], p)
	} else if _, err := w.spool.file.WriteAt(p, w.base+w.off); err != nil {
		return 0, fmt.Errorf("spool shard: %w", err)
	}
	w.off += int64(len(p))
	return w.hash.Write(p)
}

// encode spools the sealed shards of r and returns their roots.
func encode(dir string, seg erasure.Segment, keys erasure.Keys, r io.Reader) (*spool, []piece.Root, error) {
	n := int(seg.Layout.N)
	sp, err := newSpool(dir, n, seg.ShardSize())
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
